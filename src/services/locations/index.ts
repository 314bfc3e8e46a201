/** Locations: `ROOT[::STEP]…` to something that can be read. */
export { openLocation, type Depth, type Location } from './location.ts';
export { formatPathText, jsonPath, parsePathText, type PathText } from './path-text.ts';
export type { Arrival, LayerInfo, NodePlace, OpenOptions, Place, RepositoryPlace, VolumesPlace } from './place.ts';
