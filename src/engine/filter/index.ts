/** The disposable cache that says which chunks are surely new. */
export { ChunkFilter, RATE_DEFAULT } from './chunk-filter.ts';
export type { ChunkFilterParts } from './chunk-filter.ts';
export { ColdBuild, ColdFilter, coldShape } from './cold-filter.ts';
export { TwoPartFilter } from './two-part-filter.ts';
export type { FilterMetrics } from './two-part-filter.ts';
