/** Open directory descriptors, least recently used closed first: paths of any length without walking them again. */
import type { SystemCalls } from './system-calls.ts';

/** A descriptor from here is valid until the next `set`: use it before anything is awaited. */
export class HandleCache<Key> {
  readonly #calls: SystemCalls;
  readonly #handlesMax: number;
  readonly #handles = new Map<Key, number>();
  #lastKey: Key | undefined;
  #lastHandle = -1;

  constructor(calls: SystemCalls, handlesMax: number) {
    this.#calls = calls;
    this.#handlesMax = handlesMax;
  }

  get(key: Key): number | undefined {
    if (key === this.#lastKey) return this.#lastHandle;
    const handle = this.#handles.get(key);
    if (handle === undefined) return undefined;
    this.#handles.delete(key);
    this.#handles.set(key, handle);
    this.#lastKey = key;
    this.#lastHandle = handle;
    return handle;
  }

  /** Takes over `handle`; `key` must be absent. */
  set(key: Key, handle: number): void {
    if (this.#handles.size >= this.#handlesMax) {
      const [oldest] = this.#handles.keys();
      this.delete(oldest as Key);
    }
    this.#handles.set(key, handle);
    this.#lastKey = key;
    this.#lastHandle = handle;
  }

  /** Closes one, if open: its directory was replaced. */
  delete(key: Key): void {
    const handle = this.#handles.get(key);
    if (handle === undefined) return;
    this.#calls.close(handle);
    this.#handles.delete(key);
    if (this.#lastKey === key) this.#lastKey = undefined;
  }

  /** Closes those whose keys `is` true for. */
  deleteWhere(is: (key: Key) => boolean): void {
    // Deleting the current key of a Map while going through it is well defined.
    for (const key of this.#handles.keys()) if (is(key)) this.delete(key);
  }

  close(): void {
    for (const handle of this.#handles.values()) this.#calls.close(handle);
    this.#handles.clear();
    this.#lastKey = undefined;
  }
}
