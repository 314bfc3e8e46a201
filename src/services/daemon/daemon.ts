/**
 * The daemon: repositories behind the wire, metrics over HTTP, maintenance in the background.
 *
 * It begins with HTTP, so that `/readyz` tells that repositories are being opened; then it opens them, listens for clients, and schedules maintenance. At the end it
 * takes no new session, waits for those there are, and closes what it opened. What is acknowledged is durable by then, whatever happens: the engine sees to that.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Server as HttpServer } from 'node:http';
import { nodeWorld, readServerCredentials, WireServer, type ServerCredentials, type WireEvent } from '../../engine/index.ts';
import { readConfigFile } from './config-file.ts';
import type { DaemonConfig } from './config.ts';
import { Domains } from './domains.ts';
import { logEvent } from './event-log.ts';
import { listenHttp } from './http.ts';
import { LastRuns } from './last-runs.ts';
import { addressText, listen } from './listen.ts';
import { makeLogger, type Logger } from './logger.ts';
import { Maintenance } from './maintenance.ts';
import { makeMetrics, type DaemonMetrics } from './metrics/registry.ts';
import { changedAtRestart, changedNow, mergeConfig } from './reload.ts';

/** How a daemon is run. */
export interface DaemonOptions {
  /** Its configuration file. */
  readonly file: string;
  readonly version: string;
  /** Node and the script of this program, for processes of maintenance. */
  readonly self: readonly string[];
  /** Asks it to stop: it drains. */
  readonly signal: AbortSignal;
}

/** Milliseconds in which a connection of a host ends that was revoked. */
const REVOCATION_MS = 30_000;

type Phase = 'opening' | 'serving' | 'draining';

function credentialsOf({ domains, identity, hosts }: DaemonConfig): ServerCredentials {
  const siteKeys = new Map(Object.entries(domains).flatMap(([domain, { siteKey }]) => (siteKey === undefined ? [] : [[domain, siteKey] as const])));
  return readServerCredentials({ siteKeys, ...(identity === undefined ? {} : { identity }), ...(hosts === undefined ? {} : { hosts }) });
}

