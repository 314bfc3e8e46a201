/**
 * A whole repository in a real bucket, by the command line: several machines (cache directories) that back up, forget, collect and check at the same time, one of
 * them killed; then a lost cache, a machine that never saw the repository, a client that may not remove anything, and encryption. Every snapshot that was
 * acknowledged and not forgotten must come back with the MD5 of each file.
 */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededBytes } from '../src/core/testing/random.ts';
import { openS3Objects, type S3Credentials } from '../src/engine/objects/s3/index.ts';
import { nodeWorld } from '../src/engine/world/index.ts';
import { Bucket } from './ceph/bucket.ts';
import { BucketUser, writeSource } from './ceph/bucket-user.ts';
import { CephCluster, cephPrograms } from './ceph/cluster.ts';
import { Checks } from './checks.ts';
import { finished, jsonOf } from './holdfast.ts';
import type { Scenario } from './scenario.ts';

const SEEDS = [1, 2, 3, 4];
const FILE_BYTES = 3_000_000;

/** What the parts of the scenario work with. */
interface Stage {
  readonly checks: Checks;
  readonly cluster: CephCluster;
  readonly bucket: Bucket;
  readonly owner: S3Credentials;
  readonly client: S3Credentials;
  readonly directory: string;
}

interface Kept {
  readonly snapshot: string;
  readonly source: string;
}

function machine({ cluster, directory }: Stage, name: string, credentials: S3Credentials): BucketUser {
  return new BucketUser(cluster.endpoint, credentials, path.join(directory, 'caches', name));
}

function source({ directory }: Stage, name: string, ...seeds: readonly number[]): string {
  const made = path.join(directory, 'sources', name);
  writeSource(made, [...SEEDS, ...seeds], FILE_BYTES);
  return made;
}

async function compareAll(stage: Stage, user: BucketUser, repository: string, kept: readonly Kept[]): Promise<string> {
  for (const [i, one] of kept.entries()) {
    const difference = await user.compare(`${repository}::${one.snapshot}`, one.source, path.join(stage.directory, `restored-${i}`));
    if (difference !== '') return `${one.snapshot.slice(0, 12)}: ${difference}`;
  }
  return '';
}

async function count({ bucket, owner }: Stage, directory: string): Promise<number> {
  const objects = await openS3Objects(nodeWorld('.'), bucket.location('repository', owner), 'read');
  let found = 0;
  for await (const page of objects.list(directory)) found += page.length;
  await objects.close();
  return found;
}

/** Starts a backup of a pipe, waits until its session is announced, and kills it. */
async function killOne(stage: Stage, repository: string, cache: string): Promise<void> {
  const { checks, owner } = stage;
  const child = machine(stage, cache, owner).start('backup', '-', '--repo', repository);
  const end = finished(child);
  child.stdin?.on('error', () => undefined);
  child.stdin?.write(seededBytes(40_000_000, 51));
  const before = await count(stage, 'sessions');
  for (let tries = 0; tries < 200 && await count(stage, 'sessions') <= before; tries += 1) await sleep(50);
  await sleep(1_000); // others may have announced theirs at that moment
  child.kill('SIGKILL');
  const { status } = await end;
  checks.expect('a backup under way was killed', status === 128, `status ${status}`);
}

/** Three machines back up twice each, one with two processes on one cache directory; others forget, collect and check meanwhile. */
async function atOnce(stage: Stage, repository: string, first: Kept): Promise<readonly Kept[]> {
  const { checks, owner } = stage;
  const kept: Kept[] = [];
  const failures: string[] = [];
  const backups = ['a', 'b', 'b'].map(async (cache, i) => {
    const user = machine(stage, cache, owner);
    for (let round = 0; round < 2; round += 1) {
      const from = source(stage, `at-once-${i}-${round}`, 10 + i, 20 + round);
      const { snapshot, failure } = await user.backup(repository, from);
      if (failure === '') kept.push({ snapshot, source: from });
      else failures.push(failure);
    }
  });
  const others = (['forget', 'gc', 'check'] as const).map(async (verb) => {
    const parameters = verb === 'forget' ? [verb, repository, first.snapshot] : [verb, repository];
    for (let round = 0; round < (verb === 'forget' ? 1 : 2); round += 1) {
      const { status, stdout, stderr } = await machine(stage, `${verb}-at-once`, owner).run(...parameters);
      if (status !== 0) failures.push(`${verb}: exit ${status}: ${stdout.slice(-300)} ${stderr.slice(-300)}`);
    }
  });
  await Promise.all([...backups, ...others, killOne(stage, repository, 'killed')]);
  checks.expect('6 backups beside forget, gc and check', failures.length === 0 && kept.length === 6, failures.join('\n'));
  return kept;
}

