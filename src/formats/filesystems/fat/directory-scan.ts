/** The entries of a FAT directory, with their names put together. */
import type { ClusterSpace, Span } from './cluster-space.ts';
import { ATTRIBUTE, dirEntryLayout, MARK, SLOT_BYTES } from './fat.layout.ts';
import { LongName } from './long-name.ts';
import { shortName } from './short-name.ts';

/** One name of a directory; the short entry begins at byte `start` of `view` and byte `at` of the volume. */
export interface FatEntry {
  readonly name: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly at: number;
}

const ATTRIBUTES_AT = dirEntryLayout.offsets.DIR_Attr;
const DOT = 0x2e;
const SPACES = 9;

/** Whether the entry is that of the directory itself or its parent: one or two dots, and spaces. */
function isDots(view: DataView, at: number): boolean {
  if (view.getUint8(at) !== DOT) return false;
  const second = view.getUint8(at + 1);
  if (second !== DOT && second !== 0x20) return false;
  for (let i = 2; i < 2 + SPACES; i += 1) if (view.getUint8(at + i) !== 0x20) return false;
  return true;
}

/** Whether an entry holds a name of the directory: not a part of a long name, a label, a dot or nothing. */
function isNamed(view: DataView, at: number): boolean {
  return view.getUint8(at) !== MARK.deleted && (view.getUint8(at + ATTRIBUTES_AT) & ATTRIBUTE.volumeId) === 0 && !isDots(view, at);
}

/** Entries up to the mark of the end; those of a piece of the directory at once. Names may be ones that a tree must not show. */
export async function* scanDirectory(space: ClusterSpace, spans: Iterable<Span>): AsyncIterable<readonly FatEntry[]> {
  const long = new LongName();
  for await (const { view, base, start, end } of space.pieces(spans)) {
    const entries: FatEntry[] = [];
    let ended = false;
    for (let i = start; i < end; i += SLOT_BYTES) {
      const mark = view.getUint8(i);
      if (mark === MARK.end) {
        ended = true;
        break;
      }
      if (mark !== MARK.deleted && (view.getUint8(i + ATTRIBUTES_AT) & ATTRIBUTE.longNameMask) === ATTRIBUTE.longName) long.add(view, i);
      else if (isNamed(view, i)) entries.push({ name: long.take(view, i) ?? shortName(view, i), view, start: i, at: base + i });
      else long.drop();
    }
    yield entries;
    if (ended) return;
  }
}

/** Number of directories in a directory, without reading names. */
export async function countSubdirectories(space: ClusterSpace, spans: Iterable<Span>): Promise<number> {
  let count = 0;
  for await (const { view, start, end } of space.pieces(spans)) {
    for (let i = start; i < end; i += SLOT_BYTES) {
      if (view.getUint8(i) === MARK.end) return count;
      if ((view.getUint8(i + ATTRIBUTES_AT) & ATTRIBUTE.directory) !== 0 && isNamed(view, i)) count += 1;
    }
  }
  return count;
}

/** The 11 letters of the volume's label in the root directory. */
export async function findLabel(space: ClusterSpace, spans: Iterable<Span>): Promise<Uint8Array | undefined> {
  for await (const { view, start, end } of space.pieces(spans)) {
    for (let i = start; i < end; i += SLOT_BYTES) {
      const mark = view.getUint8(i);
      if (mark === MARK.end) return undefined;
      const attributes = view.getUint8(i + ATTRIBUTES_AT) & ATTRIBUTE.longNameMask;
      if (mark === MARK.deleted || attributes === ATTRIBUTE.longName || (attributes & (ATTRIBUTE.volumeId | ATTRIBUTE.directory)) !== ATTRIBUTE.volumeId) continue;
      const label = new Uint8Array(view.buffer, view.byteOffset + i, 11).slice();
      if (label[0] === MARK.e5) label[0] = MARK.deleted;
      return label;
    }
  }
  return undefined;
}
