/** Bacula volumes: open a set, list its jobs, read a job or a chain of jobs as a file tree, learn all that is wrong. */
export type { NameResolver } from './acl.ts';
export { crc32 } from '../crc32.ts';
export { sharedBlockHasher } from './checksum.ts';
export { baculaFormat } from './format.ts';
export { BaculaTree } from './job-tree.ts';
export type { SessionEnd, SessionLabel, VolumeLabel } from './label.ts';
export type { VolumeProblem, VolumeProblemKind } from './problem.ts';
export type { RestoreObject } from './restore-object.ts';
export type { BaculaJob } from './job.ts';
export { readVolumeHead, type VolumeHead } from './volume-head.ts';
export { BaculaVolumeSet, type JobSelector, openVolumeSet, type VolumeInput, type VolumeSetOptions } from './volume-set.ts';
export * from './weave/index.ts';
