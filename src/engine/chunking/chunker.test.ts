/** The kernel, its twin and the fixed chunker: same cuts on every input, however it is dealt out. */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { wasm } from '../workers/wasm.ts';
import { CHUNKER_SCRATCH_BYTES, createChunker, defaultFastCdc, FixedChunker, PlainChunker, WasmChunker } from './index.ts';
import type { Chunker, FastCdcParameters } from './index.ts';
import { gear } from './gear.ts';
import { cutMasks } from './masks.ts';
import { dumpText, seededBytes } from './testdata/streams.ts';

const KIB = 1024;
const memory = new wasm.Memory({ initial: 256, maximum: 256, shared: true });
/** Odd on purpose: input needs no alignment. */
const INPUT_AT = CHUNKER_SCRATCH_BYTES + 8 + 5;
const input = new Uint8Array(memory.buffer, INPUT_AT);

function bothChunkers(parameters: FastCdcParameters): readonly [Chunker, Chunker] {
  return [new WasmChunker(parameters, memory, 8), new PlainChunker(parameters, new Uint8Array(memory.buffer))];
}

function cutsOf(chunker: Chunker, length: number, final = true): number[] {
  const out = new Uint32Array(16_384);
  return Array.from(out.subarray(0, chunker.cuts(INPUT_AT, length, final, out)));
}

/** Deals `length` bytes out in pieces, as a reader with a buffer does, and carries unfinished chunks over. */
function cutsInPieces(chunker: Chunker, length: number, pieces: readonly number[], outLength: number): number[] {
  const all: number[] = [];
  const out = new Uint32Array(outLength);
  let start = 0;
  let end = 0;
  for (let turn = 0; ; turn += 1) {
    end = Math.min(length, end + (pieces[turn % pieces.length] as number));
    const final = end === length;
    for (let count = out.length; count === out.length;) {
      count = chunker.cuts(INPUT_AT + start, end - start, final, out);
      for (const cut of out.subarray(0, count)) all.push(start + cut);
      start = all.at(-1) ?? 0;
    }
    if (final) return all;
  }
}

const parameterSets: fc.Arbitrary<FastCdcParameters> = fc
  .tuple(fc.integer({ min: 2, max: 8 }), fc.constantFrom(8, 16, 32, 64), fc.integer({ min: 32, max: 256 }))
  .filter(([min, average, max]) => min < average && average < max)
  .map(([min, average, max]) => ({ algorithm: 'fastcdc', minBytes: min * KIB, averageBytes: average * KIB, maxBytes: max * KIB }));

/** Four bytes after which a hash that starts at 0 satisfies the strict mask: put behind `min` bytes they force the shortest chunk. */
function shortestChunkEnd(averageBytes: number): Uint8Array {
  const { maskSmall } = cutMasks(averageBytes);
  const tries = seededBytes(averageBytes, 8 << 20);
  for (let at = 0; at < tries.length; at += 4) {
    let hash = 0n;
    for (const byte of tries.subarray(at, at + 4)) hash = (hash << 1n) + (gear[byte] as bigint);
    if ((hash & maskSmall) === 0n) return tries.subarray(at, at + 4);
  }
  throw new Error('no such bytes among 2 million tries');
}

type Piece = (parameters: FastCdcParameters) => Uint8Array;

const nearSizes = fc.tuple(fc.constantFrom('minBytes', 'averageBytes', 'maxBytes'), fc.integer({ min: -2, max: 2 }));

const pieces: fc.Arbitrary<Piece> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(150_000)).map(([seed, length]): Piece => () => seededBytes(seed, length)),
  fc.tuple(fc.nat(255), fc.nat(150_000)).map(([value, length]): Piece => () => new Uint8Array(length).fill(value)),
  fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 130 }), fc.nat(100_000)).map(([period, length]): Piece => () =>
    Uint8Array.from({ length }, (_, i) => period[i % period.length] as number)),
  fc.tuple(fc.nat(), nearSizes).map(([seed, [name, change]]): Piece => (parameters) => seededBytes(seed, parameters[name as 'minBytes'] + change)),
  fc.integer({ min: 1, max: 9 }).map((repeats): Piece => (parameters) => {
    const chunk = new Uint8Array(parameters.minBytes + 4);
    chunk.set(shortestEnds.get(parameters.averageBytes) as Uint8Array, parameters.minBytes);
    return Buffer.concat(Array.from({ length: repeats }, () => chunk));
  }),
  fc.uint8Array({ maxLength: 40 }).map((bytes): Piece => () => bytes),
);

