/** All implementations of zstd read each other's frames, and none believes a hostile header. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { IntegrityError } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { contentSizeOf, createZstd, type Zstd } from './zstd.ts';

async function withoutNative(): Promise<Zstd> {
  const before = process.env['HOLDFAST_NO_NATIVE'];
  process.env['HOLDFAST_NO_NATIVE'] = '1';
  try {
    return await createZstd();
  } finally {
    if (before === undefined) delete process.env['HOLDFAST_NO_NATIVE'];
    else process.env['HOLDFAST_NO_NATIVE'] = before;
  }
}

const inputs = [new Uint8Array(0), Uint8Array.of(1), new Uint8Array(200), new Uint8Array(70_000).fill(7), new Uint8Array(1 << 20).map((_, i) => i >> 9), seededBytes(100_000, 1)];

function frameOf(zstd: Zstd, input: Uint8Array): Uint8Array {
  const target = new Uint8Array(input.length + 1000);
  return target.slice(0, zstd.compress(input, target, 3));
}

test('frames of one implementation are read by the other, in this process and in one without native code', async (t) => {
  const [usual, wasm] = [await createZstd(), await withoutNative()];
  assert.equal(wasm.implementation, 'wasm');
  for (const input of inputs) {
    for (const [writer, reader] of [[usual, wasm], [wasm, usual], [usual, usual], [wasm, wasm]] as const) {
      const frame = frameOf(writer, input);
      assert.equal(contentSizeOf(frame), input.length, `${writer.implementation} announces the size`);
      const target = new Uint8Array(input.length);
      reader.decompress(frame, target);
      assert.equal(Buffer.compare(target, input), 0, `${writer.implementation} to ${reader.implementation}`);
    }
  }
  const input = inputs[4] as Uint8Array;
  const script = `const { createZstd } = await import(${JSON.stringify(new URL('./zstd.js', import.meta.url).href)});
    const zstd = await createZstd(); const frame = Buffer.from(process.argv[1], 'base64'); const raw = new Uint8Array(${input.length});
    zstd.decompress(frame, raw); const target = new Uint8Array(raw.length); const size = zstd.compress(raw, target, 3);
    console.log(zstd.implementation + ' ' + Buffer.from(target.subarray(0, size)).toString('base64'));`;
  const child = execFileSync(process.execPath, ['--input-type=module', '-e', script, Buffer.from(frameOf(usual, input)).toString('base64')], { env: { ...process.env, HOLDFAST_NO_NATIVE: '1' } });
  const [implementation, answer] = child.toString().trim().split(' ') as [string, string];
  assert.equal(implementation, 'wasm');
  const target = new Uint8Array(input.length);
  usual.decompress(Buffer.from(answer, 'base64'), target);
  assert.equal(Buffer.compare(target, input), 0);
  t.diagnostic(`${usual.implementation} and ${wasm.implementation}`);
});

test('a frame too large for its target is given up, not written past the end', async () => {
  for (const zstd of [await createZstd(), await withoutNative()]) {
    const memory = new Uint8Array(2000).fill(0xaa);
    assert.equal(zstd.compress(seededBytes(1000, 1), memory.subarray(0, 900), 3), 0);
    assert.ok(memory.subarray(900).every((byte) => byte === 0xaa));
  }
});

test('damaged, cut and random frames are IntegrityErrors or the right bytes', async () => {
  const input = new Uint8Array(5000).map((_, i) => i % 97 ^ i >> 6);
  for (const zstd of [await createZstd(), await withoutNative()]) {
    const frame = frameOf(zstd, input);
    const hostile = fc.oneof(
      fc.tuple(fc.nat(frame.length - 1), fc.nat(7)).map(([at, bit]) => { const copy = frame.slice(); copy[at] = (copy[at] as number) ^ 1 << bit; return copy; }),
      fc.nat(frame.length - 1).map((length) => frame.slice(0, length)), fc.uint8Array({ maxLength: 200 }),
    );
    fc.assert(fc.property(hostile, (bytes) => {
      const memory = new Uint8Array(input.length + 64).fill(0xaa);
      try {
        zstd.decompress(bytes, memory.subarray(0, input.length)); // a flip may change literals: the chunk's id shows that
      } catch (error) {
        assert.ok(error instanceof IntegrityError, String(error));
      }
      assert.ok(memory.subarray(input.length).every((byte) => byte === 0xaa), 'nothing behind the target');
    }), { numRuns: 300 });
  }
});

test('a frame that claims terabytes is refused before memory is taken for it', async () => {
  const wasm = await withoutNative();
  // Magic, descriptor with an 8-byte content size and a single segment, 2^42 bytes, one empty last block.
  const frame = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0]);
  assert.equal(contentSizeOf(frame), 2 ** 42);
  new DataView(frame.buffer).setBigUint64(5, 2n ** 28n, true); // what WebAssembly could still allocate
  for (const zstd of [await createZstd(), await withoutNative()]) {
    assert.throws(() => { zstd.decompress(frame, new Uint8Array(1000)); }, IntegrityError, zstd.implementation);
  }
  assert.throws(() => { wasm.decompress(frame, new Uint8Array(1000)); }, /frame of 268435456 bytes instead of 1000/, 'refused by its header');
});

test('the content size is read as RFC 8878 lays it out', () => {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  for (const [descriptor, rest, size] of [
    [0x20, [77], 77], [0x60, [1, 1], 513], [0x40, [0, 1, 1], 513], [0xa0, [1, 0, 0, 1], 0x0100_0001], [0x23, [9, 9, 9, 9, 5], 5], [0x00, [0], undefined], [0xe0, [1, 2], undefined],
  ] as const) {
    assert.equal(contentSizeOf(Uint8Array.from([...magic, descriptor, ...rest])), size, descriptor.toString(16));
  }
  assert.equal(contentSizeOf(Uint8Array.from([1, 2, 3, 4, 5, 6])), undefined);
});

test('several WebAssembly codecs of one process do not disturb each other', async () => {
  const first = await withoutNative();
  const input = seededBytes(60_000, 9).map((byte) => byte & 15);
  const frame = frameOf(first, input);
  const second = await withoutNative();
  for (const reader of [second, first]) {
    const target = new Uint8Array(input.length);
    reader.decompress(frame, target);
    assert.equal(Buffer.compare(target, input), 0);
    reader.decompress(frameOf(second, input), target);
    assert.equal(Buffer.compare(target, input), 0);
  }
});
