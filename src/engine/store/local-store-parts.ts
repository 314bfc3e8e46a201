/** What a local store works with, and the size of its blocks. */
import type { ChunkIndex, Limits, ObjectStore, World } from '../../core/index.ts';
import type { ContainerWriter } from '../containers/container-writer.ts';
import { sealedGroupBytes, type Vault } from '../crypto/index.ts';
import type { ChunkFilter } from '../filter/index.ts';
import type { HashName } from '../hashing/hasher.ts';
import type { Arena } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { CatchUp } from './catch-up.ts';
import type { ContainerEntries } from './container-entries.ts';
import { GROUP_BYTES, GROUP_CHUNKS_MAX, type GroupBuilder } from './group-builder.ts';

/** Bytes of the largest payload: what does not compress is sealed with its lengths and padding. */
export const STORED_BYTES: number = sealedGroupBytes(GROUP_CHUNKS_MAX, GROUP_BYTES);

/** What a store works with. The store closes index, pool and filter. */
export interface LocalStoreParts {
  readonly world: World;
  readonly objects: ObjectStore;
  /** Stored bytes at which a container is sealed. */
  readonly containerBytes?: number;
  readonly index: ChunkIndex;
  readonly filter: ChunkFilter;
  readonly arena: Arena;
  readonly pool: WorkerPool;
  readonly limits: Limits;
  readonly hash: HashName;
  /** zstd level; 0 stores as is. */
  readonly level: number;
  /** First 8 bytes of the repository's id. */
  readonly repository: Uint8Array;
  /** Knows what others did to the repository. */
  readonly catchUp: CatchUp;
  /** Of an encrypted repository. */
  readonly vault?: Vault;
  /** Told of damage that was read around. */
  note?(text: string): void;
}

/** Groups and containers of one kind on their way. */
export interface Output {
  builder: GroupBuilder | undefined;
  writer: ContainerWriter | undefined;
  entries: ContainerEntries;
  /** Resolves when all groups submitted so far are in a container. */
  tail: Promise<void>;
}
