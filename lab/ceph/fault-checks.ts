/** A real store behind a proxy that loses, doubles and garbles: whether creators are told the truth. */
import { BusyError, ToolError, readObject, type ObjectStore } from '../../src/core/index.ts';
import { seededBytes, seededRandom } from '../../src/core/testing/random.ts';
import { openS3Objects, type S3Credentials } from '../../src/engine/objects/s3/index.ts';
import { FaultProxy, faults, type Fault } from '../../src/engine/objects/s3/testing/fault-proxy.ts';
import { nodeWorld } from '../../src/engine/world/index.ts';
import type { Checks } from '../checks.ts';
import type { Bucket } from './bucket.ts';

const CREATORS = 6;
const ROUNDS = 40;

async function contentOf(store: ObjectStore, name: string): Promise<Uint8Array> {
  return readObject(store, name, () => undefined);
}

/** Each fault at the first attempt of a creation of 5 MiB (more than RGW keeps in one RADOS object), then whether the name is taken. */
async function singleFaults(checks: Checks, store: ObjectStore, proxy: FaultProxy): Promise<void> {
  for (const fault of faults) {
    const body = seededBytes(5 << 20, fault.length);
    const name = `containers/00/${fault}`;
    const first = (proxy.counts.get('PUT') ?? 0) + 1;
    proxy.plan = (method, number) => (method === 'PUT' && number === first ? fault : 'pass');
    const failure = await store.put(name, body).then(() => undefined, String);
    proxy.plan = () => 'pass';
    await proxy.release();
    const same = failure === undefined && Buffer.compare(await contentOf(store, name), body) === 0;
    const again = await store.put(name, body).then(() => 'created twice', (error: unknown) => (error instanceof BusyError ? '' : String(error)));
    checks.expect(`'${fault}' at a creation: done once, byte-exact`, same && again === '', `${failure ?? 'bytes differ'} ${again}`);
  }
}

/** Creators of one name at the same time, each request with a random fault. */
async function storm(checks: Checks, store: ObjectStore, proxy: FaultProxy, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const kinds: readonly Fault[] = ['pass', 'pass', 'pass', ...faults.filter((fault) => fault !== 'silent')];
  const told = { won: 0, lost: 0, unknown: 0 };
  const wrong: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = `manifests/${round}`;
    proxy.plan = (method) => (method === 'PUT' || method === 'HEAD' ? kinds[Math.floor(random() * kinds.length)] ?? 'pass' : 'pass');
    const outcomes = await Promise.allSettled(Array.from({ length: CREATORS }, (_, i) => store.put(name, seededBytes(20_000 + i, i))));
    proxy.plan = () => 'pass';
    await proxy.release();
    const owner = (await contentOf(store, name).catch(() => new Uint8Array(0))).length - 20_000;
    for (const [i, outcome] of outcomes.entries()) {
      const answer = outcome.status === 'fulfilled' ? 'won' : outcome.reason instanceof BusyError ? 'lost' : 'unknown';
      told[answer] += 1;
      const unsure = outcome.status === 'rejected' && outcome.reason instanceof ToolError && outcome.reason.data['unsure'] === true;
      if (answer === 'won' ? owner !== i : owner === i && !unsure) wrong.push(`round ${round}: creator ${i} was told '${answer}', the object is of ${owner}`);
    }
  }
  checks.expect(`${ROUNDS} × ${CREATORS} creators with random faults (told: ${told.won} won, ${told.lost} lost, ${told.unknown} unknown)`, wrong.length === 0 && told.won > ROUNDS / 2, wrong.join('; '));
}

/** Runs both; the bucket is empty below `faults`. */
export async function checkFaults(checks: Checks, bucket: Bucket, endpoint: string, context: { readonly owner: S3Credentials; readonly seed: number }): Promise<void> {
  const proxy = new FaultProxy(endpoint);
  const location = bucket.location('faults', context.owner, await proxy.listen());
  const store = await openS3Objects(nodeWorld('.'), location, 'write', { pauseMs: 5, silenceMs: 2_000, attempts: 5 });
  try {
    await singleFaults(checks, store, proxy);
    await storm(checks, store, proxy, context.seed);
  } finally {
    await store.close();
    await proxy.close();
  }
}
