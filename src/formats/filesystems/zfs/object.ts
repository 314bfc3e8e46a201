/**
 * The content of an object: numbered blocks of one size below a tree of block pointers.
 * Source: OpenZFS `module/zfs/dbuf.c` (comments on levels), `include/sys/dnode.h`.
 */
import { checkLimit, FormatError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { BlockPointer, isHoleAt, POINTER_BYTES } from './block-pointer.ts';
import type { BlockCipher, BlockReader } from './block-reader.ts';
import type { Dnode } from './dnode.ts';
import { viewOf } from './words.ts';

/** What blocks are read with. */
export interface BlockSupply {
  readonly reader: BlockReader;
  readonly cipher?: BlockCipher | undefined;
}

/** Where a block is: its pointer, or how many blocks from it on are holes. */
type Found = { readonly pointer: BlockPointer } | { readonly holes: number };

/** The content of one object. */
export class ZfsObject implements BlockMap {
  readonly dnode: Dnode;
  readonly blockBytes: number;
  /** Bytes that it can have by its last block. */
  readonly size: number;
  readonly #supply: BlockSupply;
  readonly #kind: 'metadata' | 'data';
  /** Indirect blocks that were used last, one for each level: number and pointers. */
  readonly #path: ({ readonly index: number; readonly view: DataView } | undefined)[] = [];
  /** Binary logarithm of the pointers in an indirect block. */
  readonly #shift: number;

  /** `kind`: which cache its blocks go through. @throws {FormatError} @throws {LimitError} */
  constructor(supply: BlockSupply, dnode: Dnode, kind: 'metadata' | 'data') {
    const { limits } = supply.reader;
    checkLimit(limits, 'filesystemBlockBytesMax', dnode.blockBytes, 'ZFS object');
    checkLimit(limits, 'filesystemDepthMax', dnode.levels, 'ZFS object');
    this.dnode = dnode;
    this.blockBytes = dnode.blockBytes;
    this.#supply = supply;
    this.#kind = kind;
    this.#shift = dnode.indirectShift - 7;
    const size = (dnode.lastBlock + 1) * dnode.blockBytes;
    if (!Number.isSafeInteger(size)) throw new FormatError('Read ZFS dnode', { structure: 'dnode_phys', field: 'dn_maxblkid', found: dnode.lastBlock, expected: 'less than 2^53 bytes' });
    this.size = size;
  }

  /** Pointers of the indirect block `index` of a level, if it was used last. */
  #known(level: number, index: number): DataView | undefined {
    const known = this.#path[level];
    return known?.index === index ? known.view : undefined;
  }

  /** Looks for a block as far as indirect blocks are in memory; then says which one is missing. */
  #find(block: number): Found | { readonly level: number; readonly index: number; readonly pointer: BlockPointer } {
    const { levels } = this.dnode;
    let view = this.dnode.pointerView;
    for (let level = levels - 1; ; level -= 1) {
      const span = 2 ** (this.#shift * level);
      const index = Math.floor(block / span);
      const slots = view.byteLength / POINTER_BYTES;
      const slot = level === levels - 1 ? index : index % 2 ** this.#shift;
      if (slot >= slots) return { holes: Number.MAX_SAFE_INTEGER };
      if (isHoleAt(view, slot * POINTER_BYTES)) {
        let end = slot + 1;
        while (end < slots && isHoleAt(view, end * POINTER_BYTES)) end += 1;
        return { holes: (index + end - slot) * span - block };
      }
      const pointer = new BlockPointer(new Uint8Array(view.buffer, view.byteOffset + slot * POINTER_BYTES, POINTER_BYTES));
      this.#check(pointer, level);
      if (level === 0) return { pointer };
      const next = this.#known(level, index);
      if (next === undefined) return { level, index, pointer };
      view = next;
    }
  }

  #check(pointer: BlockPointer, level: number): void {
    const bytes = level === 0 ? this.blockBytes : 2 ** this.dnode.indirectShift;
    const redacted = pointer.embedded && pointer.embeddedType === 2;
    if (pointer.level !== level || (pointer.logicalBytes !== bytes && !redacted)) {
      throw new FormatError('Read ZFS block pointer', {
        structure: 'blkptr', field: pointer.level === level ? 'LSIZE' : 'level', found: pointer.level === level ? pointer.logicalBytes : pointer.level, expected: pointer.level === level ? bytes : level,
      });
    }
  }

  /** Where block `block` is; only asynchronous when an indirect block must be read. */
  #locate(block: number): Found | Promise<Found> {
    const found = this.#find(block);
    return 'level' in found ? this.#descend(block, found) : found;
  }

  async #descend(block: number, missing: { readonly level: number; readonly index: number; readonly pointer: BlockPointer }): Promise<Found> {
    let next: Found | typeof missing = missing;
    while ('level' in next) {
      const { level, index, pointer } = next;
      const view = viewOf(await this.#supply.reader.read(pointer, 'metadata', this.#supply.cipher));
      this.#path[level] = { index, view };
      next = this.#find(block);
    }
    return next;
  }

  /** The content of a block, which must not be changed; undefined for a hole. */
  async block(index: number): Promise<Uint8Array | undefined> {
    const found = await this.#locate(index);
    return 'holes' in found ? undefined : this.#supply.reader.read(found.pointer, this.#kind, this.#supply.cipher);
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const block = Math.floor(offset / this.blockBytes);
    const skip = offset - block * this.blockBytes;
    const found = this.#locate(block);
    return found instanceof Promise ? found.then((one) => this.#run(one, skip, lengthMax)) : this.#run(found, skip, lengthMax);
  }

  #run(found: Found, skip: number, lengthMax: number): Run {
    if ('holes' in found) return { kind: 'hole', length: Math.min(lengthMax, found.holes * this.blockBytes - skip) };
    const { pointer } = found;
    const { reader, cipher } = this.#supply;
    return { kind: 'packed', length: Math.min(lengthMax, this.blockBytes - skip), skip, load: () => reader.read(pointer, this.#kind, cipher) };
  }

  /** Bytes of the content as one buffer; behind its end are zeroes. For small objects: the caller has checked `length`. */
  async bytes(offset: number, length: number): Promise<Uint8Array> {
    const target = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const run = await this.runAt(offset + at, length - at);
      if (run.kind === 'packed') target.set((await run.load()).subarray(run.skip, run.skip + run.length), at);
      at += run.length;
    }
    return target;
  }
}
