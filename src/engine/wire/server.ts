/**
 * The server's side of the wire: serves any number of repositories, each a *domain* of its own, to clients that its credentials know.
 *
 * Whoever runs it listens, hands connections to {@link WireServer.accept} and reads events. A client belongs to one domain, by its key, and can neither
 * read nor refer to anything of another. Sessions of backups survive a broken connection for `resumeMs`; nothing survives the end of the process, and a
 * client whose session is unknown fails its backup.
 */
import type { Duplex } from 'node:stream';
import { BusyError, NotFoundError, type World } from '../../core/index.ts';
import type { Repository } from '../repository/repository.ts';
import { acceptChannel, channelFault, type Channel, type ChannelOptions, type ServerCredentials } from './channel/index.ts';
import { ServerConnection, turnAway } from './server-connection.ts';
import { ServerSession, isSamePeer } from './server-session.ts';
import { ServedDomain } from './served-domain.ts';
import type { WireEvent } from './events.ts';

/** What a server serves, and to whom. */
export interface WireServerOptions {
  readonly world: World;
  /** Repositories that are open for writing, by the names that credentials use. The server does not close them. */
  readonly domains: ReadonlyMap<string, Repository>;
  readonly credentials: ServerCredentials;
  /** Milliseconds for which a session without a connection is kept. Default 120,000. */
  readonly resumeMs?: number;
  /** Connections at a time; others are refused. Each may take some 3 MiB of memory. Default 32. */
  readonly connectionsMax?: number;
  /** Times of channels; see {@link ChannelOptions}. */
  readonly channel?: Omit<ChannelOptions, 'world' | 'signal'>;
  /** Called as things happen; must not throw. */
  onEvent(event: WireEvent): void;
}

const RESUME_MS = 120_000;
const CONNECTIONS_MAX = 32;
/** Sessions that may be kept, for each connection that may be open. */
const SESSIONS_PER_CONNECTION = 4;
/** Milliseconds between two looks while a server drains. */
const DRAIN_STEP_MS = 50;

/** Where connections find sessions. */
export interface SessionTable {
  begin(token: string, domain: ServedDomain, connection: ServerConnection): Promise<ServerSession>;
  attach(token: string, domain: ServedDomain, connection: ServerConnection): ServerSession;
  /** Ends a session without a snapshot. */
  abandon(session: ServerSession, why: 'client' | 'timeout' | 'drain' | 'failure'): Promise<void>;
}

/** See the file's header. */
export class WireServer {
  readonly #options: WireServerOptions;
  readonly #domains = new Map<string, ServedDomain>();
  readonly #sessions = new Map<string, ServerSession>();
  readonly #beginning = new Map<string, Promise<ServerSession>>();
  readonly #connections = new Map<number, ServerConnection>();
  readonly #timers = new Map<string, AbortController>();
  readonly #failed = new Set<string>();
  #numbers = 0;
  #opening = 0;
  #draining = false;

  /** @throws {UsageError} a repository is open for reading only. */
  constructor(options: WireServerOptions) {
    this.#options = options;
    for (const [name, repository] of options.domains) this.#domains.set(name, new ServedDomain(name, repository));
  }

  /** Live sessions: backups that are not committed, connected or not. */
  get sessions(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (!session.isCommitted) count += 1;
    return count;
  }

