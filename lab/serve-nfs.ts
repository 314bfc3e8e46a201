/**
 * `holdfast serve nfs` with clients that we did not write: libnfs on this machine, eight at once, and Linux's kernel in a virtual machine; every name, fact and byte
 * that they see is compared with what our reader says itself.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ToolError } from '../src/core/index.ts';
import { openLocation } from '../src/services/locations/index.ts';
import { Checks } from './checks.ts';
import { differencesOf, shownPath, surveyTree, type CompareOptions, type TreeFacts } from './filesystems/entry-facts.ts';
import { unpackFacts } from './filesystems/guest-fill.ts';
import { GUEST_WORK, makeKernelGuest, networkModules, runInGuest } from './filesystems/kernel-guest.ts';
import { finished, startHoldfast } from './holdfast.ts';
import { imagesFolder } from './images/corpus.ts';
import { accepts, freePort, loopback } from './loopback.ts';
import { kernelFiles, nfsCompare, type KernelTask } from './nfs/kernel-task.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const START_MS = 60_000;
const GUEST_MS = 1_800_000;
/** Sessions at once. */
const SESSIONS = 8;
const NFS_EPOCH_END = 2 ** 32;
/** Modules of Linux's client, in the order of their dependencies. */
const nfsModules = ['sunrpc', 'grace', 'lockd', 'nfs_acl', 'nfs', 'nfsv3'];

/** A server in a process of its own. */
class Served {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
  }

  static async start(location: string): Promise<Served> {
    const port = await freePort();
    const child = startHoldfast(['serve', 'nfs', location, '--listen', `${loopback}:${port}`, '--json', '--quiet']);
    const served = new Served(port, child);
    for (let waited = 0; waited < START_MS && child.exitCode === null; waited += 100) {
      if (await accepts(port)) return served;
      await sleep(100);
    }
    child.kill('SIGKILL');
    throw new ToolError(`Serve '${location}': nothing listens at '${port}'`);
  }

  /** @returns its exit code. */
  async stop(): Promise<number | null> {
    const end = finished(this.#child);
    this.#child.kill('SIGTERM');
    return (await end).status;
  }
}

/** What our own reader says; times as NFS can say them. */
async function ownFacts(location: string, options: CompareOptions): Promise<TreeFacts> {
  const opened = await openLocation(location);
  try {
    const { tree } = await opened.node();
    const facts = await surveyTree(tree, options, false);
    for (const entry of facts.values()) {
      const modified = BigInt(entry.get('modified') ?? '0');
      const last = BigInt(NFS_EPOCH_END - 1) * 1_000_000_000n;
      if (modified < 0n) entry.set('modified', '0');
      else if (modified >= last + 1_000_000_000n) entry.set('modified', String(last));
    }
    return facts;
  } finally {
    await opened.close();
  }
}

/** Runs a client of libnfs to its end. @throws {ToolError} it failed. */
async function run(program: string, ...words: readonly string[]): Promise<Buffer> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, errors]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (piece: Buffer) => { out.push(piece); });
  child.stderr.on('data', (piece: Buffer) => { errors.push(piece); });
  const status = await new Promise<number | null>((resolve) => { child.once('close', resolve); });
  if (status !== 0) throw new ToolError(`Run ${program} ${words.join(' ')}: ${Buffer.concat(errors).toString().slice(0, 300)}`);
  return Buffer.concat(out);
}

function urlOf(port: number, file: string): string {
  return `nfs://${loopback}/${file.split('/').map(encodeURIComponent).join('/')}?nfsport=${port}&mountport=${port}&version=3`;
}

