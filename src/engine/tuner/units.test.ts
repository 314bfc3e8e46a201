/** Units of all grains lie within one another, the same ones whichever are wanted and however a stream is dealt out. */
import assert from 'node:assert';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { CHUNKER_SCRATCH_BYTES, createChunker, defaultFastCdc, type ChunkerParameters } from '../chunking/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { Arena } from '../workers/arena.ts';
import { coverUnits } from './cover.ts';
import { isAllowed, splitParameters, UNIT_BYTES_MAX, type Grain } from './grain.ts';
import { UnitCutter, UnitList } from './units.ts';

const INPUT_BYTES = 2 << 20;
const arena = new Arena(INPUT_BYTES + CHUNKER_SCRATCH_BYTES + 4_096);
const scratch = arena.reserve(CHUNKER_SCRATCH_BYTES);
const inputAt = arena.reserve(INPUT_BYTES);
const fixed: ChunkerParameters = { algorithm: 'fixed', blockBytes: 32 << 10 };
const everyGrain: readonly Grain[] = [-1, 0, 1, 2];

interface Unit {
  readonly start: number;
  readonly length: number;
  readonly span: number;
  readonly grain: number;
}

function cutterOf(parameters: ChunkerParameters, grains: readonly Grain[]): UnitCutter {
  const where = { memory: arena.memory, scratch };
  const splitter = parameters.algorithm === 'fastcdc' ? { splitter: createChunker(splitParameters(parameters), where) } : {};
  return new UnitCutter({ chunker: createChunker(parameters, where), bytes: new Uint8Array(arena.memory.buffer), grains: new Set(grains), ...splitter }, 2_000);
}

function unitsOf(list: UnitList, base: number): readonly Unit[] {
  return Array.from({ length: list.count }, (_, i) => ({
    start: base + (list.starts[i] as number), length: list.lengths[i] as number, span: list.spans[i] as number, grain: list.grains[i] as number,
  }));
}

/** Deals the input out in pieces and carries what is not cut over. */
function cutInPieces(cutter: UnitCutter, length: number, pieces: readonly number[]): readonly Unit[] {
  const all: Unit[] = [];
  let [start, end] = [0, 0];
  for (let turn = 0; start < length; turn += 1) {
    end = Math.min(length, end + (pieces[turn % pieces.length] as number));
    const list = new UnitList(20_000);
    const done = cutter.cut(inputAt + start, end - start, end === length, list);
    all.push(...unitsOf(list, start));
    start += done;
  }
  return all;
}

function fill(seed: number, length: number): void {
  const bytes = arena.view(inputAt, length);
  bytes.set(seededBytes(length, seed));
  if (seed % 3 === 0) bytes.fill(0, length >> 2, length >> 1); // forced cuts
}

/** Checks that the units in a subtree lie back to back in their parent, and that no parent has a single child. */
function checkNested(units: readonly Unit[], from: number, to: number, region: { readonly start: number; readonly end: number }): void {
  let at = region.start;
  for (let i = from; i < to;) {
    const unit = units[i] as Unit;
    assert.equal(unit.start, at);
    at += unit.length;
    assert.ok(unit.length > 0 && unit.length <= UNIT_BYTES_MAX);
    if (unit.span > 1) {
      assert.ok((units[i + 1] as Unit).length < unit.length);
      for (let child = i + 1; child < i + unit.span; child += (units[child] as Unit).span) assert.ok((units[child] as Unit).grain < unit.grain);
      checkNested(units, i + 1, i + unit.span, { start: unit.start, end: at });
    }
    i += unit.span;
  }
  assert.equal(at, region.end);
}

const sizes = fc.integer({ min: 1, max: INPUT_BYTES });
const grainSets = fc.subarray([-1, 1, 2] as Grain[]).map((some): readonly Grain[] => [0, ...some]);

