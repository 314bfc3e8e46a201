/**
 * Block pointers: where a block is, how it is packed, and its checksum; 128 bytes.
 * Source: OpenZFS `include/sys/spa.h` (diagrams of blkptr_t, of its encrypted and of its embedded form). Decoded by hand: one is read for
 * each block of data.
 */
import { FormatError, UnsupportedError } from '../../../core/index.ts';
import { viewOf } from './words.ts';

/** Bytes of a block pointer. */
export const POINTER_BYTES = 128;

/** Data virtual address. */
export interface Dva {
  /** Top-level device by its number. */
  readonly vdev: number;
  /** Bytes from the start of the device's data. */
  readonly offset: number;
  readonly gang: boolean;
}

const PROP = 48;
const SECTOR = 512;

/** Object types whose blocks are encrypted where encryption is used; all others are only authenticated. */
const encryptedTypes: ReadonlySet<number> = new Set([9, 10, 18, 19, 20, 22, 23, 25, 26, 33, 34, 35, 39, 40, 44, 45, 46, 47, 49]);

/** Whether blocks of an object type are encrypted: of the old types by a table, of the new ones by a bit. */
export function isEncryptedType(type: number): boolean {
  return (type & 0x80) !== 0 ? (type & 0x20) !== 0 : encryptedTypes.has(type);
}

/** A decoded pointer; it reads `bytes` when asked. */
export class BlockPointer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #low: number;
  readonly #high: number;

  /** `bytes`: 128 of them, which must not change. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = viewOf(bytes);
    this.#low = this.#view.getUint32(PROP, true);
    this.#high = this.#view.getUint32(PROP + 4, true);
  }

  get embedded(): boolean {
    return (this.#high & 0x80) !== 0;
  }

  /** Nothing is stored: zeroes. */
  get hole(): boolean {
    return !this.embedded && this.#view.getBigUint64(0, true) === 0n && this.#view.getBigUint64(8, true) === 0n;
  }

  /** Bytes after decompression. */
  get logicalBytes(): number {
    return this.embedded ? (this.#low & 0x1ff_ffff) + 1 : ((this.#low & 0xffff) + 1) * SECTOR;
  }

  /** Bytes as stored. */
  get physicalBytes(): number {
    return this.embedded ? (this.#low >>> 25) + 1 : ((this.#low >>> 16) + 1) * SECTOR;
  }

  get compression(): number {
    return this.#high & 0x7f;
  }

  get checksum(): number {
    return this.#high >>> 8 & 0xff;
  }

  /** What an embedded pointer holds: 0 data, 2 a mark that data was left out. */
  get embeddedType(): number {
    return this.checksum;
  }

  get type(): number {
    return this.#high >>> 16 & 0xff;
  }

  get level(): number {
    return this.#high >>> 24 & 0x1f;
  }

  /** The dataset's encryption is used: for the block itself, for a MAC, or for a checksum of MACs. */
  get protected(): boolean {
    return (this.#high & 0x2000_0000) !== 0;
  }

  get encrypted(): boolean {
    return this.protected && this.level === 0 && isEncryptedType(this.type);
  }

  get bigEndian(): boolean {
    return (this.#high & 0x8000_0000) === 0;
  }

  /** Salt (8 bytes), initialisation vector (12) and MAC (16) of an encrypted block. */
  get cryptSalt(): Uint8Array {
    return this.bytes.subarray(32, 40);
  }

  get cryptIv(): Uint8Array {
    const iv = new Uint8Array(12);
    iv.set(this.bytes.subarray(40, 48));
    iv.set(this.bytes.subarray(92, 96), 8);
    return iv;
  }

  get mac(): Uint8Array {
    return this.bytes.subarray(112, 128);
  }

  get checksumBytes(): Uint8Array {
    return this.bytes.subarray(96, 128);
  }

  /** Transaction group in which the block was written, as the headers of gangs are checked with it. */
  get physicalBirth(): bigint {
    const physical = this.#view.getBigUint64(72, true);
    return physical === 0n ? this.#view.getBigUint64(80, true) : physical;
  }

  get birth(): bigint {
    return this.#view.getBigUint64(80, true);
  }

  /** Places of the copies, one to three; an encrypted block has at most two. @throws {FormatError} */
  dvas(): readonly Dva[] {
    const found: Dva[] = [];
    for (let i = 0; i < (this.encrypted ? 2 : 3); i += 1) {
      const at = 16 * i;
      const sizeWord = this.#view.getUint32(at, true);
      const vdev = this.#view.getUint32(at + 4, true) & 0xff_ffff;
      const low = this.#view.getUint32(at + 8, true);
      const high = this.#view.getUint32(at + 12, true);
      if ((sizeWord & 0xff_ffff) === 0 && low === 0 && high === 0 && vdev === 0) continue;
      const offset = ((high & 0x7fff_ffff) * 0x1_0000_0000 + low) * SECTOR;
      if (!Number.isSafeInteger(offset)) throw new FormatError('Read ZFS block pointer', { structure: 'blkptr', field: `dva[${i}].offset`, found: offset, expected: 'at most 2^53-1' });
      found.push({ vdev, offset, gang: (high & 0x8000_0000) !== 0 });
    }
    return found;
  }

  /** The data that stands in the pointer itself, as compressed. @throws {FormatError} @throws {UnsupportedError} */
  payload(): Uint8Array {
    if (this.embeddedType === 2) throw new UnsupportedError('Read ZFS block: its content was left out when the dataset was received (redacted)');
    if (this.embeddedType !== 0) throw new FormatError('Read ZFS block pointer', { structure: 'blkptr', field: 'etype', found: this.embeddedType, expected: '0 or 2' });
    const all = new Uint8Array(112);
    all.set(this.bytes.subarray(0, 48));
    all.set(this.bytes.subarray(56, 80), 48);
    all.set(this.bytes.subarray(88, 128), 72);
    if (this.physicalBytes > all.length) throw new FormatError('Read ZFS block pointer', { structure: 'blkptr', field: 'PSIZE', found: this.physicalBytes, expected: `at most ${all.length}` });
    return all.subarray(0, this.physicalBytes);
  }
}

/** Whether the pointer at byte `at` says that there is nothing: quicker than to decode it. */
export function isHoleAt(view: DataView, at: number): boolean {
  return view.getUint32(at, true) === 0 && view.getUint32(at + 4, true) === 0 && view.getUint32(at + 8, true) === 0 && view.getUint32(at + 12, true) === 0
    && (view.getUint8(at + PROP + 4) & 0x80) === 0;
}