const shortestEnds = new Map([8, 16, 32, 64].map((kib) => [kib * KIB, shortestChunkEnd(kib * KIB)]));

/** Concatenates the pieces into the input area and returns the length. */
function fill(parameters: FastCdcParameters, made: readonly Piece[]): number {
  let at = 0;
  for (const piece of made) {
    const bytes = piece(parameters);
    input.set(bytes, at);
    at += bytes.length;
  }
  return at;
}

describe('FastCDC', () => {
  it('keeps its golden cuts', () => {
    input.set(seededBytes(1, 4 << 20));
    const cuts = cutsOf(createChunker(defaultFastCdc, { memory, scratch: 8 }), 4 << 20);
    assert.deepEqual(cuts.slice(0, 4), [23713, 45346, 53672, 71231]);
    assert.equal(createHash('sha256').update(Uint32Array.from(cuts)).digest('hex'), 'bd1ed14e44d4f3a65ee6ea5fdf23c1422a4637f8e163f4690ad87a3002713d1e');
  });

  it('cuts alike in WebAssembly and TypeScript, on random and adversarial input, final or not', () => {
    fc.assert(fc.property(parameterSets, fc.array(pieces, { maxLength: 4 }), fc.boolean(), (parameters, made, final) => {
      const length = fill(parameters, made);
      const [kernel, twin] = bothChunkers(parameters);
      const cuts = cutsOf(kernel, length, final);
      assert.deepEqual(cuts, cutsOf(twin, length, final));
      const sizes = cuts.map((cut, i) => cut - (cuts[i - 1] ?? 0));
      assert.ok(sizes.slice(0, final ? -1 : undefined).every((size) => size > parameters.minBytes && size <= parameters.maxBytes));
      assert.ok(final ? (cuts.at(-1) ?? 0) === length : length - (cuts.at(-1) ?? 0) < parameters.maxBytes);
    }), { numRuns: 150 });
  });

  it('cuts alike however the stream is dealt out and however short the list of cuts is', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(fc.property(parameterSets, fc.array(pieces, { minLength: 1, maxLength: 4 }), sizes, fc.integer({ min: 1, max: 40 }), (parameters, made, dealt, outLength) => {
      const length = fill(parameters, made);
      fc.pre(length / Math.min(...dealt) < 2_000);
      const [kernel, twin] = bothChunkers(parameters);
      const whole = cutsOf(kernel, length);
      assert.deepEqual(cutsInPieces(kernel, length, dealt, outLength), whole);
      assert.deepEqual(cutsInPieces(twin, length, dealt, outLength), whole);
    }), { numRuns: 60 });
  });

  it('handles every length around min, average and max', () => {
    const { minBytes, averageBytes, maxBytes } = defaultFastCdc;
    const [kernel, twin] = bothChunkers(defaultFastCdc);
    for (const fillWith of [(length: number) => new Uint8Array(length), (length: number) => seededBytes(9, length)]) {
      input.set(fillWith(maxBytes + 64));
      for (const size of [0, minBytes, averageBytes, maxBytes]) {
        for (let length = Math.max(0, size - 3); length <= size + 3; length += 1) {
          assert.deepEqual(cutsOf(kernel, length), cutsOf(twin, length), `final, length ${length}`);
          assert.deepEqual(cutsOf(kernel, length, false), cutsOf(twin, length, false), `not final, length ${length}`);
        }
      }
    }
    assert.deepEqual(cutsOf(kernel, 0), []);
  });

  it('cuts constant bytes at max and forced input at the shortest length', () => {
    const [kernel] = bothChunkers(defaultFastCdc);
    input.fill(0, 0, 200_000);
    assert.deepEqual(cutsOf(kernel, 200_000), [65_536, 131_072, 196_608, 200_000]);
    const chunk = new Uint8Array(4100);
    chunk.set(shortestEnds.get(16 * KIB) as Uint8Array, 4096);
    for (let i = 0; i < 3; i += 1) input.set(chunk, i * 4100);
    assert.deepEqual(cutsOf(kernel, 3 * 4100), [4100, 8200, 12_300]);
  });

  it('reports more cuts than its scratch list holds', () => {
    input.set(seededBytes(3, 14 << 20));
    const [kernel] = bothChunkers({ algorithm: 'fastcdc', minBytes: 2 * KIB, averageBytes: 8 * KIB, maxBytes: 32 * KIB });
    const cuts = cutsOf(kernel, 14 << 20);
    assert.ok(cuts.length > 1024);
    assert.equal(cuts.at(-1), 14 << 20);
    assert.deepEqual(cuts, cutsInPieces(kernel, 14 << 20, [1 << 20], 64));
  });
});

