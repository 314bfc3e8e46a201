/** Locations: `ROOT[::STEP]…` to something that can be read. */
export { hostAccounts, mappedAccounts, type Accounts } from './accounts.ts';
export { openLocation, type Depth, type Location } from './location.ts';
export { formatPathText, jsonPath, parsePathText, type PathText } from './path-text.ts';
export type { Arrival, LayerInfo, NodePlace, OpenOptions, Place, RepositoryPlace, VolumesPlace } from './place.ts';
