/** A daemon as a process of its own, with keys, a repository and a configuration in a folder; and the command line of its clients. */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { finished, holdfast, jsonOf, startHoldfast, type HoldfastResult } from '../holdfast.ts';
import { freePort, loopback } from '../loopback.ts';
import { until } from '../until.ts';

/** A daemon that runs. */
export interface RunningDaemon {
  readonly process: ChildProcess;
  readonly ended: Promise<HoldfastResult>;
}

/** See the file's header. */
export class DaemonSite {
  readonly root: string;
  readonly repository: string;
  readonly siteKey: string;
  readonly hosts: string;
  readonly wirePort: number;
  readonly httpPort: number;
  /** Lines of YAML after the usual ones. */
  more: readonly string[] = [];

  private constructor(root: string, ports: readonly [number, number]) {
    this.root = root;
    this.repository = path.join(root, 'repository');
    this.siteKey = path.join(root, 'site.key');
    this.hosts = path.join(root, 'hosts');
    [this.wirePort, this.httpPort] = ports;
  }

  /** Makes repository and keys. */
  static async make(root: string): Promise<DaemonSite> {
    const site = new DaemonSite(root, [await freePort(), await freePort()]);
    await site.must(['init', site.repository]);
    await site.must(['enroll', '--site-key', site.siteKey]);
    return site;
  }

  /** Runs the command line, which must end with 0. @throws {Error} with what it said. */
  async must(words: readonly string[]): Promise<HoldfastResult> {
    const result = await holdfast(words);
    if (result.status !== 0) throw new Error(`Run 'holdfast ${words.join(' ')}': exit '${result.status}'\n${result.stderr}`);
    return result;
  }

  /** Starts the daemon and waits until it is ready. */
  async start(): Promise<RunningDaemon> {
    const file = path.join(this.root, 'daemon.yaml');
    writeFileSync(file, [
      `listen: { wire: '${loopback}:${this.wirePort}', http: '${loopback}:${this.httpPort}' }`, `hosts: ${this.hosts}`, `domains: { default: { repository: ${this.repository}, siteKey: ${this.siteKey} } }`,
      ...this.more, '',
    ].join('\n'), { mode: 0o600 });
    const child = startHoldfast(['daemon', '--config', file]);
    child.stdin?.end();
    const ended = finished(child);
    let isOver = false;
    void ended.then(() => { isOver = true; });
    await until('the daemon is ready', async () => {
      if (isOver) throw new Error(`Start the daemon: it ended\n${(await ended).stderr}`);
      return (await this.get('/readyz')).status === 200;
    });
    return { process: child, ended };
  }

  /** Asks the daemon over HTTP; status 0 when it does not answer. */
  async get(what: string): Promise<{ readonly status: number; readonly body: string }> {
    try {
      const response = await fetch(`http://${loopback}:${this.httpPort}${what}`);
      return { status: response.status, body: await response.text() };
    } catch {
      return { status: 0, body: '' };
    }
  }

  /** A sample of its metrics as it stands there, labels included; NaN when there is none. */
  async metric(sample: string): Promise<number> {
    const { body } = await this.get('/metrics');
    const line = body.split('\n').find((one) => one.startsWith(`${sample} `));
    return line === undefined ? Number.NaN : Number(line.slice(sample.length + 1));
  }

  /** Bytes on sockets in both directions, as metrics have them. */
  async wireBytes(): Promise<number> {
    return await this.metric('gdd_wire_received_bytes_total{domain="default"}') + await this.metric('gdd_wire_sent_bytes_total{domain="default"}');
  }

  /** Where clients find it, directly or through a proxy. */
  location(port: number = this.wirePort): string {
    return `holdfast://${loopback}:${port}`;
  }

  /** The command line of a backup through a port, with any key. */
  backupWords(source: string, port: number = this.wirePort, key: string = this.siteKey): readonly string[] {
    return ['backup', source, '--repo', this.location(port), '--wire-key', key, '--cache-dir', path.join(this.root, 'cache'), '--json'];
  }

  /** Ids of all snapshots, as a look into the repository itself tells. */
  async snapshots(): Promise<readonly string[]> {
    const { snapshots } = jsonOf(await this.must(['snapshots', this.repository, '--json'])) as { readonly snapshots: readonly { readonly id: string }[] };
    return snapshots.map(({ id }) => id);
  }
}