async function concurrency(stage: Stage): Promise<void> {
  const { checks, bucket, owner } = stage;
  const repository = `s3://${bucket.name}/repository`;
  const admin = machine(stage, 'admin', owner);
  const made = await admin.run('init', repository, '--json');
  checks.expect('init in a bucket', made.status === 0, made.stderr);
  const again = await admin.run('init', repository);
  checks.expect('init a second time is refused', again.status === 1 && /there is one already/.test(again.stderr), again.stderr);
  const from = source(stage, 'first', 5, 6);
  const first = { ...await admin.backup(repository, from), source: from };
  const second = source(stage, 'second', 7);
  const before = { ...await admin.backup(repository, second), source: second };
  checks.expect('two backups', first.failure === '' && before.failure === '', first.failure + before.failure);
  const kept = [before, ...await atOnce(stage, repository, first)];
  const gc = await admin.run('gc', repository, '--fence-after', '1s', '--max-unused', '0', '--json');
  const report = gc.status === 0 ? jsonOf(gc) : {};
  const left = await count(stage, 'sessions');
  checks.expect('gc afterwards ends the killed session', gc.status === 0 && (report['waitingFor'] as unknown[]).length === 0 && left === 0, `${left} sessions: ${gc.stdout}${gc.stderr}`);
  const listed = jsonOf(await admin.run('snapshots', repository, '--json'))['snapshots'] as readonly { readonly id: string }[];
  checks.expect('all acknowledged snapshots are there, the forgotten one is not', listed.map(({ id }) => id).sort().join() === kept.map(({ snapshot }) => snapshot).sort().join(), JSON.stringify(listed.map(({ id }) => id)));
  const check = await admin.run('check', repository, '--read-data');
  checks.expect('check --read-data finds nothing', check.status === 0, check.stdout + check.stderr);
  const difference = await compareAll(stage, machine(stage, 'b', owner), repository, kept);
  checks.expect('all snapshots restore exactly on a machine of the storm', difference === '', difference);
  await lostCaches(stage, repository, kept);
}

async function lostCaches(stage: Stage, repository: string, kept: readonly Kept[]): Promise<void> {
  const { checks, owner } = stage;
  const fresh = machine(stage, 'new-machine', owner);
  const difference = await compareAll(stage, fresh, repository, kept);
  checks.expect('a machine without a cache restores all of them exactly', difference === '', difference);
  fresh.loseCache();
  const from = kept[0]?.source ?? '';
  const result = await fresh.run('backup', from, '--repo', repository, '--json');
  checks.expect('after its cache was lost it backs up and stores no data again', result.status === 0 && jsonOf(result)['chunksNew'] === 0, result.stdout + result.stderr);
  const rebuilt = await fresh.run('check', repository, '--rebuild-index');
  checks.expect('check --rebuild-index', rebuilt.status === 0, rebuilt.stdout + rebuilt.stderr);
}

/** The policy of docs/object-stores.md. */
async function appendOnlyClient(stage: Stage): Promise<void> {
  const { checks, cluster, owner, client } = stage;
  const bucket = new Bucket(cluster.endpoint, 'append-only', owner);
  await bucket.create();
  await bucket.makeAppendOnly('repository', 'client', 'owner');
  bucket.close();
  const repository = 's3://append-only/repository';
  const [admin, user] = [machine(stage, 'append-admin', owner), machine(stage, 'append-client', client)];
  await admin.run('init', repository);
  const sources = [source(stage, 'append-1', 31), source(stage, 'append-2', 32), source(stage, 'append-3', 33)];
  const kept: Kept[] = [];
  for (const from of sources) {
    const { snapshot, failure } = await user.backup(repository, from);
    checks.expect('a client that may not remove anything backs up', failure === '', failure);
    kept.push({ snapshot, source: from });
  }
  for (const parameters of [['forget', repository, kept[0]?.snapshot ?? ''], ['gc', repository]]) {
    const refused = await user.run(...parameters);
    checks.expect(`its '${parameters[0]}' is refused and says why`, refused.status === 1 && /append-only/.test(refused.stderr), refused.stdout + refused.stderr);
  }
  const own = await compareAll(stage, user, repository, kept);
  checks.expect('it restores what it stored', own === '', own);
  const forgotten = await admin.run('forget', repository, kept[0]?.snapshot ?? '', '--gc', '--max-unused', '0', '--json');
  const gc = forgotten.status === 0 ? jsonOf(forgotten)['gc'] as { readonly waitingFor: unknown[]; readonly containersRemoved: number } : undefined;
  checks.expect('the owner forgets and collects', gc?.waitingFor.length === 0 && gc.containersRemoved > 0, forgotten.stdout + forgotten.stderr);
  const rest = await compareAll(stage, user, repository, kept.slice(1));
  checks.expect('the others restore exactly for the client', rest === '', rest);
}

