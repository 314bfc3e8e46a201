/**
 * Devices that were removed from a pool: their blocks were copied to others, and a table says where to.
 * Source: OpenZFS `include/sys/vdev_indirect_mapping.h` (vdev_indirect_mapping_entry_phys_t, 24 bytes), `module/zfs/vdev_indirect.c` (comments).
 */
import { checkLimit, FormatError, LimitError } from '../../../core/index.ts';
import type { BlockReader } from './block-reader.ts';
import { type NvList, nvNumber } from './nvlist.ts';
import type { ObjectSet } from './object-set.ts';
import type { Faults, Vdev } from './vdev.ts';
import { viewOf } from './words.ts';

const ENTRY_BYTES = 24;
const SECTOR = 512;
const STRUCTURE = 'vdev_indirect_mapping';

/** A stretch of a removed device: where it begins there, its bytes, and where it is now. */
interface Segment {
  readonly from: number;
  readonly length: number;
  readonly vdev: number;
  readonly offset: number;
}

/** Bytes of one device, found through any number of removals. */
interface Piece {
  readonly vdev: Vdev;
  readonly offset: number;
  /** Where they belong in what was asked for. */
  readonly at: number;
  readonly length: number;
}

/** A removed device. */
class IndirectVdev implements Vdev {
  readonly name: string;
  readonly missing = false;
  readonly #reader: BlockReader;
  readonly #meta: ObjectSet;
  readonly #mapping: number;
  #table: DataView | undefined;
  #loading = false;

  constructor(name: string, reader: BlockReader, meta: ObjectSet, mapping: number) {
    this.name = name;
    this.#reader = reader;
    this.#meta = meta;
    this.#mapping = mapping;
  }

  /**
   * Reads the table. It may itself be on a device that was removed later, never on this one. Called one at a time, when the pool is opened.
   * @param bytesMax of the table. @throws {FormatError} @throws {LimitError}
   */
  async load(bytesMax: number): Promise<DataView> {
    if (this.#table !== undefined) return this.#table;
    if (this.#loading) throw new FormatError('Read ZFS device that was removed', { structure: STRUCTURE, field: 'object', found: this.#mapping, expected: 'a table on another device' });
    this.#loading = true;
    const object = await this.#meta.object(this.#mapping);
    const { bonus } = object.dnode;
    const bytes = bonus.length >= 24 ? Number(viewOf(bonus).getBigUint64(16, true)) * ENTRY_BYTES : 0;
    if (bytes > bytesMax) throw new LimitError('filesystemListBytesMax', bytes, bytesMax, 'table of a removed ZFS device');
    this.#table = viewOf(await object.bytes(0, bytes));
    return this.#table;
  }

  /** The segment that holds `offset`. @throws {FormatError} when none does. */
  #segment(table: DataView, offset: number): Segment {
    const from = (entry: number): number => ((table.getUint32(entry * ENTRY_BYTES + 4, true) & 0x7fff_ffff) * 0x1_0000_0000 + table.getUint32(entry * ENTRY_BYTES, true)) * SECTOR;
    let low = 0;
    let high = table.byteLength / ENTRY_BYTES;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (from(middle) <= offset) low = middle;
      else high = middle;
    }
    const at = low * ENTRY_BYTES;
    const length = table.byteLength === 0 ? 0 : (table.getUint32(at + 8, true) & 0xff_ffff) * SECTOR;
    if (length === 0 || offset < from(low) || offset >= from(low) + length) {
      throw new FormatError('Read ZFS device that was removed', { structure: STRUCTURE, field: 'vimep_src', found: offset, expected: 'an offset that was copied' });
    }
    return { from: from(low), length, vdev: table.getUint32(at + 12, true) & 0xff_ffff, offset: ((table.getUint32(at + 20, true) & 0x7fff_ffff) * 0x1_0000_0000 + table.getUint32(at + 16, true)) * SECTOR };
  }

  async #pieces(offset: number, length: number, depth: number): Promise<readonly Piece[]> {
    const { limits, vdevs } = this.#reader;
    checkLimit(limits, 'filesystemDepthMax', depth, 'chain of removed ZFS devices');
    const table = await this.load(limits.filesystemListBytesMax);
    const pieces: Piece[] = [];
    for (let at = 0; at < length;) {
      const segment = this.#segment(table, offset + at);
      const skip = offset + at - segment.from;
      const vdev = vdevs[segment.vdev];
      if (vdev === undefined) throw new FormatError('Read ZFS device that was removed', { structure: STRUCTURE, field: 'vimep_dst', found: segment.vdev, expected: 'a device of the pool' });
      const part = Math.min(length - at, segment.length - skip);
      const start = at;
      if (vdev instanceof IndirectVdev) pieces.push(...(await vdev.#pieces(segment.offset + skip, part, depth + 1)).map((piece) => ({ ...piece, at: start + piece.at })));
      else pieces.push({ vdev, offset: segment.offset + skip, at, length: part });
      at += part;
    }
    return pieces;
  }

  async readInto(offset: number, target: Uint8Array, faults: Faults): Promise<boolean> {
    for (const piece of await this.#pieces(offset, target.length, 1)) {
      if (!await piece.vdev.readInto(piece.offset, target.subarray(piece.at, piece.at + piece.length), faults)) return false;
    }
    return true;
  }

  /** One piece is the rule, with all its copies; of several, only the likeliest copy of each. */
  async *copies(offset: number, length: number, faults: Faults): AsyncIterable<Uint8Array> {
    const pieces = await this.#pieces(offset, length, 1);
    const [first] = pieces;
    if (first !== undefined && pieces.length === 1) {
      yield* first.vdev.copies(first.offset, length, faults);
      return;
    }
    const copy = new Uint8Array(length);
    if (await this.readInto(offset, copy, faults)) yield copy;
  }
}

/** Puts the removed devices into `vdevs`, by number, and reads their tables. @throws {FormatError} @throws {LimitError} @throws {IntegrityError} */
export async function loadIndirect(reader: BlockReader, meta: ObjectSet, removed: readonly NvList[], vdevs: (Vdev | undefined)[]): Promise<void> {
  const devices: IndirectVdev[] = [];
  for (const tree of removed) {
    const id = nvNumber(tree, 'id');
    const mapping = nvNumber(tree, 'com.delphix:indirect_object') ?? 0;
    if (id === undefined || id >= reader.limits.volumeMembersMax || mapping === 0) throw new FormatError('Open ZFS pool', { structure: 'vdev_tree', field: 'com.delphix:indirect_object', found: mapping, expected: 'an object' });
    const device = new IndirectVdev(`indirect-${id}`, reader, meta, mapping);
    vdevs[id] = device;
    devices.push(device);
  }
  let room = reader.limits.filesystemListBytesMax;
  for (const device of devices) room -= (await device.load(room)).byteLength;
}
