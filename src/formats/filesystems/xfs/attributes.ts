/**
 * Extended attributes: in the inode, in leaves, or, for large values, in blocks of their own.
 * Source: "XFS Algorithms & Data Structures", "Extended Attributes".
 */
import { attributeNameText, checkLimit, FormatError, type Limits } from '../../../core/index.ts';
import { aclOf } from './acl.ts';
import type { BlockFinder } from './file-map.ts';
import type { Fork, XfsInode } from './inode.ts';
import type { MetadataReader, Wanted } from './metadata.ts';
import { readRemote } from './remote.ts';
import { FAMILY, MAGIC } from './xfs.layout.ts';

const FLAG = { local: 0x01, root: 0x02, secure: 0x04, parent: 0x08, incomplete: 0x80 } as const;
const NAMESPACE = FLAG.root | FLAG.secure | FLAG.parent;
const LEAF_HEADER = { old: 32, v5: 80 } as const;
const ENTRY_BYTES = 8;
const acls: ReadonlyMap<string, string> = new Map([['trusted.SGI_ACL_FILE', 'system.posix_acl_access'], ['trusted.SGI_ACL_DEFAULT', 'system.posix_acl_default']]);

/** Where the attributes of one inode are read from. */
export interface AttributeContext {
  readonly metadata: MetadataReader;
  readonly limits: Limits;
  /** Maps the attribute fork; not asked where attributes are in the inode. */
  finder(fork: Fork): BlockFinder;
}

/** One inode's attributes. */
class AttributeReader {
  readonly found = new Map<string, Uint8Array>();
  readonly #inode: XfsInode;
  readonly #context: AttributeContext;
  #bytes = 0;

  constructor(inode: XfsInode, context: AttributeContext) {
    this.#inode = inode;
    this.#context = context;
  }

