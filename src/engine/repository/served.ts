/** What a wire server needs of a repository that is open for writing. */
import type { Limits, ObjectStore, World } from '../../core/index.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import type { CatchUp } from '../store/catch-up.ts';
import type { LocalStore } from '../store/local-store.ts';
import type { Arena } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { RepositoryConfig } from './config.ts';
import type { Writer } from './session.ts';

/** Parts of an open repository, for the engine's own use; the repository owns them. */
export interface ServedParts {
  readonly world: World;
  readonly objects: ObjectStore;
  readonly config: RepositoryConfig;
  readonly limits: Limits;
  /** Has room for what `IncomingGroups` reserves, once. */
  readonly arena: Arena;
  readonly pool: WorkerPool;
  readonly store: LocalStore;
  readonly metadata: MetadataStore;
  readonly catchUp: CatchUp;
  readonly writer: Writer;
  /** Of an encrypted repository: makes ids keyed. */
  readonly idKey?: Uint8Array;
  note(text: string): void;
}
