/**
 * What every BlockSource must do. An integrator calls the suite in a test file:
 * `blockSourceSuite('MySource', async () => ({ source: new MySource(…), expected, cleanup }))`.
 */
import assert from 'node:assert';
import { after, before, describe, it } from 'node:test';
import { readRange, type BlockSource, type Extent } from '../block-source.ts';

/** One source under test. `expected` are all of its bytes: keep them at a few MiB. */
export interface BlockSourceCase {
  readonly source: BlockSource;
  readonly expected: Uint8Array;
  /** Called after `source.close()`. */
  cleanup(): Promise<void>;
}

/** Registers the suite with `node:test`; `make` is called once. The ranges read are fixed: a failure repeats. */
export function blockSourceSuite(name: string, make: () => Promise<BlockSourceCase>): void {
  describe(`BlockSource: ${name}`, () => {
    let source: BlockSource;
    let expected: Uint8Array;
    let made: BlockSourceCase;
    before(async () => {
      made = await make();
      ({ source, expected } = made);
    });
    after(async () => {
      await source.close();
      await made.cleanup();
    });

    it('has the size of its bytes and a sector size that is a power of two', () => {
      assert.strictEqual(source.size, expected.length);
      assert.ok(source.sectorSize >= 1 && Math.log2(source.sectorSize) % 1 === 0);
    });

    it('reads everything in one call', async () => {
      assert.ok(Buffer.compare(await readRange(source, 0, source.size), expected) === 0);
    });

    it('reads unaligned ranges, only into the target', async () => {
      for (const [offset, length] of ranges(expected.length)) {
        const around = new Uint8Array(length + 16).fill(0xa5);
        await source.readInto(offset, around.subarray(8, 8 + length));
        assert.deepStrictEqual(around.subarray(0, 8), new Uint8Array(8).fill(0xa5), `before ${offset}+${length}`);
        assert.deepStrictEqual(around.subarray(8 + length), new Uint8Array(8).fill(0xa5), `after ${offset}+${length}`);
        assert.ok(Buffer.compare(around.subarray(8, 8 + length), expected.subarray(offset, offset + length)) === 0, `range ${offset}+${length}`);
      }
    });

    it('reads nothing at both ends', async () => {
      await source.readInto(0, new Uint8Array(0));
      await source.readInto(source.size, new Uint8Array(0));
    });

    it('refuses ranges outside of itself with a rejected promise', async () => {
      const size = source.size;
      for (const [offset, length] of [[-1, 1], [size, 1], [size + 1, 0], [Math.max(0, size - 1), 2], [0.5, 0], [Number.NaN, 0]] as const) {
        // A synchronous throw would escape here and fail the test.
        const promise = source.readInto(offset, new Uint8Array(length));
        await assert.rejects(promise, RangeError, `range ${offset}+${length}`);
      }
    });

    it('allows concurrent reads', async () => {
      await Promise.all(ranges(expected.length).map(async ([offset, length]) => {
        assert.ok(Buffer.compare(await readRange(source, offset, length), expected.subarray(offset, offset + length)) === 0);
      }));
    });

    it('describes every range without gaps, and what is no data as zeroes', async () => {
      for (const [offset, length] of [[0, expected.length] as const, ...ranges(expected.length)]) {
        checkExtents(await collect(source.extents(offset, length)), { offset, length, expected });
      }
    });

    it('refuses extents outside of itself', async () => {
      await assert.rejects(collect(source.extents(0, source.size + 1)), RangeError);
    });

    it('closes more than once', async () => {
      await source.close();
      await source.close();
    });
  });
}

async function collect(extents: AsyncIterable<Extent>): Promise<readonly Extent[]> {
  const all: Extent[] = [];
  for await (const extent of extents) all.push(extent);
  return all;
}

function checkExtents(extents: readonly Extent[], range: { readonly offset: number; readonly length: number; readonly expected: Uint8Array }): void {
  let at = range.offset;
  for (const extent of extents) {
    assert.strictEqual(extent.offset, at, 'extents follow each other');
    assert.ok(extent.length > 0, 'an extent has a length');
    at += extent.length;
    if (extent.kind !== 'data') {
      assert.ok(range.expected.subarray(extent.offset, at).every((byte) => byte === 0), `${extent.kind} at ${extent.offset}+${extent.length} reads as zeroes`);
    }
  }
  assert.strictEqual(at, range.offset + range.length, 'extents cover the range');
}

/** Ranges around powers of two and at both ends. */
function ranges(size: number): readonly (readonly [number, number])[] {
  const offsets = [0, 1, 511, 512, 4095, 4097, 65_535, 65_537, Math.floor(size / 3), Math.floor(size / 2), size - 1].filter((offset) => offset >= 0 && offset < size);
  const lengths = [1, 7, 512, 4096, 65_537];
  return offsets.flatMap((offset) => lengths.map((length) => [offset, Math.min(length, size - offset)] as const));
}
