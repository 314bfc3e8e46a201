/** Where restored files go. A file has its final name only after `commit` saw the expected size and digest. */
import type { NodeStat } from './file-tree.ts';

/** All that belongs to an entry besides its content. */
export interface NodeMetadata {
  readonly stat: NodeStat;
  readonly attributes: ReadonlyMap<string, Uint8Array>;
}

/** What the writer must have seen; a difference is an {@link IntegrityError} and the final name stays as it was. */
export interface CommitExpectation {
  /** Bytes, holes included. */
  readonly size: number;
  /** Bytes that the producer verified against their ids or digests; must equal the bytes of data written. */
  readonly verifiedBytes: number;
}

/** A file that has no final name yet. Exactly one of `commit` and `abort` ends it; after an error only `abort` is legal. */
export interface PendingFile {
  /** `bytes` may be reused by the caller once the promise resolves. */
  writeFrom(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * Sets size (holes where nothing was written) and metadata, then gives the file its final name in one step.
   * @throws {IntegrityError} when size or verified bytes differ. @throws {ToolError} when the system refuses.
   */
  commit(expected: CommitExpectation): Promise<void>;
  abort(): Promise<void>;
}

/** Paths are bytes, `/`-separated, relative to the sink's root, without `.`, `..`, empty parts or NUL. */
export interface FileSink {
  /** Creates it if absent. Its metadata is applied by `finishDirectory`, after its children. */
  createDirectory(path: Uint8Array, metadata: NodeMetadata): Promise<void>;
  finishDirectory(path: Uint8Array, metadata: NodeMetadata): Promise<void>;
  createFile(path: Uint8Array, metadata: NodeMetadata): Promise<PendingFile>;
  createSymlink(path: Uint8Array, target: Uint8Array, metadata: NodeMetadata): Promise<void>;
  /** FIFO, device node, socket. */
  createSpecial(path: Uint8Array, metadata: NodeMetadata): Promise<void>;
  createHardLink(path: Uint8Array, existing: Uint8Array): Promise<void>;
  /**
   * Ends the restore.
   * @returns problems that did not stop it (an attribute the target refuses, …): each must reach the user.
   */
  finish(options?: { readonly durable?: boolean }): Promise<readonly SinkProblem[]>;
}

/** A piece of metadata that could not be applied. */
export interface SinkProblem {
  readonly path: Uint8Array;
  readonly what: string;
  readonly message: string;
}
