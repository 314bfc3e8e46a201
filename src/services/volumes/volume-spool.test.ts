/**
 * A machine that loses power keeps what was synced, and of the rest any bytes or none: whatever is behind the synced part of the logs' files is cut off or overwritten here,
 * and the spool must recover a state that the volume had, no older than the last sync.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { IntegrityError, ToolError } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { LanePool, LaneThread } from '../../exports/fuse/append-lane.ts';
import { writeRequest } from '../../exports/fuse/testing/requests.ts';
import { readLayers } from './frozen-volume.ts';
import { VolumeSpool } from './volume-spool.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-spool-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });
const shelf = { id: 'shelf', note: () => undefined };
let runs = 0;

const lanes = new LanePool();
const appender = new LaneThread(lanes.memory);
const handle = 5;

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), length: fc.integer({ min: 1, max: 9000 }), seed: fc.nat(99) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), at: fc.nat(20_000), length: fc.integer({ min: 1, max: 9000 }), seed: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), at: fc.nat(25_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('sync' as const, 'unfinished sync' as const, 'unfinished sync' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('freeze' as const) }) },
);
/** What becomes of the unsynced bytes of a file: how many are left, and whether they are what was written. */
const loss = fc.record({ left: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }), isScribbled: fc.nat(3).map((value) => value === 1) });

async function contentOf(spool: VolumeSpool): Promise<Buffer> {
  const bytes = Buffer.alloc(spool.size);
  await readLayers(spool.layers, 0, bytes);
  return bytes;
}

function sizesIn(directory: string): ReadonlyMap<string, number> {
  return new Map(fs.readdirSync(directory).map((name) => [name, fs.statSync(path.join(directory, name)).size]));
}

/** The markers of logs: none is written before what it speaks of is durable, so an unfinished sync leaves the ones before. */
function markersIn(directory: string): ReadonlyMap<string, Buffer> {
  return new Map(fs.readdirSync(directory).filter((name) => name.endsWith('.synced')).map((name) => [name, fs.readFileSync(path.join(directory, name))]));
}

test('after a loss of power the spool has everything that was synced, and nothing that never was', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.array(loss, { minLength: 12, maxLength: 12 }), async (steps, losses) => {
    runs += 1;
    const directory = path.join(root, `${runs}`);
    const spool = await VolumeSpool.open(directory, undefined, shelf);
    const states: Buffer[] = [Buffer.alloc(0)];
    let [oldest, synced, markers] = [0, sizesIn(directory), markersIn(directory)];
    const lane = lanes.lend(handle) ?? assert.fail('no lane is left');
    for (const one of steps) {
      if (one.kind === 'append') {
        if (appender.append(writeRequest(handle, spool.size, seededBytes(one.length, one.seed))) === undefined) continue; // the lane is not open
        spool.catchUp();
        states.push(await contentOf(spool));
        continue;
      }
      spool.recall();
      if (one.kind === 'write') await spool.write(one.at, seededBytes(one.length, one.seed), 1);
      else if (one.kind === 'truncate') await spool.truncate(one.at, 1);
      else if (one.kind === 'freeze') {
        await spool.freeze();
        spool.thaw(); // a commit that failed: both logs stay
        [oldest, synced, markers] = [states.length - 1, sizesIn(directory), markersIn(directory)];
      } else {
        await spool.sync();
        if (one.kind === 'sync') [oldest, synced, markers] = [states.length - 1, sizesIn(directory), markersIn(directory)];
      }
      if (one.kind === 'write' || one.kind === 'truncate') states.push(await contentOf(spool));
      if (one.kind === 'write') spool.lend(lane, 20_000);
    }
    spool.recall();
    lanes.giveBack(lane);
    const isWhole = losses.every(({ left, isScribbled }) => left === 1 && !isScribbled);
    for (const [i, [name, size]] of [...sizesIn(directory)].entries()) {
      const { left, isScribbled } = losses[i % losses.length] ?? { left: 0, isScribbled: false };
      const from = synced.get(name) ?? 0;
      const file = path.join(directory, name);
      if (name.endsWith('.synced')) {
        fs.writeFileSync(file, markers.get(name) ?? '');
        continue;
      }
      fs.truncateSync(file, from + Math.floor(left * (size - from)));
      const bytes = fs.readFileSync(file);
      if (isScribbled) fs.writeFileSync(file, Buffer.concat([bytes.subarray(0, from), seededBytes(bytes.length - from, 1000 + i)]));
    }
    const recovered = await VolumeSpool.open(directory, undefined, shelf);
    const found = await contentOf(recovered);
    assert.ok(states.slice(oldest).some((state) => Buffer.compare(state, found) === 0), `${found.length} bytes, no state since the last sync${isWhole ? ', though nothing was lost' : ''}`);
    // What was recovered can be gone on with, and is then durable itself.
    await recovered.write(recovered.size, seededBytes(500, 1), 2);
    await recovered.sync();
    const more = await contentOf(recovered);
    const again = await VolumeSpool.open(directory, undefined, shelf);
    assert.equal(Buffer.compare(await contentOf(again), more), 0);
    for (const one of [spool, recovered, again]) await one.close(false).catch(() => undefined);
  }), { numRuns: 100 });
});

test('a log that was durable and lost bytes is not passed over', async () => {
  const directory = path.join(root, 'lost');
  const spool = await VolumeSpool.open(directory, undefined, shelf);
  await spool.write(0, seededBytes(5000, 1), 1);
  await spool.freeze();
  spool.thaw();
  await spool.write(5000, seededBytes(5000, 2), 1);
  await spool.sync();
  await spool.close(false);
  const [first = ''] = fs.readdirSync(directory).filter((name) => name.endsWith('.data'));
  fs.truncateSync(path.join(directory, first), 4000);
  await assert.rejects(VolumeSpool.open(directory, undefined, shelf), IntegrityError);
});

/** A kernel reports bytes that did not reach the disk once for each open file: whoever asked ahead of time has heard it, and the sync that counts would hear nothing. */
test('a sync ahead of time that failed fails every sync after it', async (t) => {
  const handle = await fs.promises.open(root);
  const prototype = Object.getPrototypeOf(handle) as fs.promises.FileHandle;
  await handle.close();
  const calls = t.mock.method(prototype, 'datasync', () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })));
  const spool = await VolumeSpool.open(path.join(root, 'ahead'), undefined, shelf);
  const piece = new Uint8Array(16 << 20);
  for (let i = 0; i < 4; i += 1) await spool.write(i * piece.length, piece, 1);
  assert.equal(calls.mock.callCount(), 1);
  calls.mock.restore();
  for (let i = 0; i < 2; i += 1) await assert.rejects(spool.sync(), ToolError);
  assert.equal(spool.isSound, false);
  await spool.close(true);
});
