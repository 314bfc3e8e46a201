/** Volumes in a repository. Start at `shelf-volume.ts`. */
export type { ShelfRepository } from './repository.ts';
export { volumeSnapshot, type VolumeSnapshot } from './repository.ts';
export { VolumeShelf, type ShelfOptions } from './shelf.ts';
export type { Shelf, ShelfVolume, VolumeFacts } from './shelf-volume.ts';
export { StoredVolume } from './stored-volume.ts';
export { openStoredVolume, reportVolumes, type VolumeReport } from './volume-report.ts';
export { showSnapshot } from './volume-file-tree.ts';