/** See the file's header. One use only: {@link Daemon.run}. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  readonly #metrics: DaemonMetrics;
  readonly #domains: Domains;
  readonly #maintenance: Maintenance;
  readonly #failed = new Set<string>();
  #config: DaemonConfig;
  #credentials: ServerCredentials;
  #phase: Phase = 'opening';
  #server: WireServer | undefined;
  #http: HttpServer | undefined;
  #wire: Server | undefined;
  #revocations: NodeJS.Timeout | undefined;

  /** Reads the configuration and all keys. @throws {UsageError} the configuration is wrong. @throws {FormatError} a key file is none. */
  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#config = readConfigFile(options.file);
    this.#credentials = credentialsOf(this.#config);
    this.#log = makeLogger(this.#config.log.level);
    this.#metrics = makeMetrics(options.version, () => this.notReady() === undefined);
    this.#domains = new Domains({ log: this.#log, metrics: this.#metrics.store });
    this.#maintenance = new Maintenance({
      // systemd names the directory of `StateDirectory=`; of several, the first is ours.
      lastRuns: new LastRuns(this.#config.state ?? process.env['STATE_DIRECTORY']?.split(':')[0], (text) => { this.#log.warn(text); }),
      self: options.self, log: this.#log, metrics: this.#metrics.maintenance, onEnd: (domain) => { void this.#domains.refresh(domain); },
    }, this.#config);
  }

  /** Why no work is taken now; undefined when it is. */
  notReady(): string | undefined {
    if (this.#phase !== 'serving') return this.#phase === 'opening' ? 'repositories are being opened' : 'the daemon is about to stop';
    return this.#failed.size === 0 ? undefined : `these domains can not be written any more: ${[...this.#failed].join(' ')}`;
  }

  /**
   * Serves until the signal fires, then drains. Resolves when everything is closed.
   * @throws {ToolError} an address can't be had. @throws what opening a repository throws.
   */
  async run(): Promise<void> {
    const { signal, version } = this.#options;
    const log = this.#log;
    const onHangup = (): void => { this.#reload(); };
    process.on('SIGHUP', onHangup);
    try {
      this.#http = await listenHttp({ registry: this.#metrics.registry, version, notReady: () => this.notReady() }, this.#config.listen.http);
      log.info({ version, http: addressText(this.#http), config: this.#options.file }, 'daemon began');
      for (const domain of Object.keys(this.#config.domains)) {
        if (!signal.aborted) await this.#domains.open(domain, this.#config);
      }
      if (!signal.aborted) await this.#serve();
      if (!signal.aborted) await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve(); }, { once: true }); });
    } finally {
      await this.#stop();
      process.off('SIGHUP', onHangup);
    }
    log.info('daemon ended');
  }

  async #serve(): Promise<void> {
    const { listen: where, resume, connections } = this.#config;
    const current = (): ServerCredentials => this.#credentials;
    const server = new WireServer({
      world: nodeWorld('.'), domains: this.#domains.repositories, resumeMs: resume, connectionsMax: connections,
      credentials: {
        get siteKeys() { return current().siteKeys; },
        get identity() { return current().identity; },
        findHost: (key) => current().findHost(key),
      },
      onEvent: (event) => { this.#observe(event); },
    });
    this.#server = server;
    for (const domain of this.#domains.repositories.keys()) {
      this.#metrics.wire.add(domain);
      this.#metrics.maintenance.add(domain);
    }
    this.#metrics.wire.watch({ get connections() { return server.connections; }, get sessions() { return server.sessions; } });
    this.#wire = createServer({ noDelay: true }, (socket: Socket) => { void server.accept(socket, `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`); });
    await listen(this.#wire, where.wire, 'the wire');
    this.#revocations = setInterval(() => { server.cutRevoked().catch((error: unknown) => { this.#log.error({ error: (error as Error).message }, 'enrolled hosts can not be read'); }); }, REVOCATION_MS).unref();
    this.#phase = 'serving';
    this.#maintenance.schedule(this.#config);
    this.#log.info({ wire: addressText(this.#wire), domains: [...this.#domains.repositories.keys()] }, 'daemon serves');
    const { gc, check } = this.#config;
    if (gc === undefined) this.#log.info("no schedule 'gc': forgotten data is removed only by 'holdfast gc'");
    if (check === undefined) this.#log.info("no schedule 'check': damage is found only by 'holdfast check'");
  }

  #observe(event: WireEvent): void {
    this.#metrics.wire.observe(event);
    logEvent(this.#log, event);
    if (event.kind === 'failed') this.#failed.add(event.domain);
    else if (event.kind === 'committed') void this.#domains.noteCommit(event.domain, event.session);
  }

  /** SIGHUP. A configuration that is wrong changes nothing. */
  #reload(): void {
    const log = this.#log;
    try {
      const config = readConfigFile(this.#options.file);
      const later = changedAtRestart(this.#config, config);
      const now = changedNow(this.#config, config);
      const merged = mergeConfig(this.#config, config);
      const credentials = credentialsOf(merged);
      this.#config = merged;
      this.#credentials = credentials;
      log.level = merged.log.level;
      if (this.#phase === 'serving') this.#maintenance.schedule(merged);
      log.info({ changed: now }, 'configuration and keys were read again');
      if (later.length > 0) log.warn({ keys: later }, 'these changes need a restart');
    } catch (error) {
      log.error({ error: (error as Error).message }, 'the new configuration is not used');
    }
  }

  /** Ends what there is, in whichever phase. */
  async #stop(): Promise<void> {
    const log = this.#log;
    this.#phase = 'draining';
    this.#wire?.close();
    clearInterval(this.#revocations);
    log.info({ sessions: this.#server?.sessions ?? 0, drainSeconds: this.#config.drain / 1_000 }, 'daemon drains');
    try {
      await Promise.all([this.#server?.drain(this.#config.drain), this.#maintenance.stop()]);
    } finally {
      try {
        await this.#domains.close();
      } finally {
        const http = this.#http;
        http?.closeAllConnections();
        await new Promise<void>((resolve) => { if (http === undefined) resolve(); else http.close(() => { resolve(); }); });
      }
    }
  }
}
