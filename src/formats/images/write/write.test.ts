/** What the writers write, the readers read: same bytes, holes stay holes. qemu-img judges them in the lab. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { checkRange, type BlockSource, defaultLimits, type Extent, readRange } from '../../../core/index.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import { openBytes } from '../testdata/fixture.ts';
import type { ImageSink } from './sink.ts';
import { writableFormats, writeImage, type WritableFormat } from './write.ts';

const options = { limits: defaultLimits, identity: new Uint8Array(16).map((_byte, i) => i + 1), timeMs: 1_790_000_000_000, name: 'disk.vmdk' };

/** A disk with runs of data and holes. */
class RunSource implements BlockSource {
  readonly sectorSize = 512;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly #runs: readonly { readonly offset: number; readonly length: number }[];

  constructor(size: number, runs: readonly { readonly offset: number; readonly length: number }[]) {
    this.size = size;
    this.bytes = new Uint8Array(size);
    this.#runs = runs;
    for (const [i, { offset, length }] of runs.entries()) this.bytes.set(i % 2 === 0 ? seededBytes(length, i + 1) : new Uint8Array(length).fill(i + 1), offset);
  }

  readInto(offset: number, target: Uint8Array): Promise<void> {
    checkRange(this, offset, target.length, 'runs');
    target.set(this.bytes.subarray(offset, offset + target.length));
    return Promise.resolve();
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    let at = offset;
    for (const run of this.#runs) {
      const [start, end] = [Math.max(run.offset, at), Math.min(run.offset + run.length, offset + length)];
      if (start >= end) continue;
      if (start > at) yield { offset: at, length: start - at, kind: 'hole' };
      yield { offset: start, length: end - start, kind: 'data' };
      at = end;
    }
    if (at < offset + length) yield { offset: at, length: offset + length - at, kind: 'hole' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class MemorySink implements ImageSink {
  readonly #parts: Uint8Array[] = [];

  write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes.slice());
    return Promise.resolve();
  }

  skip(length: number): Promise<void> {
    this.#parts.push(new Uint8Array(length));
    return Promise.resolve();
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

async function written(source: BlockSource, format: WritableFormat): Promise<Uint8Array> {
  const sink = new MemorySink();
  await writeImage(source, sink, format, options);
  return sink.bytes();
}

const disks = fc.tuple(fc.integer({ min: 1, max: 9_000_000 }), fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(300_000)), { maxLength: 5 })).map(([size, places]) => {
  const runs: { offset: number; length: number }[] = [];
  let at = 0;
  for (const [where, length] of [...places].sort(([a], [b]) => a - b)) {
    const offset = Math.max(at, Math.floor(where * size));
    const taken = Math.min(length, size - offset);
    if (taken > 0) runs.push({ offset, length: taken });
    at = offset + taken;
  }
  return new RunSource(size, runs);
});

for (const format of writableFormats) {
  test(`${format}: what was written is read again, and holes take no space`, async () => {
    await fc.assert(fc.asyncProperty(disks, async (disk) => {
      const file = await written(disk, format);
      const image = await openBytes(file, undefined, format === 'raw' ? 'raw' : undefined);
      const size = format === 'raw' ? disk.size : Math.ceil(disk.size / 512) * 512;
      assert.equal(image.size, size);
      const expected = new Uint8Array(size);
      expected.set(disk.bytes);
      assert.ok(Buffer.compare(await readRange(image, 0, size), expected) === 0);
      if (format !== 'raw' && disk.bytes.every((byte) => byte === 0)) {
        for await (const { kind } of image.extents(0, size)) assert.notEqual(kind, 'data');
      }
    }), { numRuns: 12 });
  });
}

test('a sink that fails ends the writing with its error', async () => {
  const disk = new RunSource(3_000_000, [{ offset: 1_000_000, length: 500_000 }]);
  for (const format of writableFormats) {
    let left = 1;
    const full = (): Promise<void> => ((left -= 1) < 0 ? Promise.reject(new Error('no space left')) : Promise.resolve());
    await assert.rejects(writeImage(disk, { write: full, skip: full }, format, options), /no space left/);
  }
});
