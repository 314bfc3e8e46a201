/**
 * What a bucket costs: backup, second backup, restore and check of one large file and of many small ones, in a bucket of Ceph on loopback and in a directory of
 * the same disk, each in processes of their own. Prints seconds, requests and peak memory; only that everything comes back is checked, and that memory stays bounded.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededBytes } from '../src/core/testing/random.ts';
import type { S3Credentials } from '../src/engine/objects/s3/index.ts';
import { Bucket } from './ceph/bucket.ts';
import { BucketUser, digests } from './ceph/bucket-user.ts';
import { CephCluster, cephPrograms } from './ceph/cluster.ts';
import { Checks } from './checks.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

const LARGE_PIECES = 25;
const PIECE_BYTES = 20_000_000;
const SMALL_FILES = 10_000;
const MEGABYTES_MAX = 200;

/** 500 MB that do not compress. */
function writeLarge(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (let i = 0; i < LARGE_PIECES; i += 1) writeFileSync(path.join(directory, 'large'), seededBytes(PIECE_BYTES, i), { flag: 'a' });
}

/** Files of 1 to 8 KB, a hundred to a directory. */
function writeSmall(directory: string): void {
  for (let i = 0; i < SMALL_FILES; i += 1) {
    const sub = path.join(directory, `d${Math.floor(i / 100)}`);
    if (i % 100 === 0) mkdirSync(sub, { recursive: true });
    writeFileSync(path.join(sub, `f${i}`), seededBytes(1_000 + i % 7_000, i));
  }
}

interface Run {
  readonly seconds: number;
  readonly requests: number;
}

/** Runs all steps on one place. */
class Bench {
  readonly #checks: Checks;
  readonly #context: ScenarioContext;
  readonly #user: BucketUser;
  readonly #requests: () => number;

  constructor(parts: { readonly checks: Checks; readonly context: ScenarioContext; readonly user: BucketUser; readonly requests: () => number }) {
    this.#checks = parts.checks;
    this.#context = parts.context;
    this.#user = parts.user;
    this.#requests = parts.requests;
  }

  async steps(repository: string, source: string): Promise<ReadonlyMap<string, Run>> {
    const target = path.join(this.#context.workDirectory, 'restored');
    const runs = new Map<string, Run>();
    const backup = ['backup', source, '--repo', repository, '--json'];
    const restore = ['restore', `${repository}::latest::${source}`, target, '--json'];
    for (const [name, parameters] of [
      ['init', ['init', repository]], ['backup', backup], ['second backup', backup], ['ls -R', ['ls', '-R', `${repository}::latest`, '--json']], ['restore', restore],
      ['ls without cache', ['ls', `${repository}::latest`]], ['check', ['check', repository]], ['check --read-data', ['check', repository, '--read-data']], ['gc', ['gc', repository]],
    ] as const) {
      if (name === 'ls without cache') this.#user.loseCache();
      await sleep(300); // the gateway's log
      const before = this.#requests();
      const { status, seconds, stderr, peakMegabytes } = await this.#user.run(...parameters);
      await sleep(300);
      runs.set(name, { seconds, requests: this.#requests() - before });
      this.#checks.expect(`${repository} ${name}: ${peakMegabytes.toFixed(0)} MB`, status === 0 && peakMegabytes <= MEGABYTES_MAX, `exit ${status}, ${peakMegabytes.toFixed(0)} MB: ${stderr.slice(-300)}`);
      if (name !== 'restore') continue;
      const [expected, found] = [digests(source), digests(target)];
      this.#checks.expect('every file has its MD5', expected.size === found.size && [...expected].every(([file, digest]) => found.get(file) === digest), `${found.size} of ${expected.size} files`);
      rmSync(target, { recursive: true });
    }
    return runs;
  }
}

async function measure(checks: Checks, context: ScenarioContext, cluster: CephCluster, owner: S3Credentials): Promise<void> {
  const { workDirectory } = context;
  const requests = (): number => [...cluster.requests().values()].reduce((sum, one) => sum + one, 0);
  const bench = new Bench({ checks, context, user: new BucketUser(cluster.endpoint, owner, path.join(workDirectory, 'cache')), requests });
  for (const [name, write] of [['large', writeLarge], ['small', writeSmall]] as const) {
    const source = path.join(workDirectory, 'source', name);
    write(source);
    const local = await bench.steps(path.join(workDirectory, name), source);
    const remote = await bench.steps(`s3://speed/${name}`, source);
    for (const [step, run] of remote) {
      const base = local.get(step)?.seconds ?? Number.NaN;
      context.log(`${name}, ${step}: ${run.requests} requests, ${run.seconds.toFixed(1)} s in the bucket, ${base.toFixed(1)} s in a directory, ratio ${(run.seconds / base).toFixed(1)}`);
    }
  }
}

/** About five minutes. */
export const scenario: Scenario = {
  name: 'ceph-speed',
  needs: [...cephPrograms, 'openssl'],
  quick: false,
  run: async (context) => {
    const checks = new Checks(context);
    const cluster = await CephCluster.start(path.join(context.workDirectory, 'ceph'));
    try {
      const owner = await cluster.createUser('owner');
      const bucket = new Bucket(cluster.endpoint, 'speed', owner);
      await bucket.create();
      bucket.close();
      await measure(checks, context, cluster, owner);
      return checks.tally;
    } finally {
      await cluster.stop();
    }
  },
};
