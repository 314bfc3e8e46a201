/**
 * The facade: whole workflows over the parts. `holdfast/core`, `holdfast/engine`, `holdfast/formats/…` and
 * `holdfast/fs-adapters/…` are the parts themselves.
 */
export * from '../core/index.ts';
export { Repository, type BackupResult, type RepositoryChoices, type RepositoryConfig, type SnapshotCounts, type SnapshotInfo, type SnapshotStore } from '../engine/index.ts';
export { backupPaths, type BackupOptions, type BackupProgress, type BackupReport } from './backup.ts';
export { checkLocation, type CheckOptions, type CheckReport } from './check.ts';
export { cloneLocation } from './clone.ts';
export { convertDisk, writableFormat, type ConvertOptions, type ConvertReport } from './convert.ts';
export { findDisks, type DiskError, type DiskOrigin, type DiskVisitor, type GuestDisk } from './disks.ts';
export type { DiskPart } from './guests/disk-parts.ts';
export type { GuestOs } from './guests/guest-os.ts';
export { diffTrees, type Aspect, type DiffEntry, type DiffOptions } from './diff.ts';
export type { EntryError } from './entry-error.ts';
export { entryRecord, type EntryRecord, type RecordOptions } from './entry-record.ts';
export { forgetSnapshots, type ForgetReport, type ForgetRequest } from './forget.ts';
export * from './locations/index.ts';
export { createRepository, openDirectRepository, openRepository, openRepositoryKeys, rebuildIndex, repositoryKeySlots } from './repositories.ts';
export { keyCredential, passphraseCredential, type Credential, type RepositoryKeys, type SlotRequest, type SlotRow } from '../engine/index.ts';
export { restoreTree, type Overwrite, type RestoreOptions, type RestoreProgress, type RestoreResult } from './restore.ts';
export { openSources, type SourceOptions, type Sources } from './sources.ts';
export { digestOf, type DigestName } from './trees/content.ts';
export { unionTree, type OpenMember, type UnionMember } from './trees/union-tree.ts';
export { lookupBelow, walk, type TreeView, type Visitor, type WalkEntry } from './trees/walk.ts';
export * from './volumes/index.ts';
