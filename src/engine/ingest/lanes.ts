/** Cutters for the classes of a dataset's streams, made when the first file of a class comes. */
import { createChunker, type ChunkerMemory, type ChunkerParameters, type FastCdcParameters } from '../chunking/index.ts';
import { splitParameters, UnitCutter, type ClassGrains, type Grain, type StoredGrains, type StreamClass } from '../tuner/index.ts';
import { CUTS_MAX } from './slab.ts';

/** How content is cut. `auto` cuts disk images in fixed blocks and all else by content. */
export type ChunkingPolicy = 'auto' | 'fastcdc' | 'fixed';

/** Parameters of a dataset's chunkers. */
export interface ChunkingSettings {
  readonly policy: ChunkingPolicy;
  readonly fastcdc: FastCdcParameters;
  readonly fixedBlockBytes: number;
  readonly grains: StoredGrains;
}

/** How files of one class are cut. */
export interface Lane {
  readonly cutter: UnitCutter;
  readonly grain: Grain;
  /** Whether units lie within one another. */
  readonly isNested: boolean;
  /** Runs of data begin at multiples of this, so that blocks and runs of blocks keep their place. */
  readonly alignBytes: number;
  /** Absent for small files, which no policy is about. */
  readonly streamClass?: StreamClass;
}

const PLAIN: ClassGrains = { grain: 0, grains: [0] };
/** Blocks in the longest run. */
const RUN_BLOCKS = 4;

/** Parameters of a class. */
export function parametersOf(settings: Pick<ChunkingSettings, 'fastcdc' | 'fixedBlockBytes'>, streamClass: StreamClass): ChunkerParameters {
  return streamClass === 'image' ? { algorithm: 'fixed', blockBytes: settings.fixedBlockBytes } : settings.fastcdc;
}

/** Makes lanes in one memory; they are used one at a time. */
export class Lanes {
  /** For files too small for a class: plain chunks. */
  readonly small: Lane;
  readonly #settings: ChunkingSettings;
  readonly #where: ChunkerMemory;
  readonly #lanes = new Map<StreamClass, Lane>();

  constructor(settings: ChunkingSettings, where: ChunkerMemory) {
    this.#settings = settings;
    this.#where = where;
    this.small = this.#make(settings.fastcdc, PLAIN);
  }

  /** The lane of a class. */
  of(streamClass: StreamClass): Lane {
    const known = this.#lanes.get(streamClass);
    if (known !== undefined) return known;
    const lane = { ...this.#make(parametersOf(this.#settings, streamClass), this.#settings.grains[streamClass]), streamClass };
    this.#lanes.set(streamClass, lane);
    return lane;
  }

  /** All chunkers share one scratch area: it is filled alike, and what one found is taken out before the next looks. */
  #make(parameters: ChunkerParameters, { grain, grains }: ClassGrains): Lane {
    const chunker = createChunker(parameters, this.#where);
    const wanted = new Set(grains);
    const splitter = wanted.has(-1) && parameters.algorithm === 'fastcdc' ? { splitter: createChunker(splitParameters(parameters), this.#where) } : {};
    const cutter = new UnitCutter({ chunker, bytes: new Uint8Array(this.#where.memory.buffer), grains: wanted, ...splitter }, CUTS_MAX);
    const hasRuns = wanted.has(1) || wanted.has(2);
    const alignBytes = parameters.algorithm === 'fixed' ? parameters.blockBytes * (hasRuns ? RUN_BLOCKS : 1) : 1;
    return { cutter, grain, isNested: wanted.size > 1 || grain !== 0, alignBytes };
  }
}
