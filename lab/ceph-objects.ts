/**
 * Objects in a real bucket: a Ceph of three daemons on loopback, the suite of ObjectStore with races of creators, a proxy that loses requests and
 * answers, a bucket that nobody may remove from, and one with versions, for which this gateway forgets the condition that everything rests on.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BusyError, NotFoundError, ToolError, UnsupportedError, readObject } from '../src/core/index.ts';
import { openS3Objects, type S3Credentials } from '../src/engine/objects/s3/index.ts';
import { nodeWorld } from '../src/engine/world/index.ts';
import { Bucket } from './ceph/bucket.ts';
import { CephCluster, cephPrograms } from './ceph/cluster.ts';
import { checkFaults } from './ceph/fault-checks.ts';
import { Checks } from './checks.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

interface Users {
  readonly owner: S3Credentials;
  readonly writer: S3Credentials;
}

/** Runs the suite over TLS in a process of its own, because it is a file of tests and certificates are read at the start, and counts its tests. */
async function runSuite(context: ScenarioContext, cluster: CephCluster, owner: S3Credentials): Promise<Tally> {
  const bucket = new Bucket(cluster.endpoint, 'suite', owner);
  await bucket.create();
  bucket.close();
  const file = fileURLToPath(new URL('./ceph/object-suite.js', import.meta.url));
  const environment = { AWS_ACCESS_KEY_ID: owner.accessKeyId, AWS_SECRET_ACCESS_KEY: owner.secretAccessKey, AWS_ENDPOINT_URL: cluster.secureEndpoint, NODE_EXTRA_CA_CERTS: cluster.certificate, HOLDFAST_LAB_BUCKET: bucket.name };
  const child = spawn(process.execPath, ['--test', '--test-reporter=spec', file], { env: { ...process.env, ...environment, FORCE_COLOR: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text; });
  const status = await new Promise<number | null>((resolve, reject) => { child.on('error', reject).on('close', resolve); });
  // Counts of the closing lines; a run that ended otherwise is one failure.
  const count = (label: string): number => Number(new RegExp(`^ℹ ${label} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  for (const line of output.split('\n')) if (line.startsWith('✔')) context.log(line.replace('✔', 'pass'));
  if (status !== 0) context.log(output);
  return { passed: count('pass'), failed: Math.max(count('fail'), status === 0 && count('pass') > 0 ? 0 : 1), skipped: 0 };
}

/** The policy of docs/object-stores.md: a backup client that was taken over can't remove anything, and its backups work on. */
async function checkAppendOnly(checks: Checks, cluster: CephCluster, { owner, writer }: Users): Promise<void> {
  const bucket = new Bucket(cluster.endpoint, 'append-only', owner);
  await bucket.create();
  await bucket.makeAppendOnly('repository', 'writer', 'owner');
  const store = await openS3Objects(nodeWorld('.'), bucket.location('repository', writer), 'write');
  const found = await store.capabilities();
  checks.expect('a client without the right to remove creates, and is told so', found.putIfAbsent && found.listAfterPut && !found.remove, JSON.stringify(found));
  await store.put('manifests/a', Uint8Array.of(1));
  const again = await store.put('manifests/a', Uint8Array.of(2)).catch((error: unknown) => error);
  const removal = await store.remove('manifests/a').catch((error: unknown) => error);
  checks.expect('it can neither create an object again nor remove it', again instanceof BusyError && removal instanceof UnsupportedError, `${String(again)}, ${String(removal)}`);
  const hiding = await Promise.all(['tombstones/a', 'condemned/00000001', 'reprieved/00000001', 'keys/slot-a'].map((name) => store.put(name, Uint8Array.of(1)).then(() => name, () => '')));
  checks.expect('nor create what would take something out of sight', hiding.join('') === '', hiding.join());
  await store.close();
  const all = await openS3Objects(nodeWorld('.'), bucket.location('repository', owner), 'write');
  const bytes = await readObject(all, 'manifests/a', () => undefined);
  await all.remove('manifests/a');
  const gone = await all.open('manifests/a').catch((error: unknown) => error);
  checks.expect("the owner reads and removes the client's objects", bytes[0] === 1 && gone instanceof NotFoundError, `${bytes[0]}, ${String(gone)}`);
  await all.close();
  bucket.close();
}

/** This process does not know the gateway's certificate. */
async function checkCertificate(checks: Checks, cluster: CephCluster, owner: S3Credentials): Promise<void> {
  const location = { endpoint: cluster.secureEndpoint, region: 'us-east-1', bucket: 'suite', prefix: '', pathStyle: true, credentials: owner };
  const failure = await openS3Objects(nodeWorld('.'), location, 'write', { attempts: 2 }).then((store) => store.close(), (error: unknown) => error);
  checks.expect('a certificate that nobody vouches for is refused', failure instanceof ToolError && /certificate/.test(failure.message), String(failure));
}

/** RGW 16.2 ignores `If-None-Match` where versions are kept: it must be noticed, not trusted. */
async function checkVersions(checks: Checks, cluster: CephCluster, owner: S3Credentials): Promise<void> {
  const bucket = new Bucket(cluster.endpoint, 'versions', owner);
  await bucket.create();
  await bucket.enableVersioning();
  const failure = await openS3Objects(nodeWorld('.'), bucket.location('', owner), 'write').then((store) => store.close(), (error: unknown) => error);
  checks.expect('a bucket whose conditions are ignored is refused for writing', failure instanceof UnsupportedError, String(failure));
  bucket.close();
}

/** About a minute. */
export const scenario: Scenario = {
  name: 'ceph-objects',
  needs: [...cephPrograms, 'openssl'],
  quick: false,
  run: async (context) => {
    const checks = new Checks(context);
    const cluster = await CephCluster.start(path.join(context.workDirectory, 'ceph'));
    try {
      const users: Users = { owner: await cluster.createUser('owner'), writer: await cluster.createUser('writer') };
      const suite = await runSuite(context, cluster, users.owner);
      const bucket = new Bucket(cluster.endpoint, 'faults', users.owner);
      await bucket.create();
      await checkFaults(checks, bucket, cluster.endpoint, { owner: users.owner, seed: context.seed });
      bucket.close();
      await checkAppendOnly(checks, cluster, users);
      await checkCertificate(checks, cluster, users.owner);
      await checkVersions(checks, cluster, users.owner);
      context.log(`memory in MB: ${JSON.stringify(cluster.memory())}`);
      const { passed, failed, skipped } = checks.tally;
      return { passed: passed + suite.passed, failed: failed + suite.failed, skipped };
    } finally {
      await cluster.stop();
    }
  },
};