describe('UnitCutter', () => {
  for (const [name, parameters] of [['content-defined', defaultFastCdc], ['fixed', fixed]] as const) {
    it(`nests units, ${name}`, () => {
      fc.assert(fc.property(sizes, fc.nat(30), fc.array(fc.integer({ min: 1, max: 1 << 20 }), { minLength: 1, maxLength: 6 }), grainSets, (length, seed, pieces, wanted) => {
        fill(seed, length);
        const all = cutInPieces(cutterOf(parameters, everyGrain), length, [length]);
        checkNested(all, 0, all.length, { start: 0, end: length });
        assert.deepEqual(cutInPieces(cutterOf(parameters, everyGrain), length, pieces), all);
        // Of the grains that are wanted, the same ranges.
        const some = cutInPieces(cutterOf(parameters, wanted), length, pieces);
        checkNested(some, 0, some.length, { start: 0, end: length });
        const ranges = new Set(all.map((unit) => `${unit.start}+${unit.length}`));
        for (const unit of some) assert.ok(ranges.has(`${unit.start}+${unit.length}`));
        // Grain 0 is the chunker's own.
        const plain = new Uint32Array(4_000);
        const count = createChunker(parameters, { memory: arena.memory, scratch }).cuts(inputAt, length, true, plain);
        const ends = new Set(all.map((unit) => unit.start + unit.length));
        for (let i = 0; i < count; i += 1) assert.ok(ends.has(plain[i] as number));
        assert.equal(cutInPieces(cutterOf(parameters, [0]), length, pieces).length, count);
      }), { numRuns: 20 });
    });
  }

  it('makes units about as long as their grain says', (test) => {
    fill(1, INPUT_BYTES);
    for (const grain of everyGrain) {
      const units = cutInPieces(cutterOf(defaultFastCdc, [grain]), INPUT_BYTES, [INPUT_BYTES]);
      const mean = INPUT_BYTES / units.length / 1024;
      test.diagnostic(`grain ${grain}: ${mean.toFixed(1)} KiB`);
      const wanted = 16 * 2 ** grain;
      assert.ok(mean > wanted * 0.75 && mean < wanted * 1.5, `${mean}`);
    }
  });
});

describe('isAllowed', () => {
  it('keeps averages within 8 to 64 KiB, and blocks within 8 to 256 KiB', () => {
    const of = (parameters: ChunkerParameters): readonly Grain[] => everyGrain.filter((grain) => isAllowed(parameters, grain));
    assert.deepEqual(of(defaultFastCdc), [-1, 0, 1, 2]);
    assert.deepEqual(of({ ...defaultFastCdc, averageBytes: 8 << 10 }), [0, 1, 2]);
    assert.deepEqual(of({ ...defaultFastCdc, averageBytes: 64 << 10, maxBytes: 256 << 10 }), [-1, 0]);
    assert.deepEqual(of(fixed), [-1, 0, 1, 2]);
    assert.deepEqual(of({ algorithm: 'fixed', blockBytes: 1 << 20 }), [0]);
  });
});

describe('coverUnits', () => {
  it('covers everything once: what is known as it is, the rest in the grain', () => {
    fc.assert(fc.property(sizes, fc.nat(30), fc.constantFrom(...everyGrain), fc.constantFrom(0, 3, 20).chain((odds) => fc.infiniteStream(fc.nat(odds)).map((luck) => ({ luck, nothing: odds === 0 }))), (length, seed, grain, { luck, nothing }) => {
      fill(seed, length);
      const list = new UnitList(20_000);
      cutterOf(defaultFastCdc, everyGrain).cut(inputAt, length, true, list);
      const units = unitsOf(list, 0);
      const known = units.map(() => !nothing && luck.next().value === 0);
      let at = 0;
      coverUnits(list, grain, (unit) => known[unit] as boolean, (unit, isKnown) => {
        const { start, length: taken, span, grain: own } = units[unit] as Unit;
        assert.equal(start, at);
        at += taken;
        assert.equal(isKnown, known[unit]);
        if (isKnown) return;
        assert.ok(!known.slice(unit, unit + span).includes(true), 'nothing that is known is stored again');
        assert.ok(own <= grain || span === 1, 'stored no coarser than the grain');
      });
      assert.equal(at, length);
      // What is unknown as a whole is stored as few units as can be: those of the grain, where nothing of it is known.
      if (nothing) {
        let taken = 0;
        coverUnits(list, grain, () => false, () => { taken += 1; });
        assert.equal(taken, cutInPieces(cutterOf(defaultFastCdc, [grain]), length, [length]).length);
      }
    }), { numRuns: 20 });
  });
});