  #fault(field: string, found: string | number, expected: string): FormatError {
    return new FormatError(`Read XFS attributes of inode '${this.#inode.number}'`, { structure: 'xfs_attr_leafblock', field, found, expected });
  }

  /** Values are copied: they outlive the block. */
  #add(flags: number, name: Uint8Array, value: Uint8Array): void {
    // Links to parent directories are the filesystem's own, and what was not finished when the system stopped is not there yet.
    if ((flags & (FLAG.parent | FLAG.incomplete)) !== 0) return;
    const space = flags & NAMESPACE;
    const prefix = space === 0 ? 'user.' : space === FLAG.root ? 'trusted.' : 'security.';
    checkLimit(this.#context.limits, 'xattrsMax', this.found.size + 1, `attributes of inode '${this.#inode.number}'`);
    this.#bytes += value.length;
    checkLimit(this.#context.limits, 'xattrBytesMax', this.#bytes, `attributes of inode '${this.#inode.number}'`);
    const text = prefix + attributeNameText(name);
    this.found.set(text, value.slice());
    const acl = acls.get(text);
    const kernelForm = acl === undefined ? undefined : aclOf(value);
    if (acl !== undefined && kernelForm !== undefined) this.found.set(acl, kernelForm);
  }

  short(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 4) throw this.#fault('totsize', bytes.length, 'at least 4 bytes');
    const end = view.getUint16(0);
    const count = view.getUint8(2);
    if (end > bytes.length) throw this.#fault('totsize', end, `at most ${bytes.length}`);
    let at = 4;
    for (let i = 0; i < count; i += 1) {
      const nameBytes = at + 3 > end ? 0 : view.getUint8(at);
      const valueBytes = at + 3 > end ? 0 : view.getUint8(at + 1);
      if (nameBytes === 0 || at + 3 + nameBytes + valueBytes > end) throw this.#fault('namelen', nameBytes, `an attribute inside ${end} bytes`);
      const name = bytes.subarray(at + 3, at + 3 + nameBytes);
      this.#add(view.getUint8(at + 2), name, bytes.subarray(at + 3 + nameBytes, at + 3 + nameBytes + valueBytes));
      at += 3 + nameBytes + valueBytes;
    }
  }

  /** All leaves from the left one on. */
  async leaves(finder: BlockFinder): Promise<void> {
    let { view, block } = await this.#firstLeaf(finder);
    const seen = new Set<number>();
    for (;;) {
      if (seen.has(block)) throw this.#fault('forw', block, 'a leaf that was not read before');
      seen.add(block);
      await this.#leaf(view, finder);
      block = view.getUint32(0);
      if (block === 0) return;
      view = await this.#block(finder, block);
      if (isNode(view)) throw this.#fault('magic', view.getUint16(8), 'a leaf beside a leaf');
    }
  }

  async #block(finder: BlockFinder, block: number): Promise<DataView> {
    const { metadata } = this.#context;
    const { geometry } = metadata;
    const mapping = await finder.find(block);
    if (mapping.block === undefined) throw this.#fault('forw', block, 'a block of the attribute fork');
    const magics = geometry.isV5 ? [MAGIC.attributeLeafCrc, MAGIC.nodeCrc] : [MAGIC.attributeLeaf, MAGIC.node];
    const wanted: Wanted = { family: FAMILY.dirattr, magics, owner: this.#inode.number };
    return metadata.block([{ at: geometry.blockAt(mapping.block), length: geometry.facts.blockBytes }], wanted);
  }

  async #firstLeaf(finder: BlockFinder): Promise<{ readonly view: DataView; readonly block: number }> {
    let block = 0;
    let view = await this.#block(finder, block);
    const { isV5 } = this.#context.metadata.geometry;
    for (let level = this.#context.limits.filesystemDepthMax; isNode(view);) {
      const found = view.getUint16(isV5 ? 58 : 14);
      if (found === 0 || found >= level) throw this.#fault('level', found, `1 to ${level - 1}`);
      if (view.getUint16(isV5 ? 56 : 12) === 0) throw this.#fault('count', 0, 'at least 1');
      level = found;
      block = view.getUint32((isV5 ? 64 : 16) + 4);
      view = await this.#block(finder, block);
    }
    return { view, block };
  }

  async #leaf(view: DataView, finder: BlockFinder): Promise<void> {
    const { isV5 } = this.#context.metadata.geometry;
    const start = isV5 ? LEAF_HEADER.v5 : LEAF_HEADER.old;
    const count = view.getUint16(isV5 ? 56 : 12);
    if (start + count * ENTRY_BYTES > view.byteLength) throw this.#fault('count', count, `at most ${Math.floor((view.byteLength - start) / ENTRY_BYTES)}`);
    for (let i = 0; i < count; i += 1) {
      const entryAt = start + i * ENTRY_BYTES;
      const flags = view.getUint8(entryAt + 6);
      const at = view.getUint16(entryAt + 4);
      if ((flags & (FLAG.parent | FLAG.incomplete)) !== 0) continue;
      if ((flags & FLAG.local) === 0) await this.#remote(view, at, flags, finder);
      else this.#local(view, at, flags);
    }
  }

  #local(view: DataView, at: number, flags: number): void {
    const head = this.#bytesAt(view, at, 3);
    const valueBytes = head.getUint16(0);
    const nameBytes = head.getUint8(2);
    const whole = this.#bytesAt(view, at, 3 + nameBytes + valueBytes);
    const bytes = new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength);
    if (nameBytes === 0) throw this.#fault('namelen', 0, 'at least 1');
    this.#add(flags, bytes.subarray(3, 3 + nameBytes), bytes.subarray(3 + nameBytes));
  }

  async #remote(view: DataView, at: number, flags: number, finder: BlockFinder): Promise<void> {
    const head = this.#bytesAt(view, at, 9);
    const nameBytes = head.getUint8(8);
    const name = this.#bytesAt(view, at, 9 + nameBytes);
    if (nameBytes === 0) throw this.#fault('namelen', 0, 'at least 1');
    const value = await readRemote(this.#context.metadata, finder, {
      family: FAMILY.attributeValue, magic: MAGIC.attributeValue, owner: this.#inode.number, block: head.getUint32(0), length: head.getUint32(4),
      lengthMax: this.#context.limits.xattrBytesMax, limit: 'xattrBytesMax', runs: false,
    });
    this.#add(flags, new Uint8Array(name.buffer, name.byteOffset + 9, nameBytes), value);
  }

  #bytesAt(view: DataView, at: number, length: number): DataView {
    if (at + length > view.byteLength) throw this.#fault('nameidx', at, `at most ${view.byteLength - length}`);
    return new DataView(view.buffer, view.byteOffset + at, length);
  }
}

function isNode(view: DataView): boolean {
  return view.getUint16(8) === MAGIC.node || view.getUint16(8) === MAGIC.nodeCrc;
}

/**
 * Attributes by full name.
 * @throws {FormatError} @throws {IntegrityError} @throws {LimitError}
 */
export async function readAttributes(inode: XfsInode, context: AttributeContext): Promise<ReadonlyMap<string, Uint8Array>> {
  const reader = new AttributeReader(inode, context);
  const fork = inode.attributeFork();
  if (fork === undefined) return reader.found;
  if (fork.format === 1) reader.short(fork.bytes);
  else if (fork.format !== 2 || fork.extents > 0) await reader.leaves(context.finder(fork));
  return reader.found;
}
