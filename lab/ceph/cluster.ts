/**
 * A small Ceph of one monitor, one OSD (BlueStore in a file) and one RADOS gateway, children of this process, on loopback only. No manager: nothing
 * here asks for statistics, and it takes more memory than the other three together. `stop` ends the daemons by their process ids.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../src/core/index.ts';
import type { S3Credentials } from '../../src/engine/objects/s3/signature.ts';
import { runTool } from '../bacula/tool.ts';
import { findProgram } from '../environment.ts';
import { accepts, freePort, loopback } from '../loopback.ts';

/** Programs of Debian's packages ceph-mon, ceph-osd, ceph-common, ceph-base and radosgw. */
export const cephPrograms: readonly string[] = ['ceph', 'ceph-authtool', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin'];

interface Ports {
  readonly monitor: number;
  readonly gateway: number;
  readonly secureGateway: number;
}

function configuration(directory: string, cluster: string, ports: Ports): string {
  const address = `[v2:${loopback}:${ports.monitor}]`;
  return `[global]
fsid = ${cluster}
mon host = ${address}
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv6 = false
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = ${directory}/keyring
run dir = ${directory}/run
admin socket =
pid file =
log file = ${directory}/log/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 2
mon data avail crit = 1
[mon]
mon data = ${directory}/mon
[osd]
osd data = ${directory}/osd
osd objectstore = bluestore
osd memory target = 939524096
bluestore block size = 8589934592
bluestore block create = true
[client.rgw]
keyring = ${directory}/keyring
rgw data = ${directory}/rgw
rgw frontends = beast endpoint=${loopback}:${ports.gateway} ssl_endpoint=${loopback}:${ports.secureGateway} ssl_certificate=${directory}/gateway.crt ssl_private_key=${directory}/gateway.key
`;
}

/** See the module's comment. */
export class CephCluster {
  /** `http://127.0.0.1:PORT` of the gateway. */
  readonly endpoint: string;
  /** `https://127.0.0.1:PORT`, with a certificate of its own. */
  readonly secureEndpoint: string;
  /** File of that certificate. */
  readonly certificate: string;
  readonly #directory: string;
  readonly #ports: Ports;
  readonly #children: ChildProcess[] = [];

  private constructor(directory: string, ports: Ports) {
    this.#directory = directory;
    this.#ports = ports;
    this.endpoint = `http://${loopback}:${ports.gateway}`;
    this.secureEndpoint = `https://${loopback}:${ports.secureGateway}`;
    this.certificate = path.join(directory, 'gateway.crt');
  }

  /** Makes an empty cluster below `directory` and resolves when the gateway answers, in about 15 seconds. @throws {ToolError} with the log's end. */
  static async start(directory: string): Promise<CephCluster> {
    for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) mkdirSync(path.join(directory, name), { recursive: true });
    const cluster = new CephCluster(directory, { monitor: await freePort(), gateway: await freePort(), secureGateway: await freePort() });
    try {
      await cluster.#startAll();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Makes a user of the gateway. */
  async createUser(name: string): Promise<S3Credentials> {
    const credentials = { accessKeyId: name.toUpperCase().padEnd(20, 'X'), secretAccessKey: randomBytes(20).toString('hex') };
    await this.#run('radosgw-admin', '-n', 'client.rgw', 'user', 'create', `--uid=${name}`, `--display-name=${name}`, `--access-key=${credentials.accessKeyId}`, `--secret-key=${credentials.secretAccessKey}`);
    return credentials;
  }

  /** Resident memory of the daemons, in MB (10^6 bytes), by program. */
  memory(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#children.map((child) => {
      const kibibytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1];
      return [path.basename(child.spawnfile), Math.round(Number(kibibytes) * 1024 / 1e6)];
    }));
  }

  /** Requests that the gateway answered so far, by method: from its log, which lags behind a little. */
  requests(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const [, method = ''] of readFileSync(path.join(this.#directory, 'log', 'client.rgw.log'), 'latin1').matchAll(/ beast: .*?"([A-Z]+) \//g)) counts.set(method, (counts.get(method) ?? 0) + 1);
    return counts;
  }

  /** Ends the daemons by their ids and resolves when they are gone; idempotent. What they stored is not wanted any more. */
  async stop(): Promise<void> {
    for (const child of this.#children.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
  }

  get #configuration(): string {
    return path.join(this.#directory, 'ceph.conf');
  }

  async #startAll(): Promise<void> {
    const [cluster, keyring, map] = [randomUUID(), path.join(this.#directory, 'keyring'), path.join(this.#directory, 'monmap')];
    writeFileSync(this.#configuration, configuration(this.#directory, cluster, this.#ports));
    const key = (name: string, capabilities: Readonly<Record<string, string>>): Promise<string> => this.#run(
      'ceph-authtool', '-C', `${keyring}.new`, '--gen-key', '-n', name, ...Object.entries(capabilities).flatMap(([daemon, may]) => ['--cap', daemon, may]));
    const keys = { 'mon.': { mon: 'allow *' }, 'client.admin': { mon: 'allow *', osd: 'allow *' }, 'client.rgw': { mon: 'allow *', osd: 'allow *' }, 'osd.0': { mon: 'allow profile osd', osd: 'allow *' } };
    for (const [name, capabilities] of Object.entries(keys)) {
      await key(name, capabilities);
      writeFileSync(keyring, readFileSync(`${keyring}.new`), { flag: 'a', mode: 0o600 });
    }
    await this.#run('monmaptool', '--create', '--fsid', cluster, '--addv', 'a', `[v2:${loopback}:${this.#ports.monitor}]`, map);
    await this.#run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '--keyring', keyring);
    await this.#startDaemon('ceph-mon', ['-i', 'a'], this.#ports.monitor);
    const osd = randomUUID();
    await this.#run('ceph', 'osd', 'new', osd);
    await this.#run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd);
    await this.#startDaemon('ceph-osd', ['-i', '0']);
    const subject = ['-subj', '/CN=gateway', '-addext', `subjectAltName=IP:${loopback}`];
    await runTool(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', path.join(this.#directory, 'gateway.key'), '-out', this.certificate]);
    await this.#startDaemon('radosgw', ['-n', 'client.rgw'], this.#ports.gateway);
  }

  async #run(program: string, ...parameters: readonly string[]): Promise<string> {
    const result = await runTool([this.#program(program), '-c', this.#configuration, ...parameters], { timeoutMs: 120_000 });
    return result.stdout.toString();
  }

  #program(name: string): string {
    const found = findProgram(name);
    if (found === undefined) throw new ToolError(`Run '${name}': it is not on PATH`);
    return found;
  }

  async #startDaemon(name: string, parameters: readonly string[], port?: number): Promise<void> {
    const log = path.join(this.#directory, 'log', `${name}.out`);
    const output = openSync(log, 'a');
    const child = spawn(this.#program(name), ['-f', '-c', this.#configuration, ...parameters], { stdio: ['ignore', output, output] });
    closeSync(output);
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));
    // A crash of this process must not leave daemons behind.
    process.on('exit', () => child.kill('SIGKILL'));
    this.#children.push(child);
    for (let tries = 0; tries < 600 && failure === undefined && child.exitCode === null; tries += 1) {
      if (port === undefined || await accepts(port)) return;
      await sleep(100);
    }
    throw new ToolError(`Start '${name}': it does not listen on '${loopback}:${port}': ${readFileSync(log, 'utf8').slice(-1500)}`, {}, failure);
  }
}