/** libnfs lists all names, and reads files in directories, whose names a URL can hold. */
async function libnfs(location: string, checks: Checks): Promise<void> {
  const facts = await ownFacts(location, {});
  const served = await Served.start(location);
  try {
    const listed = (await run('nfs-ls', '-R', urlOf(served.port, ''))).toString().split('\n').filter((line) => line !== '').length;
    const names = [...facts.keys()].filter((key) => key !== '' && !key.includes('\n')).length;
    // A name with a line feed gives two lines.
    const broken = [...facts.keys()].filter((key) => key.includes('\n')).length;
    checks.expect(`libnfs lists the ${names + broken} names`, listed >= names + broken && listed <= names + 2 * broken, `${listed} lines`);
    const files = [...facts].filter(([key, entry]) => /^[\w./-]+\/[\w.-]+$/.test(key) && entry.has('content')).slice(0, 400);
    const wrong: string[] = [];
    let next = 0;
    const session = async (): Promise<void> => {
      for (let file = files[next++]; file !== undefined; file = files[next++]) {
        const [key, entry] = file;
        const found = createHash('sha256').update(await run('nfs-cat', urlOf(served.port, key))).digest('hex');
        if (found !== entry.get('content')) wrong.push(`${shownPath(key)}: ${found}`);
      }
    };
    await Promise.all(Array.from({ length: SESSIONS }, session));
    checks.expect(`libnfs reads ${files.length} files, ${SESSIONS} sessions at once`, wrong.length === 0 && files.length > 20, wrong.slice(0, 5).join('\n'));
  } finally {
    checks.expect('the server ends as asked', await served.stop() === 0, 'another exit code');
  }
}

function imageOf(name: string): string {
  return path.join(imagesFolder() ?? '', `${name}.raw::/`);
}

function skipped(context: ScenarioContext): Tally {
  context.log('skip: no corpus of images');
  return { passed: 0, failed: 0, skipped: 1 };
}

/** libnfs only. */
export const scenario: Scenario = {
  name: 'serve-nfs', needs: ['nfs-ls', 'nfs-cat'], quick: true,
  run: async (context) => {
    if (imagesFolder() === undefined) return skipped(context);
    const checks = new Checks(context);
    await libnfs(imageOf('ext4-default'), checks);
    return checks.tally;
  },
};

async function kernel(context: ScenarioContext): Promise<Tally> {
  if (imagesFolder() === undefined) return skipped(context);
  const checks = new Checks(context);
  const names = ['ext4-default', 'xfs-v5', 'btrfs-single', 'ntfs-4k', 'fat32'];
  const work = path.join(context.workDirectory, 'work');
  mkdirSync(work);
  const guest = await makeKernelGuest(path.join(context.workDirectory, 'guest'), [...networkModules, ...nfsModules]);
  const servers = await Promise.all(names.map((name) => Served.start(imageOf(name))));
  try {
    const task: KernelTask = { ports: servers.map(({ port }) => port) };
    writeFileSync(path.join(work, kernelFiles.task), JSON.stringify(task));
    const log = await runInGuest(guest, work, fileURLToPath(new URL('./nfs/kernel-client.js', import.meta.url)), { timeoutMs: GUEST_MS, network: true });
    checks.expect(`Linux's client mounts and reads ${names.length} exports (in a guest, '${GUEST_WORK}')`, log.includes(kernelFiles.done), log.slice(-800));
    for (const [i, name] of names.entries()) {
      const seen = unpackFacts(readFileSync(path.join(work, kernelFiles.facts(servers[i]?.port ?? 0)), 'utf8'));
      const differences = differencesOf(seen, await ownFacts(imageOf(name), nfsCompare), nfsCompare);
      checks.expect(`${name}: the kernel sees what we read (${seen.size} entries)`, differences.length === 0 && seen.size > 100, differences.slice(0, 8).join('\n'));
    }
  } finally {
    for (const [i, server] of servers.entries()) {
      // NTFS and FAT of the corpus have names of more than 255 bytes, which no client takes: left out, said, and code 3.
      const expected = /^(ntfs|fat)/.test(names[i] ?? '') ? 3 : 0;
      const found = await server.stop();
      checks.expect(`the server of ${names[i] ?? ''} ends as asked, code ${expected}`, found === expected, `code ${String(found)}`);
    }
  }
  return checks.tally;
}

/** Linux's own client. */
export const kernelScenario: Scenario = { name: 'serve-nfs-kernel', needs: ['root', 'qemu-system-x86_64', 'busybox', 'cpio', 'dpkg-deb'], quick: false, run: kernel };
