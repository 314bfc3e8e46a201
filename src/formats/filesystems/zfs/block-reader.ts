/**
 * Reads blocks by their pointers: looks for a copy that matches its checksum, decrypts, decompresses, puts gangs together.
 * Source: OpenZFS `module/zfs/{zio,zio_checksum,blkptr}.c` (comments), `include/sys/zio_impl.h`.
 */
import { checkLimit, equalBytes, FormatError, IntegrityError, type Limits, UnsupportedError } from '../../../core/index.ts';
import { BlockCache } from './block-cache.ts';
import { BlockPointer, type Dva, POINTER_BYTES } from './block-pointer.ts';
import { checksumNames, checksumOf, isFolded, isUnchecked, sha256Words } from './checksum.ts';
import { compressions, decompress, type Unzstd } from './decompress.ts';
import { fletcher4 } from './fletcher.ts';
import { Faults, type Vdev } from './vdev.ts';
import { viewOf } from './words.ts';

/** Bytes of a gang's header: up to three pointers, and a checksum of its own. */
const GANG_BYTES = 512;
const GANG_POINTERS = 3;
const GANG_DEPTH_MAX = 5;
const TRAILER_BYTES = 40;
/** Type of a dataset's root. */
const OBJSET = 11;
/** In a block of the intent log: bytes in use, and its checksum. */
const LOG_USED_AT = 136;
const LOG_CHECKSUM_AT = 152;
const LOG_UNIT_BYTES = 4096;
const TRAILER_MAGIC = 0x0210_da7a_b10c_7a11n;

/** Opens protected blocks of one dataset. */
export interface BlockCipher {
  /**
   * What the block holds before it is decompressed; `raw` as stored, which stays as it is.
   * @throws {IntegrityError} when its MAC does not hold.
   */
  open(pointer: BlockPointer, raw: Uint8Array): Uint8Array;
  /** What a block of the intent log holds; its MAC stands in the block. @throws {IntegrityError} @throws {FormatError} */
  openLog(pointer: BlockPointer, raw: Uint8Array): Uint8Array;
  /** Checks what can only be checked after decompression: MACs of indirect blocks and of object sets. @throws {IntegrityError} */
  check(pointer: BlockPointer, block: Uint8Array): void;
}

/** What a reader needs to know of its pool. */
export interface BlockReaderParts {
  readonly limits: Limits;
  readonly unzstd?: Unzstd | undefined;
  /** Told once per block that was read from another copy than the first. */
  readonly repaired: (where: string) => void;
  /** For tests: what a hostile writer could have stored with a checksum that holds. */
  readonly altered?: Alter | undefined;
}

/** Gives another block of the same size, or the same. */
export type Alter = (pointer: BlockPointer, block: Uint8Array) => Uint8Array;

/** Whether the bytes match; half of an encrypted block's checksum is its MAC, which is checked when it is decrypted. */
function matches(pointer: BlockPointer, bytes: Uint8Array, salt: Uint8Array | undefined): boolean {
  const { checksum } = pointer;
  if (isUnchecked(checksum)) return true;
  if (checksumNames[checksum] === 'zilog2') return logBlockHolds(pointer, bytes);
  const found = checksumOf(checksum, bytes, salt);
  if (!isCut(pointer)) return equalBytes(found, pointer.checksumBytes);
  return equalBytes(isFolded(checksum) ? folded(found) : found.subarray(0, 16), pointer.checksumBytes.subarray(0, 16));
}

/** Whether half of the checksum gave way to a MAC; roots of datasets have theirs inside. */
function isCut({ protected: isProtected, type }: BlockPointer): boolean {
  return isProtected && type !== OBJSET;
}

/** Half of a checksum, made of both: 16 bytes. */
function folded(words: Uint8Array): Uint8Array {
  return words.subarray(0, 16).map((byte, i) => byte ^ (words[i + 16] as number));
}

/** A block of the intent log checks itself, as far as it is in use, with its pointer's checksum in the checksum's stead. */
function logBlockHolds(pointer: BlockPointer, block: Uint8Array): boolean {
  if (block.length < LOG_CHECKSUM_AT + 32) return false;
  const view = viewOf(block);
  if (view.getBigUint64(LOG_CHECKSUM_AT - 8, true) !== TRAILER_MAGIC) return false;
  const used = Math.ceil(Number(view.getBigUint64(LOG_USED_AT, true)) / LOG_UNIT_BYTES) * LOG_UNIT_BYTES;
  if (used > block.length || used === 0) return false;
  const copy = block.slice(0, used);
  copy.set(pointer.checksumBytes, LOG_CHECKSUM_AT);
  const found = fletcher4(copy);
  const stored = block.subarray(LOG_CHECKSUM_AT, LOG_CHECKSUM_AT + 32);
  if (!pointer.protected) return equalBytes(found, stored);
  return equalBytes(folded(found), stored.subarray(0, 16));
}

