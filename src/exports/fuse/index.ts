/** What the folder exports. */
export { mountFuse, type FuseMount, type MountOptions } from './mount.ts';
export { serveFuse, type FuseSession, type SessionCounts, type SessionOptions } from './session.ts';
export { TreeFilesystem, type TreeFilesystemOptions } from './tree-filesystem.ts';
export { Lent, type FuseHandler, type HandlerSettings, type Reply } from './handler.ts';
export { Refusal, errors, refuse } from './errno.ts';
export type { FuseRequest, Operation, RequestHeader, SetAttributes } from './request.ts';
export type { Append, AppendLane } from './append-lane.ts';
export type { FileStore, OpenStoredFile, StoredFile } from './file-store.ts';
export { StoreFilesystem, type StoreFilesystemOptions } from './store-filesystem.ts';
