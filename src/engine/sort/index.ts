/** Sorting, merging and joining more fixed-size records than fit into memory. */
export { ExternalSorter, SORT_BUDGET_BYTES, type SortOptions, type SortStatistics } from './external-sorter.ts';
export { filterPages, type FilterOptions } from './filter-pages.ts';
export { INDEX_ROW_BYTES, indexPages } from './index-pages.ts';
export { joinPages } from './join-pages.ts';
export { mergePages, type MergeOptions } from './merge-pages.ts';
export type { Duplicates } from './record-output.ts';
export type { RecordPage, SortedStream } from './record-page.ts';
export { RunFile, type RunPlace } from './run-file.ts';
