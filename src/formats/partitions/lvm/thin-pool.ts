/**
 * Thin pools: which chunk of the pool's data a thin volume's chunk is in. The metadata is two levels of B-trees: devices by their id, then
 * chunks by their number. Space maps are not needed for reading.
 * Source: Linux `drivers/md/dm-thin-metadata.c`, `drivers/md/persistent-data/dm-btree.c`; Documentation/admin-guide/device-mapper/thin-provisioning.rst.
 */
import { type BlockSource, crc32c, FormatError, IntegrityError, LimitError, type Limits, UnsupportedError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { readStructure } from '../parts.ts';
import { BTREE_FLAGS, btreeLayout, SECTOR, THIN, THIN_CSUM, thinSuperLayout } from './lvm.layout.ts';

/** Nodes in memory at most; 16 MiB. */
const NODES_MAX = 4096;

/** A node whose checksum held. */
interface Node {
  readonly view: DataView;
  readonly leaf: boolean;
  readonly entries: number;
  readonly valuesAt: number;
  readonly valueBytes: number;
}

/** A search's end: the leaf, the place of the first key that is not less, and the key before which nothing else is. */
interface Place {
  readonly leaf: Node;
  readonly index: number;
  readonly upper: number;
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

function keyAt({ view }: Node, index: number): number {
  return u64(view, btreeLayout.size + index * 8);
}

/** Index of the first key that is at least `key`. */
function firstNotLess(node: Node, key: number): number {
  let low = 0;
  let high = node.entries;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keyAt(node, middle) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Checksum of a block: everything behind the checksum itself. */
function checksum(block: Uint8Array, xor: number): number {
  return (~crc32c(block.subarray(4)) ^ xor) >>> 0;
}

/** The trees of one metadata device. */
class Trees {
  readonly #source: BlockSource;
  readonly #depthMax: number;
  /** In the order of use, the oldest first. */
  readonly #nodes = new Map<number, Node>();

  constructor(source: BlockSource, limits: Limits) {
    this.#source = source;
    this.#depthMax = limits.filesystemDepthMax;
  }

  async #load(block: number): Promise<Node> {
    const at = block * THIN.blockBytes;
    const bytes = await readStructure(this.#source, at, THIN.blockBytes, btreeLayout.name);
    const view = btreeLayout.view(bytes, 0, at);
    const found = checksum(bytes, THIN_CSUM.btree);
    if (found !== view.csum) throw new IntegrityError(`Read thin metadata block ${block}: checksum '${found}', expected '${view.csum}'`, { structure: btreeLayout.name, field: 'csum', offset: at });
    const fault = (field: keyof typeof btreeLayout.offsets, value: number, expected: string): FormatError =>
      new FormatError('Read thin metadata', { structure: btreeLayout.name, field, offset: at + btreeLayout.offsets[field], found: value, expected });
    if (view.blocknr !== block) throw fault('blocknr', view.blocknr, String(block));
    const { nr_entries: entries, max_entries: entriesMax, value_size: valueBytes } = view;
    const leaf = (view.flags & BTREE_FLAGS.leaf) !== 0;
    if (leaf === ((view.flags & BTREE_FLAGS.internal) !== 0)) throw fault('flags', view.flags, 'either internal or leaf');
    if (valueBytes < 8 || (!leaf && valueBytes !== 8)) throw fault('value_size', valueBytes, 'at least 8');
    if (entries > entriesMax || btreeLayout.size + entriesMax * (8 + valueBytes) > THIN.blockBytes) throw fault('max_entries', entriesMax, `at least ${entries}, and to fit into the block`);
    return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), leaf, entries, valuesAt: btreeLayout.size + entriesMax * 8, valueBytes };
  }

  #node(block: number): Node | Promise<Node> {
    const known = this.#nodes.get(block);
    if (known !== undefined) {
      this.#nodes.delete(block);
      this.#nodes.set(block, known);
      return known;
    }
    return this.#load(block).then((node) => {
      this.#nodes.set(block, node);
      for (const oldest of this.#nodes.keys()) {
        if (this.#nodes.size <= NODES_MAX) break;
        this.#nodes.delete(oldest);
      }
      return node;
    });
  }

  /** Searches without a promise as long as the nodes are in memory. @throws {FormatError} @throws {IntegrityError} @throws {LimitError} */
  find(root: number, key: number): Place | Promise<Place> {
    return this.#descend({ block: root, upper: Infinity, depth: 0 }, key);
  }

  #descend(from: { block: number; upper: number; depth: number }, key: number): Place | Promise<Place> {
    let { block, upper, depth } = from;
    for (;;) {
      if (depth > this.#depthMax) throw new LimitError('filesystemDepthMax', depth, this.#depthMax, 'thin metadata B-tree');
      const node = this.#node(block);
      if (node instanceof Promise) return node.then(() => this.#descend({ block, upper, depth }, key));
      const index = firstNotLess(node, key);
      if (node.leaf) return { leaf: node, index, upper: index < node.entries ? Math.min(upper, keyAt(node, index)) : upper };
      const exact = index < node.entries && keyAt(node, index) === key;
      const child = exact ? index : index - 1;
      if (child + 1 < node.entries) upper = Math.min(upper, keyAt(node, child + 1));
      // Before the first key of all there is nothing.
      if (child < 0) return { leaf: { ...node, entries: 0 }, index: 0, upper };
      block = u64(node.view, node.valuesAt + child * 8);
      depth += 1;
    }
  }

  /** The value of a key as a number; undefined when the tree has no such key. */
  async value(root: number, key: number): Promise<number | undefined> {
    const { leaf, index } = await this.find(root, key);
    return index < leaf.entries && keyAt(leaf, index) === key ? u64(leaf.view, leaf.valuesAt + index * leaf.valueBytes) : undefined;
  }
}

