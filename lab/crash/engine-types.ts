/** Types of the engine, whatever copy of it runs. */
import type { ChunkIndex } from '../../src/core/index.ts';
import type { Repository as EngineRepository } from '../../src/engine/index.ts';

export type { OpenOptions } from '../../src/engine/index.ts';

/** A repository of some copy; its index can be looked at, and which containers it takes for dead. */
export type Repository = EngineRepository & { readonly index: ChunkIndex; readonly dead: { has(high: number, low: number): boolean } };

/** How to collect. */
export type CollectOptions = NonNullable<Parameters<EngineRepository['collect']>[0]>;
