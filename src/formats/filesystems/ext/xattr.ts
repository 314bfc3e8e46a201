/**
 * Extended attributes: behind the fields of an inode, in a block of their own, and large values in inodes of their own.
 * Source: Linux, Documentation/filesystems/ext4 (attributes); fs/ext4/xattr.h for values in inodes.
 */
import { attributeNameText, checkLimit, FormatError, IntegrityError, readRange, type BlockSource, type Limits } from '../../../core/index.ts';
import { kernelAcl } from './acl.ts';
import { BLOCK_OWNER, type BlockReader, bytesOf } from './block-reader.ts';
import { chainCrc, chainCrcAround, chainCrcOfU64 } from './checksum.ts';
import { INODE, INODE_BYTES_MIN, XATTR, XATTR_INDEX, xattrPrefixes } from './inode.layout.ts';
import type { Inode } from './inode.ts';
import { INCOMPAT } from './superblock.layout.ts';

const STRUCTURE = 'ext attribute';
const DATA = 'data';

/** One entry; `value` is a view, absent when the value is in an inode of its own. */
interface Entry {
  readonly index: number;
  readonly name: Uint8Array;
  readonly value?: Uint8Array;
  readonly inode: number;
  readonly size: number;
}

/** What the reader needs of its filesystem. */
export interface AttributeParts {
  readonly blocks: BlockReader;
  readonly limits: Limits;
  /** The inode of that number, and its content. */
  inode(number: number): Promise<Inode>;
  content(inode: Inode): BlockSource;
}

/** Where entries are: they begin at `start`, values are counted from `base`, and nothing is at or behind `end`. */
interface Area {
  readonly view: DataView;
  readonly start: number;
  readonly base: number;
  readonly end: number;
}

function fault(inode: Inode, field: string, found: number, expected: string): FormatError {
  return new FormatError(`Read attributes of ext inode ${inode.number}`, { structure: STRUCTURE, field, found, expected });
}

/** The area behind an inode's fields, if there is one. */
function inodeArea(inode: Inode): Area | undefined {
  const at = INODE_BYTES_MIN + inode.extraBytes;
  const { data } = inode;
  if (data.byteLength < at + XATTR.inodeHeaderBytes || data.byteLength === INODE_BYTES_MIN || data.getUint32(at, true) !== XATTR.magic) return undefined;
  const start = at + XATTR.inodeHeaderBytes;
  return { view: data, start, base: start, end: data.byteLength };
}

function* entriesOf(inode: Inode, { view, start, base, end }: Area): Iterable<Entry> {
  const bytes = bytesOf(view);
  for (let at = start; at + 4 <= end && view.getUint32(at, true) !== 0;) {
    if (at + XATTR.entryBytes > end) throw fault(inode, 'e_name_len', at, `an entry that ends before ${end}`);
    const nameLength = view.getUint8(at + XATTR.e_name_len);
    const nameAt = at + XATTR.entryBytes;
    if (nameAt + nameLength > end) throw fault(inode, 'e_name_len', nameLength, `at most ${end - nameAt}`);
    const valueAt = base + view.getUint16(at + XATTR.e_value_offs, true);
    const size = view.getUint32(at + XATTR.e_value_size, true);
    const valueInode = view.getUint32(at + XATTR.e_value_inum, true);
    const entry = { index: view.getUint8(at + XATTR.e_name_index), name: bytes.subarray(nameAt, nameAt + nameLength), inode: valueInode, size };
    if (entry.name.includes(0)) throw fault(inode, 'e_name', 0, 'bytes that are not NUL');
    if (valueInode !== 0) yield entry;
    else {
      if (size > 0 && (valueAt + size > end || valueAt < start)) throw fault(inode, 'e_value_offs', valueAt - base, `a value of ${size} bytes that ends before ${end - base}`);
      yield { ...entry, value: bytes.subarray(valueAt, valueAt + (size > 0 ? size : 0)) };
    }
    at = nameAt + Math.ceil(nameLength / 4) * 4;
  }
}

/** The second part of an inode's inline data: the attribute that the kernel does not show. @throws {FormatError} */
export function inlineRest(inode: Inode): Uint8Array {
  const area = inodeArea(inode);
  if (area === undefined) return new Uint8Array(0);
  for (const { index, name, value } of entriesOf(inode, area)) {
    if (index === XATTR_INDEX.system && value !== undefined && Buffer.from(name).toString('latin1') === DATA) return value;
  }
  return new Uint8Array(0);
}

