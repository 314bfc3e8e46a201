/** Names: entries of directories, extended attributes and references. Source: btrfs documentation, "On-disk format", dir item, inode ref, extref, root ref. */
import { crc32c, FormatError } from '../../../core/index.ts';
import { type Item, itemBytes, keyText } from './node.ts';
import { exactAt, wideAt } from './wide.ts';

/** One entry of a directory or one attribute; `value` is an attribute's. The bytes are those of the item. */
export interface NamedEntry {
  /** The inode, or the subvolume when `type` is ROOT_ITEM. */
  readonly objectid: number;
  readonly type: number;
  readonly name: Uint8Array;
  readonly value: Uint8Array;
  /** The file's type as the directory has it. */
  readonly kind: number;
}

/** A name that an inode, or a subvolume, has in a directory. */
export interface NameReference {
  readonly parent: number;
  readonly index: number;
  readonly name: Uint8Array;
}

const ENTRY_BYTES = 30;

function fault(structure: string, item: Item, found: number, expected: string): FormatError {
  return new FormatError('Read btrfs names', { structure: `${structure} ${keyText(item)}`, field: 'name_len', found, expected });
}

/** The hash that orders directory entries and attributes. */
export function nameHash(name: Uint8Array): number {
  // The kernel starts from the complement of 1 and leaves out the last complement.
  return ~crc32c(name, 1) >>> 0;
}

/** The hash of an extended reference. */
export function referenceHash(parent: number, name: Uint8Array): number {
  return ~crc32c(name, ~(parent % 0x1_0000_0000) >>> 0) >>> 0;
}

/** All entries of a DIR_ITEM, DIR_INDEX or XATTR_ITEM: several where names have the same hash. @throws {FormatError} */
export function namedEntries(item: Item): readonly NamedEntry[] {
  const bytes = itemBytes(item);
  const { view, at: base } = item;
  const entries: NamedEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + ENTRY_BYTES > bytes.length) throw fault('btrfs_dir_item', item, bytes.length - at, `at least ${ENTRY_BYTES} bytes`);
    const valueBytes = view.getUint16(base + at + 25, true);
    const nameBytes = view.getUint16(base + at + 27, true);
    const nameAt = at + ENTRY_BYTES;
    const end = nameAt + nameBytes + valueBytes;
    if (end > bytes.length) throw fault('btrfs_dir_item', item, nameBytes + valueBytes, `at most ${bytes.length - nameAt}`);
    entries.push({
      objectid: wideAt(view, base + at), type: view.getUint8(base + at + 8), kind: view.getUint8(base + at + 29),
      name: bytes.subarray(nameAt, nameAt + nameBytes), value: bytes.subarray(nameAt + nameBytes, end),
    });
    at = end;
  }
  return entries;
}

/** All names of an INODE_REF, whose key has the directory. @throws {FormatError} */
export function inodeReferences(item: Item): readonly NameReference[] {
  const bytes = itemBytes(item);
  const references: NameReference[] = [];
  for (let at = 0; at < bytes.length;) {
    const nameBytes = at + 10 > bytes.length ? -1 : item.view.getUint16(item.at + at + 8, true);
    const end = at + 10 + nameBytes;
    if (nameBytes < 0 || end > bytes.length) throw fault('btrfs_inode_ref', item, nameBytes, `at most ${bytes.length - at - 10}`);
    references.push({ parent: item.offset, index: wideAt(item.view, item.at + at), name: bytes.subarray(at + 10, end) });
    at = end;
  }
  return references;
}

/** All names of an INODE_EXTREF, each with its own directory. @throws {FormatError} */
export function extendedReferences(item: Item): readonly NameReference[] {
  const bytes = itemBytes(item);
  const references: NameReference[] = [];
  for (let at = 0; at < bytes.length;) {
    const nameBytes = at + 18 > bytes.length ? -1 : item.view.getUint16(item.at + at + 16, true);
    const end = at + 18 + nameBytes;
    if (nameBytes < 0 || end > bytes.length) throw fault('btrfs_inode_extref', item, nameBytes, `at most ${bytes.length - at - 18}`);
    references.push({ parent: wideAt(item.view, item.at + at), index: wideAt(item.view, item.at + at + 8), name: bytes.subarray(at + 18, end) });
    at = end;
  }
  return references;
}

/** The directory and name of a ROOT_REF or ROOT_BACKREF; `parent` is the directory's inode. @throws {FormatError} */
export function rootReference(item: Item): NameReference {
  const bytes = itemBytes(item);
  if (bytes.length < 18) throw fault('btrfs_root_ref', item, bytes.length, 'at least 18 bytes');
  const nameBytes = item.view.getUint16(item.at + 16, true);
  if (18 + nameBytes > bytes.length) throw fault('btrfs_root_ref', item, nameBytes, `at most ${bytes.length - 18}`);
  return { parent: exactAt(item.view, item.at, 'btrfs_root_ref', 'dirid'), index: wideAt(item.view, item.at + 8), name: bytes.subarray(18, 18 + nameBytes) };
}
