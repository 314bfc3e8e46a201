/** Cuts contents as the engine does, and remembers which chunks a store would have: nothing is written. */
import { CHUNKER_SCRATCH_BYTES, createChunker, defaultFastCdc, type ChunkerParameters, type FastCdcParameters } from '../../src/engine/chunking/index.ts';
import { createHasher, type Hasher } from '../../src/engine/hashing/hasher.ts';
import { coverUnits, splitParameters, UnitCutter, UnitList, type Grain } from '../../src/engine/tuner/index.ts';
import { Arena } from '../../src/engine/workers/arena.ts';

/** Bytes cut at once; the longest unit fits many times. */
const REGION_BYTES: number = 8 << 20;
const CUTS_MAX: number = REGION_BYTES / 2048 + 1;
const UNITS_MAX = 30_000;
const SCRATCH_BYTES: number = CHUNKER_SCRATCH_BYTES + 64;

/** What storing contents did. */
export interface Stored {
  readonly bytes: number;
  readonly bytesNew: number;
  /** References in recipes. */
  readonly references: number;
  readonly chunksNew: number;
  readonly hashedBytes: number;
}

/** Ids of stored chunks. */
export type Known = Set<string>;

/** How contents are stored. Without `grains`, plainly by the chunker. */
export interface Way {
  readonly parameters: ChunkerParameters;
  readonly grain: Grain;
  /** Grains whose units are looked for. */
  readonly grains: readonly Grain[];
}

/** The engine's defaults, in grain 0. */
export const plainWay: Way = { parameters: defaultFastCdc, grain: 0, grains: [0] };

/** The naive way to another average: other boundaries. `averageBytes` is 8, 16, 32 or 64 KiB. */
export function naiveWay(averageBytes: number): Way {
  const parameters: FastCdcParameters = { algorithm: 'fastcdc', minBytes: Math.min(8 << 10, averageBytes / 4), averageBytes, maxBytes: Math.min(256 << 10, Math.max(32 << 10, averageBytes * 4)) };
  return { ...plainWay, parameters };
}

/** Cuts in memory of its own. */
export class Cutting {
  readonly #arena = new Arena(REGION_BYTES + 2 * SCRATCH_BYTES + 4_096);
  readonly #region: number = this.#arena.reserve(REGION_BYTES);
  readonly #scratches: readonly number[] = [this.#arena.reserve(SCRATCH_BYTES), this.#arena.reserve(SCRATCH_BYTES)];
  readonly #units = new UnitList(UNITS_MAX);
  readonly #hasher: Hasher;

  private constructor(hasher: Hasher) {
    this.#hasher = hasher;
  }

  static async create(): Promise<Cutting> {
    return new Cutting(await createHasher('blake3'));
  }

  /** Stores contents one after another and notes their chunks in `known`. */
  store(contents: Iterable<Uint8Array>, way: Way, known: Known): Stored {
    const cutter = this.#cutter(way);
    const sum = { bytes: 0, bytesNew: 0, references: 0, chunksNew: 0, hashedBytes: 0 };
    for (const content of contents) {
      for (let at = 0; at < content.length;) {
        const length = Math.min(REGION_BYTES, content.length - at);
        this.#arena.view(this.#region, length).set(content.subarray(at, at + length));
        this.#units.count = 0;
        const done = cutter.cut(this.#region, length, at + length === content.length, this.#units);
        this.#take(way.grain, known, sum);
        at += done;
      }
    }
    return sum;
  }

  #cutter(way: Way): UnitCutter {
    const { memory } = this.#arena;
    const [first = 0, second = 0] = this.#scratches;
    const chunker = createChunker(way.parameters, { memory, scratch: first });
    const grains = new Set(way.grains);
    const bytes = new Uint8Array(memory.buffer);
    if (way.parameters.algorithm === 'fixed' || !grains.has(-1)) return new UnitCutter({ chunker, bytes, grains }, CUTS_MAX);
    return new UnitCutter({ chunker, bytes, grains, splitter: createChunker(splitParameters(way.parameters), { memory, scratch: second }) }, CUTS_MAX);
  }

  #take(grain: Grain, known: Known, sum: { -readonly [K in keyof Stored]: Stored[K] }): void {
    const units = this.#units;
    const id = Buffer.alloc(32);
    const ids = Array.from({ length: units.count }, (_, i) => {
      this.#hasher.digestInto(this.#arena.view(this.#region + (units.starts[i] as number), units.lengths[i] as number), id, 0);
      sum.hashedBytes += units.lengths[i] as number;
      return id.toString('latin1', 0, 16);
    });
    coverUnits(units, grain, (unit) => known.has(ids[unit] as string), (unit, isKnown) => {
      sum.bytes += units.lengths[unit] as number;
      sum.references += 1;
      if (isKnown) return;
      known.add(ids[unit] as string);
      sum.bytesNew += units.lengths[unit] as number;
      sum.chunksNew += 1;
    });
  }
}
