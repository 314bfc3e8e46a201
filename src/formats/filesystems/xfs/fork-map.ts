/**
 * Where the blocks of a fork are: records in the inode, or leaves of a B+tree whose root is there.
 * Source: "XFS Algorithms & Data Structures", "Data Extents".
 */
import { FormatError, type Limits } from '../../../core/index.ts';
import { BLOCKS_END, checkRecords, type Mapping, mappingIn, RECORD_BYTES, type RecordPage } from './extent.ts';
import type { Fork, XfsInode } from './inode.ts';
import type { MetadataReader, Wanted } from './metadata.ts';
import { wideOf } from './wide.ts';
import { FAMILY, FORK, MAGIC } from './xfs.layout.ts';

/** A block number and a pointer. */
const KEY_BYTES = 8;
/** Bytes of the header of the root, which is in the inode. */
const ROOT_HEADER = 4;
const BLOCK_HEADER = { old: 24, v5: 72 } as const;

/** Node of the B+tree: keys and pointers, and the blocks of the file below it. */
interface Node {
  readonly view: DataView;
  readonly level: number;
  readonly count: number;
  readonly keysAt: number;
  readonly pointersAt: number;
  readonly end: number;
}

/** The map of one fork of one inode. */
export class ForkMap {
  readonly #metadata: MetadataReader;
  readonly #inode: XfsInode;
  readonly #owner: number | undefined;
  readonly #root: Node | undefined;
  #page: RecordPage | undefined;

  /**
   * `changedOwner`: the log gave the fork's blocks to another inode, so that what they say of it is out of date.
   * @throws {FormatError} when the fork has another form. @throws {LimitError}
   */
  constructor(metadata: MetadataReader, inode: XfsInode, fork: Fork, options: { readonly limits: Limits; readonly changedOwner: boolean }) {
    this.#metadata = metadata;
    this.#inode = inode;
    this.#owner = options.changedOwner ? undefined : inode.number;
    const view = new DataView(fork.bytes.buffer, fork.bytes.byteOffset, fork.bytes.byteLength);
    if (fork.format === FORK.extents) {
      const most = Math.floor(fork.bytes.length / RECORD_BYTES);
      if (fork.extents > most) throw inode.fault('di_nextents', fork.extents, `at most ${most}, as they are in the inode`);
      this.#page = { view, at: 0, count: fork.extents, from: 0, end: BLOCKS_END };
      checkRecords(this.#page, metadata.geometry, fork.at);
    } else if (fork.format === FORK.btree) this.#root = this.#rootIn(view, options.limits);
    else throw inode.fault('di_format', fork.format, `${FORK.extents} or ${FORK.btree}`);
  }

  #rootIn(view: DataView, limits: Limits): Node {
    const most = Math.floor((view.byteLength - ROOT_HEADER) / (2 * KEY_BYTES));
    const level = view.byteLength < ROOT_HEADER ? 0 : view.getUint16(0);
    const count = view.byteLength < ROOT_HEADER ? 0 : view.getUint16(2);
    if (level < 1 || level > limits.filesystemDepthMax) throw this.#inode.fault('bb_level', level, `1 to ${limits.filesystemDepthMax}`);
    if (count < 1 || count > most) throw this.#inode.fault('bb_numrecs', count, `1 to ${most}`);
    return { view, level, count, keysAt: ROOT_HEADER, pointersAt: ROOT_HEADER + most * KEY_BYTES, end: BLOCKS_END };
  }

  /** What the fork's block `block` and those behind it are. @throws {FormatError} @throws {IntegrityError} */
  find(block: number): Mapping | Promise<Mapping> {
    const page = this.#page;
    if (page !== undefined && block >= page.from && block < page.end) return mappingIn(page, block);
    return this.#pageOf(block).then((found) => {
      this.#page = found;
      return mappingIn(found, block);
    });
  }

  async #pageOf(block: number): Promise<RecordPage> {
    let node = this.#root;
    for (let from = 0; node !== undefined;) {
      const index = childOf(node, block);
      const start = index === 0 ? from : keyAt(node, index);
      const end = index + 1 < node.count ? keyAt(node, index + 1) : node.end;
      if (end <= start) throw this.#inode.fault('bb_key', end, `more than ${start}`);
      from = start;
      const child = await this.#child(node, index);
      if (node.level === 1) return { ...child, from, end };
      const most = Math.floor((child.view.byteLength - child.at) / (2 * KEY_BYTES));
      node = { view: child.view, level: node.level - 1, count: child.count, keysAt: child.at, pointersAt: child.at + most * KEY_BYTES, end };
    }
    throw this.#inode.fault('di_nextents', block, 'a block that its records cover');
  }

  async #child(node: Node, index: number): Promise<Pick<RecordPage, 'view' | 'at' | 'count'>> {
    const { geometry } = this.#metadata;
    const pointer = wideOf(node.view, node.pointersAt + index * KEY_BYTES);
    if (pointer === undefined || !geometry.holds(pointer, 1)) throw this.#inode.fault('bb_ptr', pointer ?? 'more than 2^53', 'a block of the filesystem');
    const header = geometry.isV5 ? BLOCK_HEADER.v5 : BLOCK_HEADER.old;
    const level = node.level - 1;
    const wanted: Wanted = {
      family: FAMILY.longBtree, magics: [geometry.isV5 ? MAGIC.bmapCrc : MAGIC.bmap], owner: this.#owner,
      check: (view, at) => {
        if (view.getUint16(4) === 0) checkRecords({ view, at: header, count: recordsOf(view, header, at) }, geometry, at + header);
      },
    };
    const view = await this.#metadata.block([{ at: geometry.blockAt(pointer), length: geometry.facts.blockBytes }], wanted);
    const at = geometry.blockAt(pointer);
    // Not part of the check made once: another tree may have led here at another level.
    if (view.getUint16(4) !== level) throw new FormatError('Read XFS extents', { structure: FAMILY.longBtree.name, field: 'bb_level', offset: at, found: view.getUint16(4), expected: level });
    return { view, at: header, count: recordsOf(view, header, at) };
  }
}

function recordsOf(view: DataView, header: number, at: number): number {
  const count = view.getUint16(6);
  const most = Math.floor((view.byteLength - header) / RECORD_BYTES);
  if (count < 1 || count > most) throw new FormatError('Read XFS extents', { structure: FAMILY.longBtree.name, field: 'bb_numrecs', offset: at, found: count, expected: `1 to ${most}` });
  return count;
}

function keyAt(node: Node, index: number): number {
  return wideOf(node.view, node.keysAt + index * KEY_BYTES) ?? BLOCKS_END;
}

/** The last child whose key is not behind `block`. */
function childOf(node: Node, block: number): number {
  let low = 1;
  let high = node.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keyAt(node, middle) <= block) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
