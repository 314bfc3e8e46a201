/** Runs in a guest with the kernel modules of ZFS: makes each pool, grows trees in its datasets, and writes down what the kernel shows after another import. */
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { surveyTree, type TreeFacts } from './entry-facts.ts';
import { packFacts } from './guest-fill.ts';
import { growTree, type TreeProfile } from './random-tree.ts';
import type { ZfsKit } from './zfs-kit.ts';

/** A dataset below the pool's own. */
export interface DatasetJob {
  readonly name: string;
  readonly properties: readonly string[];
  /** What is typed when it asks for its key. */
  readonly key?: string;
}

/** One pool. */
export interface PoolJob {
  readonly name: string;
  /** Files `m0`, `m1` … and the bytes of each. */
  readonly members: number;
  readonly memberBytes: number;
  /** Parameters of `zpool create` before the pool's name, and its devices. */
  readonly options: readonly string[];
  readonly devices: readonly string[];
  readonly datasets: readonly DatasetJob[];
  /** Parameters of the kernel module for the time of this pool. */
  readonly tunables: Readonly<Record<string, string>>;
  /** `remove` takes out the last top-level device; `crash` copies the members while the pool is in use. */
  readonly after: 'export' | 'remove' | 'crash';
  readonly seed: number;
  readonly profile: TreeProfile;
}

/** Names of files in the guest's folder. */
export const zfsFiles = {
  jobs: 'jobs.json', done: 'ZFS-FILL-DONE', member: (pool: string, i: number): string => `${pool}-m${i}`, facts: (pool: string): string => `${pool}.facts.json`,
} as const;

const MOUNT = '/mnt/fs';
const POOLS = '/mnt/pools';