function placeText(dva: Dva): string {
  return `device ${dva.vdev}, offset ${dva.offset}`;
}

/** The reader of one pool. */
export class BlockReader {
  readonly #parts: BlockReaderParts;
  /** Top-level devices by number; replaced when the pool's own configuration is known. */
  vdevs: readonly (Vdev | undefined)[] = [];
  /** Key of the checksums that have one. */
  salt: Uint8Array | undefined;
  readonly #metadata: BlockCache;
  readonly #data: BlockCache;

  constructor(parts: BlockReaderParts) {
    this.#parts = parts;
    this.#metadata = new BlockCache(parts.limits.filesystemCacheBytesMax / 2);
    this.#data = new BlockCache(parts.limits.filesystemCacheBytesMax / 2);
  }

  get limits(): Limits {
    return this.#parts.limits;
  }

  /**
   * A block, through a cache; `kind` says which: blocks of files must not drive out those of metadata. The bytes must not be changed.
   * @throws {IntegrityError} no copy matches. @throws {FormatError} @throws {UnsupportedError} @throws {LimitError}
   */
  read(pointer: BlockPointer, kind: 'metadata' | 'data', cipher?: BlockCipher): Promise<Uint8Array> {
    const load = (): Promise<Uint8Array> => this.#altered(pointer, cipher);
    if (pointer.embedded) return load();
    const [first] = pointer.dvas();
    if (first === undefined) return Promise.resolve(new Uint8Array(pointer.logicalBytes));
    const place = first.vdev * 2 ** 44 + first.offset / 512;
    return (kind === 'data' ? this.#data : this.#metadata).get(place, pointer.bytes, load);
  }

  /** A block of the intent log, not kept. @throws {IntegrityError} it is no part of the log, or damaged. @throws {UnsupportedError} as in `read`. */
  async readLog(pointer: BlockPointer, cipher: BlockCipher | undefined): Promise<Uint8Array> {
    if (pointer.embedded || pointer.bigEndian || checksumNames[pointer.checksum] !== 'zilog2') {
      throw new UnsupportedError(`Read ZFS intent log: blocks with the checksum '${checksumNames[pointer.checksum] ?? pointer.checksum}' are not supported`, { checksum: pointer.checksum });
    }
    const raw = await this.readRaw(pointer);
    if (cipher === undefined && pointer.protected) throw new UnsupportedError('Read ZFS intent log: it is encrypted, and no key of its dataset is at hand');
    const block = this.#expand(pointer, cipher === undefined ? raw : cipher.openLog(pointer, raw));
    return this.#parts.altered === undefined ? block : this.#parts.altered(pointer, block);
  }

  async #altered(pointer: BlockPointer, cipher: BlockCipher | undefined): Promise<Uint8Array> {
    const block = await this.#load(pointer, cipher);
    return this.#parts.altered === undefined ? block : this.#parts.altered(pointer, block);
  }