  /** Live connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Serves one connection to its end; `address` is for events. Never rejects: what a peer does wrong is an event. */
  async accept(duplex: Duplex, address?: string): Promise<void> {
    const { credentials, world, channel: times, connectionsMax = CONNECTIONS_MAX } = this.#options;
    this.#opening += 1;
    let channel: Channel;
    let domain: ServedDomain;
    try {
      if (this.#connections.size + this.#opening > connectionsMax) throw new BusyError(`Accept connection: '${connectionsMax}' are open, which is the most`);
      channel = await acceptChannel(duplex, credentials, { world, ...times });
      domain = await this.#domainOf(channel);
    } catch (error) {
      duplex.destroy();
      const fault = channelFault(error);
      this.#options.onEvent({ kind: 'refused', message: error instanceof Error ? error.message : String(error), ...(fault === undefined ? {} : { fault }), ...(address === undefined ? {} : { address }) });
      return;
    } finally {
      this.#opening -= 1;
    }
    this.#numbers += 1;
    const connection = new ServerConnection({ number: this.#numbers, channel, domain, sessions: this.#table, world, onEvent: (event) => { this.#note(event); }, ...(address === undefined ? {} : { address }) });
    this.#connections.set(connection.number, connection);
    try {
      await connection.run();
    } finally {
      this.#connections.delete(connection.number);
      this.#detach(connection);
    }
  }

  /** Takes no new session; waits until those there are ended, or so many milliseconds, then cuts all connections and abandons what is left. */
  async drain(deadlineMs: number): Promise<void> {
    const { world } = this.#options;
    this.#draining = true;
    const end = world.now() + deadlineMs;
    while ((this.sessions > 0 || this.#beginning.size > 0 || [...this.#connections.values()].some((one) => one.isBusy)) && world.now() < end) await world.sleep(DRAIN_STEP_MS);
    for (const connection of this.#connections.values()) connection.cut();
    await Promise.all([...this.#sessions.values()].map((session) => this.#abandon(session, 'drain')));
    while (this.#connections.size > 0) await world.sleep(1);
    await Promise.all([...this.#domains.values()].map((domain) => domain.close()));
  }

  async #domainOf(channel: Channel): Promise<ServedDomain> {
    const { peer } = channel;
    const name = peer.kind === 'server' ? undefined : peer.domain;
    const domain = name === undefined ? undefined : this.#domains.get(name);
    if (domain !== undefined) return domain;
    const who = peer.kind === 'host' ? `host '${peer.name}'` : 'this key';
    const refusal = new NotFoundError(`Accept connection: ${who} is enrolled for domain '${name ?? ''}', which this daemon does not serve`, { domain: name ?? '' });
    await turnAway(channel, refusal);
    throw refusal;
  }

  /** Cuts the connections of hosts that may connect no more, or for another domain. Resolves when all were asked for. */
  async cutRevoked(): Promise<void> {
    for (const connection of this.#connections.values()) {
      const { peer } = connection;
      if (peer.kind !== 'host') continue;
      const host = await this.#options.credentials.findHost(peer.publicKey);
      if (host?.domain !== peer.domain) connection.cut();
    }
  }

  readonly #table: SessionTable = {
    begin: (token, domain, connection) => this.#begin(token, domain, connection),
    attach: (token, domain, connection) => this.#attach(token, domain, connection),
    abandon: (session, why) => this.#abandon(session, why),
  };

  /** A token that is known already is that of a client whose answer was lost. */
  async #begin(token: string, domain: ServedDomain, connection: ServerConnection): Promise<ServerSession> {
    if (this.#sessions.has(token) || this.#beginning.has(token)) {
      await this.#beginning.get(token);
      return this.#attach(token, domain, connection);
    }
    if (this.#draining) throw new BusyError('Begin a backup: the daemon is about to stop; try again later');
    const most = SESSIONS_PER_CONNECTION * (this.#options.connectionsMax ?? CONNECTIONS_MAX);
    if (this.#sessions.size + this.#beginning.size >= most) throw new BusyError(`Begin a backup: '${most}' are under way or wait for their clients to come back, which is the most; try again later`);
    const beginning = ServerSession.begin(token, domain, connection.peer);
    this.#beginning.set(token, beginning);
    try {
      const session = await beginning;
      this.#sessions.set(token, session);
      this.#own(session, connection);
      this.#options.onEvent({ kind: 'begun', domain: domain.name, peer: session.peer, session: session.id });
      return session;
    } finally {
      this.#beginning.delete(token);
    }
  }

  #attach(token: string, domain: ServedDomain, connection: ServerConnection): ServerSession {
    const session = this.#sessions.get(token);
    if (session === undefined || session.domain !== domain || !isSamePeer(session.peer, connection.peer)) {
      throw new NotFoundError('Go on with a backup: the daemon does not know it any more (it was restarted, or the connection was away for too long); start it again');
    }
    this.#own(session, connection);
    this.#options.onEvent({ kind: 'attached', domain: domain.name, peer: session.peer, session: session.id });
    return session;
  }

  #own(session: ServerSession, connection: ServerConnection): void {
    this.#timers.get(session.token)?.abort();
    this.#timers.delete(session.token);
    session.connection = connection.number;
    if (!this.#connections.has(connection.number)) this.#detachOne(session); // it ended while the session began
  }

  #detach(connection: ServerConnection): void {
    for (const session of this.#sessions.values()) if (session.connection === connection.number) this.#detachOne(session);
  }

  #detachOne(session: ServerSession): void {
    session.connection = undefined;
    if (!session.isCommitted) this.#options.onEvent({ kind: 'detached', domain: session.domain.name, peer: session.peer, session: session.id });
    const timer = new AbortController();
    this.#timers.set(session.token, timer);
    void this.#options.world.sleep(this.#options.resumeMs ?? RESUME_MS, timer.signal).then(async () => {
      if (!timer.signal.aborted) await this.#abandon(session, 'timeout');
    });
  }

  async #abandon(session: ServerSession, why: 'client' | 'timeout' | 'drain' | 'failure'): Promise<void> {
    if (!this.#sessions.delete(session.token)) return;
    this.#timers.get(session.token)?.abort();
    this.#timers.delete(session.token);
    await session.end().catch(() => undefined); // a collector clears what stays
    if (!session.isCommitted) this.#options.onEvent({ kind: 'abandoned', domain: session.domain.name, peer: session.peer, session: session.id, why });
  }

  #note(event: WireEvent): void {
    this.#options.onEvent(event);
    if (event.kind !== 'request' || event.code === undefined || this.#failed.has(event.domain)) return;
    const domain = this.#domains.get(event.domain);
    if (domain === undefined || (event.request !== 'put' && event.request !== 'flush' && event.request !== 'commit' && event.request !== 'begin')) return;
    void domain.isDead().then((isDead) => {
      if (!isDead || this.#failed.has(event.domain)) return;
      this.#failed.add(event.domain);
      this.#options.onEvent({ kind: 'failed', domain: event.domain, message: `The store of domain '${event.domain}' failed; it must be opened anew` });
    });
  }
}
