/** Directories of exFAT entry by entry: sets of files, and what the root directory holds besides. */
import type { ClusterSpace, Span } from '../fat/cluster-space.ts';
import { setBytes } from './checksum.ts';
import { ATTRIBUTE, ENTRY, ENTRY_BYTES, fileLayout, TYPE } from './exfat.layout.ts';

/** What a scan meets; `at` is its first byte on the volume. */
export type Scanned =
  /** A file's whole set, in memory of its own. */
  | { readonly kind: 'set'; readonly at: number; readonly bytes: Uint8Array }
  /** A primary entry that is no file's, in memory of its own. */
  | { readonly kind: 'other'; readonly at: number; readonly bytes: Uint8Array }
  /** A file's set that is cut short by another entry or the end. */
  | { readonly kind: 'torn'; readonly at: number; readonly missing: number };

/** One set that is being put together. */
class Collector {
  #set = new Uint8Array(0);
  #size = 0;
  #at = 0;

  get missing(): number {
    return (this.#set.length - this.#size) / ENTRY_BYTES;
  }

  begin(entry: Uint8Array, at: number): void {
    this.#set = new Uint8Array(setBytes(entry[fileLayout.offsets.SecondaryCount] as number));
    this.#size = 0;
    this.#at = at;
    this.add(entry);
  }

  add(entry: Uint8Array): void {
    this.#set.set(entry, this.#size);
    this.#size += ENTRY_BYTES;
  }

  take(): Scanned {
    return { kind: 'set', at: this.#at, bytes: this.#set };
  }

  /** Gives up the set; it is torn. */
  tear(): Scanned {
    const torn = { kind: 'torn', at: this.#at, missing: this.missing } as const;
    this.#size = this.#set.length;
    return torn;
  }
}

/** All that is in use, up to the mark of the end; that of a piece of the directory at once. */
export async function* scanSets(space: ClusterSpace, spans: Iterable<Span>): AsyncIterable<readonly Scanned[]> {
  const set = new Collector();
  for await (const { view, base, start, end } of space.pieces(spans)) {
    const found: Scanned[] = [];
    for (let i = start; i < end; i += ENTRY_BYTES) {
      const type = view.getUint8(i);
      const entry = new Uint8Array(view.buffer, view.byteOffset + i, ENTRY_BYTES);
      const secondary = (type & TYPE.inUse) !== 0 && (type & TYPE.secondary) !== 0;
      const expected = set.missing > 0;
      if (expected && !secondary) found.push(set.tear());
      if (type === ENTRY.end) {
        yield found;
        return;
      }
      if (expected && secondary) set.add(entry);
      else if (type === ENTRY.file) set.begin(entry, base + i);
      else {
        if ((type & TYPE.inUse) !== 0 && !secondary) found.push({ kind: 'other', at: base + i, bytes: entry.slice() });
        continue;
      }
      if (set.missing === 0) found.push(set.take());
    }
    yield found;
  }
  if (set.missing > 0) yield [set.tear()];
}

/** Number of directories in a directory, without reading names. */
export async function countSubdirectories(space: ClusterSpace, spans: Iterable<Span>): Promise<number> {
  let count = 0;
  for await (const { view, start, end } of space.pieces(spans)) {
    for (let i = start; i < end; i += ENTRY_BYTES) {
      const type = view.getUint8(i);
      if (type === ENTRY.end) return count;
      if (type === ENTRY.file && (view.getUint16(i + fileLayout.offsets.FileAttributes, true) & ATTRIBUTE.directory) !== 0) count += 1;
    }
  }
  return count;
}