async function encrypted(stage: Stage): Promise<void> {
  const { checks, bucket, owner, directory } = stage;
  const repository = `s3://${bucket.name}/sealed`;
  const key = path.join(directory, 'repository.key');
  writeFileSync(key, 'correct horse battery staple\n', { mode: 0o600 });
  const user = machine(stage, 'sealed', owner);
  const made = await user.run('init', repository, '--encrypt', '--key', key);
  checks.expect('init --encrypt in a bucket', made.status === 0, made.stderr);
  const from = source(stage, 'sealed', 41);
  const { snapshot, failure } = await user.backup(repository, from, '--key', key);
  checks.expect('an encrypted backup', failure === '', failure);
  const locked = await user.run('ls', `${repository}::latest`);
  checks.expect('without a key it says so', locked.status === 2 && /key/.test(locked.stderr), locked.stdout + locked.stderr);
  user.loseCache();
  const rebuilt = await user.run('check', repository, '--rebuild-index');
  checks.expect('its index is built again without a key', rebuilt.status === 0, rebuilt.stdout + rebuilt.stderr);
  const difference = await user.compare(`${repository}::${snapshot}`, from, path.join(directory, 'unsealed'), '--key', key);
  checks.expect('it restores exactly', difference === '', difference);
}

/** What users see when the place is wrong: what was tried, on which object, with which status. */
async function refusals(stage: Stage): Promise<void> {
  const { checks, owner, client, bucket } = stage;
  const wrong = machine(stage, 'wrong', { ...owner, secretAccessKey: 'wrong' });
  for (const [what, user, repository, says] of [
    ['a wrong secret', wrong, `s3://${bucket.name}/repository`, /GET 's3:.*config'.*status '403'.*check the secret key/],
    ['a user without rights', machine(stage, 'wrong', client), `s3://${bucket.name}/repository`, /GET 's3:.*config'.*status '403'/],
    ['no such bucket', machine(stage, 'wrong', owner), 's3://absent/repository', /status '404'.*create the bucket first/],
    ['no repository there', machine(stage, 'wrong', owner), `s3://${bucket.name}/nothing`, /there is none \(no object 'config'\)/],
  ] as const) {
    const result = await user.run('snapshots', repository);
    checks.expect(`${what}: says so`, result.status === 1 && says.test(result.stderr) && !/\n\s+at /.test(result.stderr), result.stderr);
  }
}

/** About three minutes. */
export const scenario: Scenario = {
  name: 'ceph-repository',
  needs: [...cephPrograms, 'openssl'],
  quick: false,
  run: async (context) => {
    const checks = new Checks(context);
    const directory = context.workDirectory;
    const cluster = await CephCluster.start(path.join(directory, 'ceph'));
    try {
      const [owner, client] = [await cluster.createUser('owner'), await cluster.createUser('client')];
      const bucket = new Bucket(cluster.endpoint, 'repositories', owner);
      await bucket.create();
      const stage: Stage = { checks, cluster, bucket, owner, client, directory };
      for (const part of [concurrency, appendOnlyClient, encrypted, refusals]) {
        const begun = performance.now();
        await part(stage);
        context.log(`${part.name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
      }
      bucket.close();
      context.log(`requests: ${JSON.stringify(Object.fromEntries(cluster.requests()))}; memory in MB: ${JSON.stringify(cluster.memory())}`);
      return checks.tally;
    } finally {
      await cluster.stop();
      rmSync(path.join(directory, 'ceph'), { recursive: true, force: true });
    }
  },
};
