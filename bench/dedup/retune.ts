/** What a retune costs: other boundaries (naive) against another grain over the same boundaries. */
import { defaultFastCdc, type ChunkerParameters } from '../../src/engine/chunking/index.ts';
import { averageOf, isAllowed, type Grain } from '../../src/engine/tuner/index.ts';
import { naiveWay, type Cutting, type Known, type Stored, type Way } from './cutting.ts';
import type { Pair } from './inputs.ts';

/** Blocks of images, as in the engine's defaults. */
const FIXED: ChunkerParameters = { algorithm: 'fixed', blockBytes: 32 << 10 };

/** One step from an average to another, over one set of contents. Shares are new bytes of all bytes. */
export interface RetuneRow {
  readonly data: string;
  readonly from: number;
  readonly to: number;
  /** The same contents again, after the retune. */
  readonly unchanged: { readonly naive: number; readonly nested: number };
  /** Changed contents: without a retune, and with it. */
  readonly changed: { readonly none: number; readonly naive: number; readonly nested: number };
}

/** What a grain is worth: the second version after the first, both stored in it. */
export interface GrainRow {
  readonly data: string;
  readonly averageBytes: number;
  /** New bytes of the second version, as a share of it. */
  readonly changed: number;
  /** Chunks of both versions: entries of the index. */
  readonly chunks: number;
  /** References of both versions. */
  readonly references: number;
}

function share({ bytesNew, bytes }: Stored): number {
  return bytesNew / bytes;
}

function naive(pair: Pair, averageBytes: number): Way {
  return pair.isImage ? { parameters: { algorithm: 'fixed', blockBytes: averageBytes }, grain: 0, grains: [0] } : naiveWay(averageBytes);
}

function parametersOf(pair: Pair): ChunkerParameters {
  return pair.isImage ? FIXED : defaultFastCdc;
}

function step(cutting: Cutting, pair: Pair, [from, to]: readonly [Grain, Grain]): RetuneRow {
  const parameters = parametersOf(pair);
  const stored: Known = new Set();
  cutting.store(pair.before, { parameters, grain: from, grains: [from] }, stored);
  const plain: Known = new Set();
  cutting.store(pair.before, naive(pair, averageOf(parameters, from)), plain);
  const nested: Way = { parameters, grain: to, grains: [from, to] };
  const other = naive(pair, averageOf(parameters, to));
  // Each measurement starts from the store as the first version left it.
  const measure = (contents: readonly Uint8Array[], way: Way, known: Known): number => share(cutting.store(contents, way, new Set(known)));
  return {
    data: pair.name, from: averageOf(parameters, from), to: averageOf(parameters, to),
    unchanged: { naive: measure(pair.before, other, plain), nested: measure(pair.before, nested, stored) },
    changed: {
      none: measure(pair.after, { parameters, grain: from, grains: [from] }, stored),
      naive: measure(pair.after, other, plain), nested: measure(pair.after, nested, stored),
    },
  };
}

/** All steps from the default, and back to it. */
export function measureRetunes(cutting: Cutting, pair: Pair): readonly RetuneRow[] {
  const parameters = parametersOf(pair);
  const others = ([-1, 1, 2] as const).filter((grain) => isAllowed(parameters, grain));
  return others.flatMap((grain) => [step(cutting, pair, [0, grain]), step(cutting, pair, [grain, 0])]);
}

/** What each grain stores. */
export function measureGrains(cutting: Cutting, pair: Pair): readonly GrainRow[] {
  const parameters = parametersOf(pair);
  return ([-1, 0, 1, 2] as const).filter((grain) => isAllowed(parameters, grain)).map((grain) => {
    const known: Known = new Set();
    const way: Way = { parameters, grain, grains: [grain] };
    const first = cutting.store(pair.before, way, known);
    const second = cutting.store(pair.after, way, known);
    return { data: pair.name, averageBytes: averageOf(parameters, grain), changed: share(second), chunks: first.chunksNew + second.chunksNew, references: first.references + second.references };
  });
}
