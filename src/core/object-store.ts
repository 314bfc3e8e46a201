/**
 * Named objects that are created once: a directory on this machine, a bucket elsewhere. All that a repository cannot do without is made of them;
 * whatever else lies on a disk (index, filter) is a cache of what the objects say.
 */

/** What a store promises, found out by trying it on scratch objects. */
export interface ObjectStoreCapabilities {
  /** Of several creators of one name exactly one wins, and the others are told. Without it a repository can't be written. */
  readonly putIfAbsent: boolean;
  /** A listing shows each object whose creation was acknowledged before it began. */
  readonly listAfterPut: boolean;
  /** Objects can be removed; false where append-only rules or object lock forbid it. */
  readonly remove: boolean;
  /** Whether each request costs milliseconds: then callers ask for more at once and keep tables at the end of containers. */
  readonly remote: boolean;
}

/** One object of a listing. */
export interface ObjectRow {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** When the store says that it was created, milliseconds since 1970 by the store's clock: never by its writer's. */
  readonly modified: number;
}

/** An open object. It stays readable until closed, even when it is removed meanwhile, where the store can do so. */
export interface ObjectReader {
  /** Bytes. */
  readonly size: number;
  /** Fills all of `target`. @throws {RangeError} past the end. @throws {NotFoundError} removed meanwhile. */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** An object that is being written front to back; nobody sees it before `commit`. After an error it is dead. */
export interface ObjectWriter {
  /** Bytes appended so far. */
  readonly size: number;
  /** Buffers belong to the caller again once it resolves. Nothing is durable before `commit`. */
  append(...parts: readonly Uint8Array[]): Promise<void>;
  /**
   * Gives the object its name in one step: after it resolves the object survives a crash.
   * @throws {BusyError} when the name exists; then that object is unchanged, and this writer is at its end.
   */
  commit(): Promise<void>;
  /** Ends without an object. Resolves in any state, also after `commit`. */
  abandon(): Promise<void>;
}

/**
 * Objects by name. Names are ASCII, `/`-separated, without `.` and `..`. Nothing is ever overwritten.
 * Conformance: `objectStoreSuite`.
 */
export interface ObjectStore {
  /** Where it is, for messages. */
  readonly place: string;
  /** Tries the promises out once. @throws {ToolError} the store can't be reached. */
  capabilities(): Promise<ObjectStoreCapabilities>;
  /** `create`, `append` and `commit` in one call. @throws {BusyError} when the name exists. */
  put(name: string, ...parts: readonly Uint8Array[]): Promise<void>;
  /** The name is only looked at by `commit`. */
  create(name: string): Promise<ObjectWriter>;
  /** @throws {NotFoundError} */
  open(name: string): Promise<ObjectReader>;
  /**
   * Pages of all objects below a directory (a name without a slash at its end; '' for all), at any depth, in ascending order of names.
   * Objects created or removed meanwhile may or may not be there.
   */
  list(directory: string): AsyncIterable<readonly ObjectRow[]>;
  /**
   * After it resolves, these objects survive a crash, whoever created them: their creator may have been killed between naming and syncing
   * them. A writer asks before it refers to what it found by listing.
   */
  settle(names: readonly string[]): Promise<void>;
  /** Removes an object; also resolves when there is none. Durable on resolve. @throws {UnsupportedError} this store removes nothing. */
  remove(name: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads a whole small object. @throws {NotFoundError} @throws {LimitError} via `accept`, which is told the size before anything is allocated.
 */
export async function readObject(store: ObjectStore, name: string, accept: (size: number) => void): Promise<Uint8Array> {
  const reader = await store.open(name);
  try {
    accept(reader.size);
    const bytes = new Uint8Array(reader.size);
    await reader.readInto(0, bytes);
    return bytes;
  } finally {
    await reader.close();
  }
}