describe('one inserted byte', () => {
  function idsOf(chunker: Chunker, data: Uint8Array): string[] {
    input.set(data);
    const cuts = cutsOf(chunker, data.length);
    return cuts.map((cut, i) => createHash('sha1').update(data.subarray(cuts[i - 1] ?? 0, cut)).digest('base64'));
  }

  for (const [name, data] of [['random bytes', seededBytes(1, 2 << 20)], ['a database dump', dumpText(1, 2 << 20)]] as const) {
    it(`changes at most 2 chunks of ${name} in 98 of 100 trials, and never more than 6`, (test) => {
      const [chunker] = bothChunkers(defaultFastCdc);
      const before = new Set(idsOf(chunker, data));
      const places = seededBytes(7, 400);
      const changed = new Map<number, number>();
      for (let trial = 0; trial < 100; trial += 1) {
        const at = new DataView(places.buffer, places.byteOffset).getUint32(trial * 4) % data.length;
        const edited = Buffer.concat([data.subarray(0, at), places.subarray(trial, trial + 1), data.subarray(at)]);
        const fresh = idsOf(chunker, edited).filter((id) => !before.has(id)).length;
        changed.set(fresh, (changed.get(fresh) ?? 0) + 1);
      }
      test.diagnostic(`changed chunks → trials: ${JSON.stringify([...changed])}, of ${before.size} chunks`);
      // An edit near a cut can move it, and cuts then take a few chunks to fall in step: no content-defined chunker with a minimum avoids that.
      const few = [...changed].reduce((sum, [fresh, trials]) => sum + (fresh <= 2 ? trials : 0), 0);
      assert.ok(few >= 98 && Math.max(...changed.keys()) <= 6);
    });
  }
});

describe('FixedChunker', () => {
  it('cuts at multiples of the block only, and leaves an unfinished block for the next call', () => {
    const chunker = new FixedChunker({ algorithm: 'fixed', blockBytes: 4096 });
    assert.deepEqual(cutsOf(chunker, 10_000), [4096, 8192, 10_000]);
    assert.deepEqual(cutsOf(chunker, 10_000, false), [4096, 8192]);
    assert.deepEqual(cutsOf(chunker, 8192), [4096, 8192]);
    assert.deepEqual(cutsOf(chunker, 0), []);
    assert.deepEqual(cutsInPieces(chunker, 20_000, [3000, 1], 2), [4096, 8192, 12_288, 16_384, 20_000]);
  });
});

describe('createChunker', () => {
  it('picks the kernel for WebAssembly memory, the twin for other memory, blocks for fixed parameters', () => {
    assert.equal(createChunker(defaultFastCdc, { memory, scratch: 8 }).implementation, 'wasm');
    assert.equal(createChunker(defaultFastCdc, { memory: { buffer: new SharedArrayBuffer(8) }, scratch: 0 }).implementation, 'plain');
    assert.equal(createChunker({ algorithm: 'fixed', blockBytes: 8192 }, { memory, scratch: 8 }).implementation, 'fixed');
  });
});