/** Reads attributes of inodes. */
export class AttributeReader {
  readonly #parts: AttributeParts;

  constructor(parts: AttributeParts) {
    this.#parts = parts;
  }

  /** All attributes that the kernel shows, by full name; ACLs in the kernel's form. @throws {FormatError} @throws {IntegrityError} @throws {LimitError} */
  async read(inode: Inode): Promise<ReadonlyMap<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    const { limits } = this.#parts;
    let total = 0;
    for (const area of await this.#areas(inode)) {
      for (const entry of entriesOf(inode, area)) {
        const prefix = xattrPrefixes[entry.index];
        if (prefix === undefined) continue;
        const isAcl = entry.index === XATTR_INDEX.acl_access || entry.index === XATTR_INDEX.acl_default;
        const name = isAcl ? prefix : prefix + attributeNameText(entry.name);
        if (found.has(name)) continue;
        const where = `attributes of ext inode ${inode.number}`;
        checkLimit(limits, 'xattrBytesMax', entry.size, where);
        total += entry.size;
        checkLimit(limits, 'filesystemListBytesMax', total, where);
        const value = entry.value?.slice() ?? await this.#fromInode(inode, entry);
        found.set(name, isAcl ? kernelAcl(value) : value);
      }
    }
    return found;
  }

  async #areas(inode: Inode): Promise<readonly Area[]> {
    const own = inodeArea(inode);
    const areas = own === undefined ? [] : [own];
    const block = inode.attributeBlock;
    if (block === 0) return areas;
    // A block may belong to several inodes, and its checksum to none of them.
    const view = await this.#parts.blocks.get(block, BLOCK_OWNER.attributes, { structure: 'ext inode', field: 'i_file_acl' }, (found) => { this.#checkBlock(inode, block, found); });
    return [...areas, { view, start: XATTR.headerBytes, base: 0, end: view.byteLength }];
  }

  #checkBlock(inode: Inode, block: number, view: DataView): void {
    const { geometry } = this.#parts.blocks;
    const magic = view.getUint32(0, true);
    if (magic !== XATTR.magic) throw fault(inode, 'h_magic', magic, String(XATTR.magic));
    const blocks = view.getUint32(XATTR.h_blocks, true);
    if (blocks !== 1) throw fault(inode, 'h_blocks', blocks, '1');
    if (geometry.checksums !== 'crc32c') return;
    const stored = view.getUint32(XATTR.h_checksum, true);
    const crc = chainCrcAround(chainCrcOfU64(geometry.seed, block), bytesOf(view), XATTR.h_checksum, 4);
    if (crc !== stored) {
      throw new IntegrityError(`Read attributes of ext inode ${inode.number}, block ${block}: h_checksum is '${stored}', its bytes give '${crc}'`, { structure: STRUCTURE, field: 'h_checksum', inode: inode.number });
    }
  }

  async #fromInode(inode: Inode, entry: Entry): Promise<Uint8Array> {
    const { geometry } = this.#parts.blocks;
    if ((geometry.incompat & INCOMPAT.ea_inode) === 0) throw fault(inode, 'e_value_inum', entry.inode, '0: the filesystem does not have the feature ea_inode');
    const holder = await this.#parts.inode(entry.inode);
    if (holder.type !== 'file' || !holder.has('ea_inode')) throw fault(inode, 'e_value_inum', entry.inode, 'an inode that is an attribute\'s value');
    if (holder.size !== entry.size) throw fault(inode, 'e_value_size', entry.size, `${holder.size}: the size of inode ${holder.number}`);
    const source = this.#parts.content(holder);
    const value = await readRange(source, 0, source.size);
    const stored = holder.data.getUint32(INODE.i_atime, true);
    const crc = chainCrc(geometry.seed, value);
    // Values that Lustre wrote have the inode's number instead of a hash.
    const isLustre = holder.data.getUint32(INODE.i_mtime, true) === inode.number;
    if (crc !== stored && !isLustre) {
      throw new IntegrityError(`Read attribute value in ext inode ${holder.number}: its hash is '${stored}', its bytes give '${crc}'`, { structure: STRUCTURE, field: 'e_hash', inode: holder.number });
    }
    return value;
  }
}