function run(program: string, parameters: readonly string[], input?: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { encoding: 'utf8', ...(input === undefined ? {} : { input }) });
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: ${error?.message ?? stderr}`);
  return stdout.trim();
}

const factsOf = async (directory: string, below: readonly string[]): Promise<string> => {
  const tree = new PosixTree({ root: Buffer.from(directory) });
  try {
    const found: TreeFacts = await surveyTree(tree, { omit: ['accessed'], ignore: (place) => below.includes(place) }, false);
    return packFacts(found);
  } finally {
    await tree.close();
  }
};

class PoolFiller {
  readonly #job: PoolJob;
  readonly #work: string;
  readonly #facts: Record<string, string> = {};

  constructor(job: PoolJob, work: string) {
    this.#job = job;
    this.#work = work;
  }

  #names(): readonly string[] {
    return this.#job.datasets.map(({ name }) => name);
  }

  #copyTo(folder: string, prefix: string): void {
    for (let i = 0; i < this.#job.members; i += 1) run('cp', ['--sparse=always', path.join(POOLS, `m${i}`), path.join(folder, `${prefix}m${i}`)]);
  }

  async fill(): Promise<void> {
    const { name, members, memberBytes, options, devices, datasets, tunables, seed, profile } = this.#job;
    for (const [tunable, value] of Object.entries(tunables)) writeFileSync(`/sys/module/zfs/parameters/${tunable}`, value);
    for (let i = 0; i < members; i += 1) {
      writeFileSync(path.join(POOLS, `m${i}`), '');
      truncateSync(path.join(POOLS, `m${i}`), memberBytes);
    }
    run('zpool', ['create', '-f', '-o', 'cachefile=none', '-O', 'atime=off', '-m', MOUNT, ...options, name, ...devices.map((one) => one.replace(/^m(?=\d)/, `${POOLS}/m`))]);
    growTree(MOUNT, seed, { ...profile, steps: Math.ceil(profile.steps / 4), contentBytes: profile.contentBytes / 4 });
    for (const dataset of datasets) {
      run('zfs', ['create', ...dataset.properties.flatMap((one) => ['-o', one]), `${name}/${dataset.name}`], dataset.key === undefined ? undefined : `${dataset.key}\n`);
      growTree(path.join(MOUNT, dataset.name), seed ^ dataset.name.length * 7919, profile);
    }
    await this.#snapshot();
    if (this.#job.after === 'remove') await this.#remove();
    if (this.#job.after === 'crash') this.#crash();
    else {
      run('zpool', ['export', name]);
      this.#copyTo(this.#work, `${name}-`);
    }
    await this.#survey();
  }

  /** What a snapshot shows must stay when the dataset goes on. */
  async #snapshot(): Promise<void> {
    const { name, datasets, seed, profile } = this.#job;
    const [first] = datasets;
    if (first === undefined) return;
    const directory = path.join(MOUNT, first.name);
    this.#facts[`${name}/${first.name}@s1`] = await factsOf(directory, []);
    run('zfs', ['snapshot', `${name}/${first.name}@s1`]);
    mkdirSync(path.join(directory, 'after the snapshot'));
    growTree(path.join(directory, 'after the snapshot'), seed + 1, { ...profile, steps: 60, bigDirectoryEntries: 0, contentBytes: 2 << 20 });
    const doomed = run('ls', ['-A', directory]).split('\n').filter((one) => /^[\w. -]+$/.test(one) && one !== 'after the snapshot');
    for (const one of doomed.slice(0, Math.ceil(doomed.length / 2))) rmSync(path.join(directory, one), { recursive: true, force: true });
  }

  async #remove(): Promise<void> {
    const { name, devices } = this.#job;
    run('zpool', ['remove', '-w', name, `${POOLS}/${devices.at(-1) ?? ''}`]);
    run('zpool', ['sync', name]);
  }

  /** Changes that are only in the intent log, then the members as a power cut would leave them; `m…` become what the kernel makes of that. */
  #crash(): void {
    const { name, seed, profile } = this.#job;
    // The time until the next transaction group is looked at when one ends.
    writeFileSync('/sys/module/zfs/parameters/zfs_txg_timeout', '3600');
    run('zpool', ['sync', name]);
    const places = [MOUNT, ...this.#names().map((one) => path.join(MOUNT, one))];
    // The first commit of a log waits for a transaction group: it must be over before what is to stay in the log.
    for (const place of places) {
      mkdirSync(path.join(place, 'in the log'));
      run('sync', ['-f', place]);
    }
    places.forEach((place, i) => {
      growTree(path.join(place, 'in the log'), seed + 10 + i, { ...profile, steps: 40, bigDirectoryEntries: 0, contentBytes: 1 << 20 });
    });
    for (const place of places) run('sync', ['-f', path.join(place, 'in the log')]);
    this.#copyTo(this.#work, `${name}-`);
    writeFileSync('/sys/module/zfs/parameters/zfs_txg_timeout', '5');
    run('zpool', ['export', name]);
    for (let i = 0; i < this.#job.members; i += 1) run('cp', ['--sparse=always', path.join(this.#work, `${name}-m${i}`), path.join(POOLS, `m${i}`)]);
    run('zpool', ['import', '-f', '-N', '-d', POOLS, '-o', 'cachefile=none', name]);
    run('zpool', ['export', name]);
  }

  async #survey(): Promise<void> {
    const { name, datasets } = this.#job;
    run('zpool', ['import', '-N', '-d', POOLS, '-o', 'cachefile=none', name]);
    for (const { name: dataset, key } of datasets) if (key !== undefined) run('zfs', ['load-key', `${name}/${dataset}`], `${key}\n`);
    run('zfs', ['mount', name]);
    for (const dataset of this.#names()) run('zfs', ['mount', `${name}/${dataset}`]);
    this.#facts[name] = await factsOf(MOUNT, this.#names());
    for (const dataset of this.#names()) this.#facts[`${name}/${dataset}`] = await factsOf(path.join(MOUNT, dataset), []);
    writeFileSync(path.join(this.#work, zfsFiles.facts(name)), JSON.stringify(this.#facts));
  }

  /** Whatever state it is in, nothing is left of the pool. */
  clear(): void {
    spawnSync('zpool', ['destroy', '-f', this.#job.name]);
    for (const tunable of Object.keys(this.#job.tunables)) writeFileSync(`/sys/module/zfs/parameters/${tunable}`, tunable === 'metaslab_force_ganging' ? '16777217' : '0');
    rmSync(POOLS, { recursive: true, force: true });
    mkdirSync(POOLS);
  }
}

function prepare({ modules, root }: Pick<ZfsKit, 'modules' | 'root'>): void {
  for (const file of modules) run('insmod', [file]);
  process.env['LD_LIBRARY_PATH'] = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((part) => path.join(root, part)).join(':');
  process.env['PATH'] = `${path.join(root, 'sbin')}:${process.env['PATH'] ?? ''}`;
  mkdirSync(POOLS, { recursive: true });
}

const work = process.argv[2];
if (process.argv[1] === import.meta.filename && work !== undefined) {
  const { kit, jobs } = JSON.parse(readFileSync(path.join(work, zfsFiles.jobs), 'utf8')) as { readonly kit: Pick<ZfsKit, 'modules' | 'root'>; readonly jobs: readonly PoolJob[] };
  prepare(kit);
  for (const job of jobs) {
    const filler = new PoolFiller(job, work);
    try {
      await filler.fill();
      console.log(`filled ${job.name}`);
    } catch (error) {
      console.log(`failed ${job.name}: ${String(error)}`);
    } finally {
      filler.clear();
    }
  }
  console.log(zfsFiles.done);
}
