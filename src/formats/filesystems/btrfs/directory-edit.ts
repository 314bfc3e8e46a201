/** Changing names in a replayed tree: the three places where each name stands (DIR_ITEM, DIR_INDEX, INODE_REF or INODE_EXTREF) stay in step. */
import { equalBytes, FormatError, textOf } from '../../../core/index.ts';
import { ITEM } from './btrfs.layout.ts';
import { extendedReferences, inodeReferences, type NamedEntry, namedEntries, nameHash, type NameReference, referenceHash } from './names.ts';
import { type Item, itemBytes, type Key } from './node.ts';
import type { ReplayedTree } from './replayed-tree.ts';
import type { ItemTree } from './tree.ts';

/** A name in a directory. */
export interface Link {
  readonly directory: number;
  readonly inode: number;
  readonly name: Uint8Array;
  readonly index: number;
}

/** Bytes of an entry or reference besides its name and value. */
const ENTRY_HEAD = 30;
const REFERENCE_HEAD = 10;
const EXTENDED_HEAD = 18;

/** The entry that a directory's hash table has for a name. */
export async function entryNamed(tree: ItemTree, directory: number, name: Uint8Array): Promise<NamedEntry | undefined> {
  const item = await tree.find({ objectid: directory, type: ITEM.DIR_ITEM, offset: nameHash(name) });
  return item === undefined ? undefined : namedEntries(item).find((entry) => equalBytes(entry.name, name));
}

/** The entry at an index, when it has this name. */
export async function entryAt(tree: ItemTree, directory: number, index: number, name: Uint8Array): Promise<NamedEntry | undefined> {
  const item = await tree.find({ objectid: directory, type: ITEM.DIR_INDEX, offset: index });
  return item === undefined ? undefined : namedEntries(item).find((entry) => equalBytes(entry.name, name));
}

/** The reference by which an inode knows a name of its own. */
export async function referenceTo(tree: ItemTree, inode: number, directory: number, name: Uint8Array): Promise<NameReference | undefined> {
  const plain = await tree.find({ objectid: inode, type: ITEM.INODE_REF, offset: directory });
  const known = plain === undefined ? undefined : inodeReferences(plain).find((one) => equalBytes(one.name, name));
  if (known !== undefined) return known;
  const extended = await tree.find({ objectid: inode, type: ITEM.INODE_EXTREF, offset: referenceHash(directory, name) });
  return extended === undefined ? undefined : extendedReferences(extended).find((one) => one.parent === directory && equalBytes(one.name, name));
}

/** Names that an inode has. */
export async function namesOf(tree: ItemTree, inode: number): Promise<number> {
  let count = 0;
  for await (const page of tree.pages({ objectid: inode, type: ITEM.INODE_REF, first: 0, last: -1 })) for (const item of page) count += inodeReferences(item).length;
  for await (const page of tree.pages({ objectid: inode, type: ITEM.INODE_EXTREF, first: 0, last: -1 })) for (const item of page) count += extendedReferences(item).length;
  return count;
}

/** Leaves parts of an item out: `sizes` are the bytes of its parts, 0 where a part stays. */
function cut(tree: ReplayedTree, item: Item, parts: readonly { readonly size: number; readonly drop: boolean }[]): void {
  if (!parts.some(({ drop }) => drop)) return;
  const bytes = itemBytes(item);
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const { size, drop } of parts) {
    if (!drop) kept.push(bytes.subarray(at, at + size));
    at += size;
  }
  if (kept.length === 0) tree.delete(item);
  else tree.put(item, new Uint8Array(Buffer.concat(kept)));
}

/** Leaves entries out of an item of entries or attributes, and says which. */
export function cutEntries(tree: ReplayedTree, item: Item, drop: (entry: NamedEntry) => boolean): void {
  cut(tree, item, namedEntries(item).map((entry) => ({ size: ENTRY_HEAD + entry.name.length + entry.value.length, drop: drop(entry) })));
}

async function cutReference(tree: ReplayedTree, inode: number, directory: number, name: Uint8Array): Promise<void> {
  const plain = await tree.find({ objectid: inode, type: ITEM.INODE_REF, offset: directory });
  if (plain !== undefined) cut(tree, plain, inodeReferences(plain).map((one) => ({ size: REFERENCE_HEAD + one.name.length, drop: equalBytes(one.name, name) })));
  const extended = await tree.find({ objectid: inode, type: ITEM.INODE_EXTREF, offset: referenceHash(directory, name) });
  if (extended !== undefined) {
    cut(tree, extended, extendedReferences(extended).map((one) => ({ size: EXTENDED_HEAD + one.name.length, drop: one.parent === directory && equalBytes(one.name, name) })));
  }
}

/** Takes a name away, wherever it stands. */
export async function removeName(tree: ReplayedTree, directory: number, inode: number, name: Uint8Array): Promise<void> {
  const reference = await referenceTo(tree, inode, directory, name);
  const item = await tree.find({ objectid: directory, type: ITEM.DIR_ITEM, offset: nameHash(name) });
  if (item !== undefined) cutEntries(tree, item, (entry) => equalBytes(entry.name, name));
  if (reference !== undefined) {
    const index = await tree.find({ objectid: directory, type: ITEM.DIR_INDEX, offset: reference.index });
    if (index !== undefined) cutEntries(tree, index, (entry) => equalBytes(entry.name, name));
  }
  await cutReference(tree, inode, directory, name);
}

function entryBytes(inode: number, name: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENTRY_HEAD + name.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(inode), true);
  view.setUint8(8, ITEM.INODE_ITEM);
  view.setUint16(27, name.length, true);
  bytes.set(name, ENTRY_HEAD);
  return bytes;
}

function joined(item: Item | undefined, bytes: Uint8Array): Uint8Array {
  return item === undefined ? bytes : new Uint8Array(Buffer.concat([itemBytes(item), bytes]));
}

/** Adds a name to a directory. The inode's own reference is the caller's. @throws {FormatError} when the index is taken by another name. */
export async function addName(tree: ReplayedTree, { directory, inode, name, index }: Link): Promise<void> {
  const indexKey: Key = { objectid: directory, type: ITEM.DIR_INDEX, offset: index };
  if (await tree.find(indexKey) !== undefined) {
    throw new FormatError('Replay btrfs log', { structure: `directory ${directory}`, field: 'index', found: index, expected: `a free index for '${textOf(name)}'` });
  }
  const bytes = entryBytes(inode, name);
  const hashKey: Key = { objectid: directory, type: ITEM.DIR_ITEM, offset: nameHash(name) };
  tree.put(hashKey, joined(await tree.find(hashKey), bytes));
  tree.put(indexKey, bytes);
}

/** Adds the reference that goes with a name. */
export async function addReference(tree: ReplayedTree, { directory, inode, name, index }: Link): Promise<void> {
  const bytes = new Uint8Array(REFERENCE_HEAD + name.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(index), true);
  view.setUint16(8, name.length, true);
  bytes.set(name, REFERENCE_HEAD);
  const key: Key = { objectid: inode, type: ITEM.INODE_REF, offset: directory };
  tree.put(key, joined(await tree.find(key), bytes));
}
