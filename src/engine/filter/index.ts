/** The disposable cache that says which chunks are surely new. */
export { FILTER_CAPACITY_MAX, MembershipFilter } from './membership-filter.ts';
export type { SavedBits } from './membership-filter.ts';
export { deserialiseFilter, serialiseFilter } from './saved-filter.ts';
export type { FilterVerdict, SavedFilter } from './saved-filter.ts';