  async #load(pointer: BlockPointer, cipher: BlockCipher | undefined): Promise<Uint8Array> {
    if (pointer.bigEndian) throw new UnsupportedError('Read ZFS block: it was written by a big-endian machine');
    checkLimit(this.limits, 'filesystemBlockBytesMax', pointer.logicalBytes, 'ZFS block');
    if (cipher !== undefined && !pointer.protected) throw new IntegrityError('Read ZFS block: it is not encrypted, in a dataset that is');
    if (pointer.embedded) return this.#expand(pointer, pointer.payload());
    const raw = await this.readRaw(pointer);
    if (!pointer.protected) return this.#expand(pointer, raw);
    if (cipher === undefined) throw new UnsupportedError('Read ZFS block: it is encrypted, and no key of its dataset is at hand');
    const block = this.#expand(pointer, cipher.open(pointer, raw));
    cipher.check(pointer, block);
    return block;
  }

  #expand(pointer: BlockPointer, stored: Uint8Array): Uint8Array {
    const { compression, logicalBytes } = pointer;
    if (compression === compressions.off) {
      if (stored.length !== logicalBytes) throw new FormatError('Read ZFS block pointer', { structure: 'blkptr', field: 'PSIZE', found: stored.length, expected: logicalBytes });
      return stored;
    }
    const block = new Uint8Array(logicalBytes);
    decompress(compression, stored, block, this.#parts.unzstd);
    return block;
  }

  /** A block as it is stored, with its checksum verified. @throws {IntegrityError} */
  async readRaw(pointer: BlockPointer, depth = 0): Promise<Uint8Array> {
    const length = pointer.physicalBytes;
    checkLimit(this.limits, 'filesystemBlockBytesMax', length, 'ZFS block');
    const faults = new Faults();
    const dvas = pointer.dvas();
    let tries = 0;
    for (const dva of dvas) {
      for await (const copy of dva.gang ? this.#gang(pointer, dva, depth, faults) : this.#vdev(dva).copies(dva.offset, length, faults)) {
        if (matches(pointer, copy, this.salt)) {
          if (tries > 0 || faults.damaged) this.#parts.repaired(`${placeText(dva)}: ${faults.damaged ? faults.toString() : 'the first copy does not match its checksum'}`);
          return copy;
        }
        tries += 1;
      }
    }
    const where = dvas.map(placeText).join('; ');
    throw new IntegrityError(
      `Read ZFS block at ${where}: ${tries === 0 ? 'no copy of it can be read' : `none of '${tries}' copies matches its checksum '${checksumNames[pointer.checksum] ?? pointer.checksum}'`}${faults.empty ? '' : ` (${faults.toString()})`}`,
      { where, tries },
    );
  }

  #vdev(dva: Dva): Vdev {
    const vdev = this.vdevs[dva.vdev];
    if (vdev === undefined) throw new FormatError('Read ZFS block pointer', { structure: 'blkptr', field: 'dva.vdev', found: dva.vdev, expected: `one of '${this.vdevs.length}' devices` });
    return vdev;
  }

  /** The block that is kept in the pieces of a gang, at most one. */
  async *#gang(pointer: BlockPointer, dva: Dva, depth: number, faults: Faults): AsyncIterable<Uint8Array> {
    if (depth >= GANG_DEPTH_MAX) throw new FormatError('Read ZFS gang block', { structure: 'zio_gbh', field: 'depth', found: depth + 1, expected: `at most ${GANG_DEPTH_MAX}` });
    const [identity] = pointer.dvas();
    for await (const header of this.#vdev(dva).copies(dva.offset, GANG_BYTES, faults)) {
      if (identity === undefined || !gangHeaderHolds(header, identity, pointer)) {
        faults.add(`${placeText(dva)}: the header of a gang block does not match its checksum`);
        continue;
      }
      const block = new Uint8Array(pointer.physicalBytes);
      try {
        await this.#fillGang(header, block, depth);
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        faults.add(error.message);
        return;
      }
      yield block;
      return;
    }
  }

  async #fillGang(header: Uint8Array, block: Uint8Array, depth: number): Promise<void> {
    let at = 0;
    for (let i = 0; i < GANG_POINTERS; i += 1) {
      const child = new BlockPointer(header.subarray(i * POINTER_BYTES, (i + 1) * POINTER_BYTES));
      if (child.hole) continue;
      if (child.embedded || child.physicalBytes > block.length - at) {
        throw new FormatError('Read ZFS gang block', { structure: 'zio_gbh', field: `zg_blkptr[${i}].PSIZE`, found: child.physicalBytes, expected: `at most ${block.length - at}` });
      }
      block.set(await this.readRaw(child, depth + 1), at);
      at += child.physicalBytes;
    }
    if (at !== block.length) throw new FormatError('Read ZFS gang block', { structure: 'zio_gbh', field: 'size', found: at, expected: block.length });
  }
}

/**
 * A gang's header checks itself; its checksum was made with where it belongs in the checksum's stead. That of an encrypted block is cut like the block's own, though
 * it holds no MAC. Source: OpenZFS `module/zfs/zio_checksum.c`, and pools made by it.
 */
function gangHeaderHolds(header: Uint8Array, identity: Dva, pointer: BlockPointer): boolean {
  const at = header.length - TRAILER_BYTES;
  if (viewOf(header).getBigUint64(at, true) !== TRAILER_MAGIC) return false;
  const copy = header.slice();
  const view = viewOf(copy);
  view.setBigUint64(at + 8, BigInt(identity.vdev), true);
  view.setBigUint64(at + 16, BigInt(identity.offset), true);
  view.setBigUint64(at + 24, pointer.physicalBirth, true);
  view.setBigUint64(at + 32, 0n, true);
  const words = sha256Words(copy);
  return isCut(pointer) ? equalBytes(folded(words), header.subarray(at + 8, at + 24)) : equalBytes(words, header.subarray(at + 8));
}