/** What the superblock says. */
export interface ThinPoolFacts {
  readonly transactionId: number;
  readonly chunkBytes: number;
  /** The kernel wants the metadata checked before it writes again. */
  readonly needsCheck: boolean;
}

/** An open pool. */
export class ThinPool {
  readonly facts: ThinPoolFacts;
  readonly #data: BlockSource;
  readonly #trees: Trees;
  readonly #root: number;

  constructor(parts: { readonly facts: ThinPoolFacts; readonly data: BlockSource; readonly trees: Trees; readonly root: number }) {
    this.facts = parts.facts;
    this.#data = parts.data;
    this.#trees = parts.trees;
    this.#root = parts.root;
  }

  /** The map of a thin volume; what it does not have is left to the `parent`. @throws {FormatError} the pool has no such device. */
  async device(id: number): Promise<BlockMap> {
    const root = await this.#trees.value(this.#root, id);
    if (root === undefined) throw new FormatError(`Open thin volume: device '${id}'`, { structure: 'thin pool metadata', field: 'data_mapping_root', found: 'no such device', expected: id });
    return { runAt: (offset, lengthMax) => this.#runAt(root, offset, lengthMax) };
  }

  #runAt(root: number, offset: number, lengthMax: number): Run | Promise<Run> {
    const chunk = Math.floor(offset / this.facts.chunkBytes);
    const place = this.#trees.find(root, chunk);
    return place instanceof Promise ? place.then((found) => this.#runIn(found, offset, lengthMax)) : this.#runIn(place, offset, lengthMax);
  }

  #runIn({ leaf, index, upper }: Place, offset: number, lengthMax: number): Run {
    const { chunkBytes } = this.facts;
    const chunk = Math.floor(offset / chunkBytes);
    const inChunk = offset - chunk * chunkBytes;
    if (index >= leaf.entries || keyAt(leaf, index) !== chunk) return { kind: 'parent', length: Math.min(lengthMax, upper * chunkBytes - offset) };
    const first = this.#chunkAt(leaf, index);
    let chunks = 1;
    while (chunks * chunkBytes < lengthMax + inChunk && index + chunks < leaf.entries && keyAt(leaf, index + chunks) === chunk + chunks && this.#chunkAt(leaf, index + chunks) === first + chunks) chunks += 1;
    return { kind: 'data', length: Math.min(lengthMax, chunks * chunkBytes - inChunk), file: this.#data, at: first * chunkBytes + inChunk };
  }

  /** A mapping's value is the chunk in the upper 40 bits and a time in the lower 24. */
  #chunkAt({ view, valuesAt, valueBytes }: Node, index: number): number {
    const at = valuesAt + index * valueBytes;
    return view.getUint32(at + 4, true) * 256 + (view.getUint32(at, true) >>> 24);
  }
}

/** Opens a pool; both sources stay the caller's. @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} */
export async function openThinPool(metadata: BlockSource, data: BlockSource, limits: Limits): Promise<ThinPool> {
  const bytes = await readStructure(metadata, 0, THIN.blockBytes, thinSuperLayout.name);
  const view = thinSuperLayout.view(bytes);
  const fault = (field: keyof typeof thinSuperLayout.offsets, found: number, expected: string): FormatError =>
    new FormatError('Open thin pool', { structure: thinSuperLayout.name, field, offset: thinSuperLayout.offsets[field], found, expected });
  if (view.magic !== THIN.magic) throw fault('magic', view.magic, String(THIN.magic));
  const found = checksum(bytes, THIN_CSUM.superblock);
  if (found !== view.csum) throw new IntegrityError(`Open thin pool: checksum of the superblock '${found}', expected '${view.csum}'`, { structure: thinSuperLayout.name, field: 'csum' });
  if (view.version < 1 || view.version > 2) throw new UnsupportedError(`Open thin pool: version '${view.version}' of the metadata is not known`);
  if (view.incompat_flags !== 0) throw new UnsupportedError(`Open thin pool: incompatible features '0x${view.incompat_flags.toString(16)}' are not known`);
  if (view.data_block_size === 0) throw fault('data_block_size', 0, 'at least 1');
  return new ThinPool({
    facts: { transactionId: view.trans_id, chunkBytes: view.data_block_size * SECTOR, needsCheck: (view.flags & THIN.needsCheck) !== 0 },
    data, trees: new Trees(metadata, limits), root: view.data_mapping_root,
  });
}
