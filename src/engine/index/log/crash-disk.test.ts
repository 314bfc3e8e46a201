/** Power cuts at every disk operation of a log index, on the simulated disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idToHex, ID_BYTES, PLACE_BYTES } from '../../../core/index.ts';
import { sampleIds } from '../../../core/conformance/chunk-index.ts';
import { SimulatedDisk } from '../../../core/testing/simulated-world.ts';
import type { ChunkIndex, Disk } from '../../../core/index.ts';
import { openLogIndex } from './log-index.ts';

const options = { tableEntries: 16, filterBytesMax: 256 };

class PowerCut extends Error {}

/** What a disk only pretends to sync: files whose name contains the text, or names in directories. */
type Lie = 'seg-' | 'wal-' | 'CURRENT-' | 'directory';

/** The states after each step of the workload, as text; the state that was durable at the last flush. */
interface Progress { readonly states: string[]; flushed: number }

function textOf(content: ReadonlyMap<string, number>, mark: number): string {
  return JSON.stringify([[...content].sort((a, b) => (a[0] < b[0] ? -1 : 1)), mark]);
}

async function stateOf(index: ChunkIndex): Promise<string> {
  const content = new Map<string, number>();
  for await (const { ids, places } of index.scan()) {
    const view = new DataView(places.buffer, places.byteOffset);
    for (let i = 0; i < ids.count; i += 1) content.set(idToHex(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)), view.getUint32(i * PLACE_BYTES));
  }
  return textOf(content, (await index.watermarks())[0]?.offset ?? 0);
}

async function work(disk: Disk, progress: Progress): Promise<void> {
  const index = await openLogIndex(disk, 'write', options);
  const content = new Map<string, number>();
  let mark = 0;
  for (let step = 1; step <= 40; step += 1) {
    const numbers = [0, 1, 2, 3, 4].map((i) => (step * 3 + i * 17) % 120);
    const ids = sampleIds(numbers);
    const names = numbers.map((_, i) => idToHex(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)));
    if (step % 5 === 0) {
      for (const name of names) content.delete(name);
      progress.states.push(textOf(content, mark));
      await index.deleteMany(ids);
    } else {
      mark = step;
      for (const name of names) content.set(name, step);
      const places = new Uint8Array(numbers.length * PLACE_BYTES);
      const view = new DataView(places.buffer);
      numbers.forEach((_, i) => view.setUint32(i * PLACE_BYTES, step));
      progress.states.push(textOf(content, mark));
      await index.putMany(ids, places, [{ container: '00000000000000aa', offset: step, sealed: false }]);
    }
    if (step % 4 !== 0) continue;
    await index.flush();
    progress.flushed = progress.states.length - 1;
  }
  await index.close();
}

interface Cut { readonly disk: SimulatedDisk; readonly progress: Progress; readonly cut: boolean }

/** Runs the workload until the power goes. */
async function runUntil(cutAt: number, lie?: Lie): Promise<Cut> {
  const disk = new SimulatedDisk();
  disk.fault = ({ kind, path, number }) => {
    if (number >= cutAt) return new PowerCut(`power cut at operation ${cutAt}`);
    if (lie === 'directory') return kind === 'syncDirectory' ? 'lie' : undefined;
    return lie !== undefined && kind === 'sync' && path.includes(lie) ? 'lie' : undefined;
  };
  const progress: Progress = { states: [textOf(new Map(), 0)], flushed: 0 };
  try {
    await work(disk, progress);
    return { disk, progress, cut: false };
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
    return { disk, progress, cut: true };
  }
}

/** Opens what the crash left, twice. Undefined when all is well, else what is wrong. */
async function examine({ disk, progress }: Cut, seed: number): Promise<string | undefined> {
  const survivor = disk.afterPowerCut(seed);
  for (const round of ['first', 'second']) {
    try {
      const index = await openLogIndex(survivor, 'write', options);
      const state = await stateOf(index);
      await index.close();
      const found = progress.states.lastIndexOf(state);
      if (found < progress.flushed) return `${round} open: state ${found} of ${progress.states.length}, flushed was ${progress.flushed}`;
    } catch (error) {
      // Before the first flush an index that must be rebuilt is an older state like any other.
      return progress.flushed > 0 ? `${round} open: ${String(error)}` : undefined;
    }
  }
  return undefined;
}

test('a power cut at any operation leaves the flushed state or a newer one', async () => {
  let cutAt = 1;
  for (let cut = true; cut; cutAt += 1) {
    const crash = await runUntil(cutAt);
    for (let seed = 1; seed <= 6; seed += 1) assert.equal(await examine(crash, seed), undefined, `runUntil(${cutAt}), seed ${seed}`);
    ({ cut } = crash);
  }
  assert.ok(cutAt > 100, `the workload has only ${cutAt} operations`);
});

for (const lie of ['seg-', 'wal-', 'CURRENT-', 'directory'] as const) {
  test(`the check above is sensitive: without the syncs of '${lie}' it finds losses`, async () => {
    let losses = 0;
    for (let cutAt = 20; cutAt < 100; cutAt += 1) if (await examine(await runUntil(cutAt, lie), cutAt) !== undefined) losses += 1;
    assert.ok(losses > 0);
  });
}
