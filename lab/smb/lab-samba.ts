/** A Samba of a scenario's own: all its state in the scenario's folder, one port of loopback, two users. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../src/core/index.ts';
import { runTool } from '../bacula/tool.ts';
import { accepts, freePort, loopback } from '../loopback.ts';

const START_MS = 60_000;
const users = { root: 'root', other: 'nobody' } as const;

/** Who connects: root, the user nobody with a password, or a guest without one. */
export type Who = keyof typeof users | 'guest';

/** How a run of smbclient ended. */
export interface ClientRun {
  readonly status: number;
  readonly said: string;
}

function configuration(directory: string, port: number): string {
  const lines = [
    '[global]', 'server role = standalone server', 'security = user', 'map to guest = Bad User', `smb ports = ${port}`, `interfaces = ${loopback}/8`, 'bind interfaces only = yes',
    'disable netbios = yes', 'load printers = no', 'printcap name = /dev/null', 'disable spoolss = yes', 'unix charset = UTF-8', `log file = ${directory}/log`,
    'usershare max shares = 0', `ncalrpc dir = ${directory}/s`, ...['lock', 'state', 'cache', 'pid'].map((name) => `${name} directory = ${directory}/s`),
    `private dir = ${directory}/s`,
  ];
  return `${lines.join('\n\t')}\n`;
}

/** See the module's comment. */
export class LabSamba {
  readonly directory: string;
  /** Its smb.conf. */
  readonly file: string;
  /** Where include files go. */
  readonly includes: string;
  readonly #port: number;
  readonly #password = randomBytes(12).toString('hex');
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.file = path.join(directory, 'smb.conf');
    this.includes = path.join(directory, 'bacula.d');
    this.#port = port;
  }

  /** Starts smbd and resolves when it listens. @throws {ToolError} */
  static async start(directory: string): Promise<LabSamba> {
    const samba = new LabSamba(directory, await freePort());
    mkdirSync(path.join(directory, 's'), { mode: 0o755 });
    writeFileSync(samba.file, configuration(directory, samba.#port));
    for (const user of Object.values(users)) await runTool(['smbpasswd', '-c', samba.file, '-s', '-a', user], { input: `${samba.#password}\n${samba.#password}\n` });
    // It makes a process group of its own, and at SIGTERM ends all of that.
    const child = spawn('smbd', ['--foreground', '-s', samba.file], { stdio: 'ignore' });
    samba.#child = child;
    samba.#ended = new Promise((resolve) => { child.once('close', () => { resolve(); }); });
    process.on('exit', () => child.kill());
    for (let waited = 0; waited < START_MS && child.exitCode === null; waited += 100) {
      if (await accepts(samba.#port)) return samba;
      await sleep(100);
    }
    await samba.stop();
    throw new ToolError(`Start smbd: it does not listen: ${existsSync(`${directory}/log`) ? readFileSync(`${directory}/log`, 'utf8').slice(-800) : ''}`);
  }

  /** Adds the line that docs tell users to add. */
  include(): void {
    appendFileSync(this.file, `[global]\ninclude = ${this.includes}/holdfast.conf\n`);
  }

  /** Ends smbd and what it started. */
  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM');
    await this.#ended;
  }

  #command(share: string, who: Who): readonly [string, ...string[]] {
    const login = who === 'guest' ? ['-N', '-U', '%'] : ['-U', `${users[who]}%${this.#password}`];
    return ['smbclient', `//${loopback}/${share}`, '-p', String(this.#port), '-s', this.file, '-t', '300', ...login];
  }

  /** Runs commands of smbclient, separated by `;`, in the folder of this Samba. */
  async client(share: string, commands: string, who: Who = 'root'): Promise<ClientRun> {
    const { status, stdout, stderr } = await runTool([...this.#command(share, who), '-c', `lcd ${this.directory}; ${commands}`] as [string, ...string[]], { anyStatus: true });
    return { status, said: `${stdout.toString()}${stderr.toString()}` };
  }

  /** A client that is connected and idle until it is ended. */
  connected(share: string): { end(): Promise<void> } {
    const [program, ...words] = this.#command(share, 'root');
    const child = spawn(program, words, { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = new Promise<void>((resolve) => { child.once('close', () => { resolve(); }); });
    child.stdin.on('error', () => undefined);
    child.stdin.write('cd deep\n');
    return { end: () => { child.stdin.end(); return ended; } };
  }

  /** Paths of all files of a share. */
  async list(share: string): Promise<ReadonlySet<string>> {
    const { status, said } = await this.client(share, 'recurse; ls');
    if (status !== 0) throw new ToolError(`List '${share}': ${said.slice(-300)}`);
    const paths = new Set<string>();
    let directory = '';
    for (const line of said.split('\n')) {
      if (line.startsWith('\\')) directory = `${line.slice(1).replaceAll('\\', '/')}/`;
      const name = /^ {2}(.+?) +[A-Z]* +\d+ {2}\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/.exec(line)?.[1];
      if (name !== undefined) paths.add(`${directory}${name}`);
    }
    return paths;
  }

  /** sha256 of files of a share, by path; what can't be read is absent. */
  async digests(share: string, files: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const local = path.join(this.directory, `got-${share}`);
    mkdirSync(local, { recursive: true });
    const commands = files.map((file, i) => `get "${file}" ${local}/${i}`).join('\n');
    await runTool(this.#command(share, 'root'), { input: `${commands}\n`, anyStatus: true });
    const found = new Map<string, string>();
    for (const [i, file] of files.entries()) {
      const copy = path.join(local, String(i));
      if (existsSync(copy)) found.set(file, createHash('sha256').update(readFileSync(copy)).digest('hex'));
    }
    return found;
  }
}
