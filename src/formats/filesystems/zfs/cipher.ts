/**
 * Blocks of an encrypted dataset: decryption, and the tree of MACs that leads from the object set to each of them.
 * Source: OpenZFS `module/os/linux/zfs/zio_crypt.c` (comments: "DNODE ENCRYPTION", "OBJECT SET AUTHENTICATION"), RFC 5869 (HKDF).
 */
import { type CipherCCMTypes, createDecipheriv, createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { IntegrityError } from '../../../core/index.ts';
import { type BlockPointer, isEncryptedType, POINTER_BYTES } from './block-pointer.ts';
import type { BlockCipher } from './block-reader.ts';
import { DNODE_BYTES, objectTypes } from './dnode.ts';
import { viewOf } from './words.ts';

/** Bytes of a MAC in a block pointer. */
export const MAC_BYTES = 16;
/** Keys that are derived from salts and kept: a dataset changes its salt every 400 million blocks. */
const DERIVED_MAX = 64;
const CORE_BYTES = 64;
const SPILL_FLAG = 4;
const OBJECT_SET_MAC_BYTES = 32;
/** Of a block of the intent log: head, its last part that no MAC covers, bytes in use; head of a record, and two types. */
const LOG_CHAIN_BYTES = 184;
const LOG_TRAILER_BYTES = 40;
const LOG_USED_AT = 136;
const LOG_RECORD_BYTES = 32;
const LOG_WRITE = 9;
const LOG_CLONE = 24;

/** How a dataset is encrypted, and its keys. */
export interface DatasetKeys {
  readonly mode: 'ccm' | 'gcm';
  /** 16, 24 or 32 bytes; the keys of blocks are as long. */
  readonly master: Uint8Array;
  /** 64 bytes. */
  readonly hmac: Uint8Array;
  /** Of the form of what the MACs cover: 0 or 1. */
  readonly version: number;
}

/** What is decrypted in one go. */
export interface Sealed {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly mac: Uint8Array;
  /** Bytes that the MAC covers, too. */
  readonly plain: Uint8Array;
}

/** Decrypts `bytes`; undefined when the MAC does not hold. */
export function unseal(mode: DatasetKeys['mode'], { key, iv, mac, plain }: Sealed, bytes: Uint8Array): Uint8Array | undefined {
  const decipher = createDecipheriv(`aes-${key.length * 8}-${mode}` as CipherCCMTypes, key, iv, { authTagLength: MAC_BYTES });
  decipher.setAuthTag(mac);
  decipher.setAAD(plain, { plaintextLength: bytes.length });
  try {
    const opened = decipher.update(bytes);
    decipher.final();
    // Not as a Buffer: its `slice` would not copy.
    return new Uint8Array(opened.buffer, opened.byteOffset, opened.length);
  } catch {
    // Node tells a MAC that does not hold by an error without a class of its own.
    return undefined;
  }
}

/** Bytes of a block that are encrypted. */
interface BonusPlace {
  readonly start: number;
  readonly end: number;
}

/** The block with what was opened in its places. */
function spread(raw: Uint8Array, places: readonly BonusPlace[], opened: Uint8Array): Uint8Array {
  const block = raw.slice();
  let from = 0;
  for (const { start, end } of places) {
    block.set(opened.subarray(from, from + end - start), start);
    from += end - start;
  }
  return block;
}

/** Parts of one record of the log: plain are the pointer of a write, and all pointers of a clone. */
function logParts(raw: Uint8Array, { start, end }: BonusPlace, plain: Uint8Array[], places: BonusPlace[]): void {
  const type = viewOf(raw).getUint32(start, true);
  const body = start + LOG_RECORD_BYTES;
  if (type === LOG_WRITE && end - start >= 64 + POINTER_BYTES) {
    places.push({ start: body, end: start + 64 });
    plain.push(raw.subarray(start + 64, start + 64 + POINTER_BYTES));
    if (end > start + 64 + POINTER_BYTES) places.push({ start: start + 64 + POINTER_BYTES, end });
  } else if (type === LOG_CLONE && end - start >= 64) {
    places.push({ start: body, end: start + 64 });
    plain.push(raw.subarray(start + 64, end));
  } else places.push({ start: body, end });
}

/** The cipher of one dataset. */
export class DatasetCipher implements BlockCipher {
  readonly #keys: DatasetKeys;
  readonly #derived = new Map<string, Uint8Array>();

  constructor(keys: DatasetKeys) {
    this.#keys = keys;
  }

  /** The key of the blocks with a salt. */
  keyOf(salt: Uint8Array): Uint8Array {
    const name = Buffer.from(salt).toString('hex');
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    if (this.#derived.size >= DERIVED_MAX) this.#derived.clear();
    const key = new Uint8Array(hkdfSync('sha512', this.#keys.master, new Uint8Array(0), salt, this.#keys.master.length));
    this.#derived.set(name, key);
    return key;
  }

  get mode(): DatasetKeys['mode'] {
    return this.#keys.mode;
  }

  open(pointer: BlockPointer, raw: Uint8Array): Uint8Array {
    if (pointer.level > 0 || pointer.type === objectTypes.objectSet) return raw;
    if (!pointer.encrypted) {
      const mac = createHmac('sha512', this.#keys.hmac).update(raw).digest().subarray(0, MAC_BYTES);
      if (!timingSafeEqual(mac, pointer.mac)) throw failure('its MAC does not match');
      return raw;
    }
    if (pointer.type === objectTypes.dnode) return this.#openDnodes(pointer, raw);
    return this.#unseal(pointer, new Uint8Array(0), raw);
  }

  #unseal(pointer: BlockPointer, plain: Uint8Array, bytes: Uint8Array): Uint8Array {
    const opened = unseal(this.#keys.mode, { key: this.keyOf(pointer.cryptSalt), iv: pointer.cryptIv, mac: pointer.mac, plain }, bytes);
    if (opened === undefined) throw failure('its MAC does not match');
    return opened;
  }

  /** Of dnodes only the bonus is encrypted; all else is covered by the MAC as far as it is the same on other machines. */
  #openDnodes(pointer: BlockPointer, raw: Uint8Array): Uint8Array {
    const plain: Uint8Array[] = [];
    const places: BonusPlace[] = [];
    for (let at = 0; at + DNODE_BYTES <= raw.length;) {
      const dnode = raw.subarray(at, Math.min(raw.length, at + DNODE_BYTES * (1 + (raw[at + 12] as number))));
      const bonusAt = CORE_BYTES + (dnode[3] as number) * POINTER_BYTES;
      const bonusEnd = dnode.length - ((dnode[7] as number) & SPILL_FLAG ? POINTER_BYTES : 0);
      if (bonusAt > bonusEnd) throw failure('a dnode has more pointers than room');
      plain.push(...this.#dnodeParts(dnode));
      const encrypted = dnode[0] !== 0 && isEncryptedType(dnode[4] as number) && viewOf(dnode).getUint16(10, true) !== 0;
      if (encrypted) places.push({ start: at + bonusAt, end: at + bonusEnd });
      else plain.push(dnode.subarray(bonusAt, bonusEnd));
      at += dnode.length;
    }
    const sealed = Buffer.concat(places.map(({ start, end }) => raw.subarray(start, end)));
    const opened = this.#unseal(pointer, Buffer.concat(plain), sealed);
    return spread(raw, places, opened);
  }

  /** Of the log, the heads of records and block pointers are plain. */
  openLog(pointer: BlockPointer, raw: Uint8Array): Uint8Array {
    const used = Number(viewOf(raw).getBigUint64(LOG_USED_AT, true));
    if (used < LOG_CHAIN_BYTES || used > raw.length) throw failure('a block of the intent log has no records');
    const plain: Uint8Array[] = [raw.subarray(0, LOG_CHAIN_BYTES - LOG_TRAILER_BYTES)];
    const places: BonusPlace[] = [];
    for (let at = LOG_CHAIN_BYTES; at < used;) {
      const length = at + LOG_RECORD_BYTES > used ? 0 : Number(viewOf(raw).getBigUint64(at + 8, true));
      if (length < LOG_RECORD_BYTES || length > used - at) throw failure('a record of the intent log has no length that fits');
      plain.push(raw.subarray(at, at + LOG_RECORD_BYTES));
      logParts(raw, { start: at, end: at + length }, plain, places);
      at += length;
    }
    const sealed = Buffer.concat(places.map(({ start, end }) => raw.subarray(start, end)));
    const mac = raw.subarray(LOG_CHAIN_BYTES - MAC_BYTES, LOG_CHAIN_BYTES);
    const opened = unseal(this.#keys.mode, { key: this.keyOf(pointer.cryptSalt), iv: pointer.cryptIv, mac, plain: Buffer.concat(plain) }, sealed);
    if (opened === undefined) throw failure('the MAC of a block of the intent log does not match');
    return spread(raw, places, opened);
  }

  /** What a MAC covers of a dnode besides its bonus. */
  #dnodeParts(dnode: Uint8Array): readonly Uint8Array[] {
    const core = dnode.slice(0, CORE_BYTES);
    core[7] = (core[7] as number) & SPILL_FLAG;
    core.fill(0, 24, 32);
    const parts: Uint8Array[] = [core];
    for (let i = 0; i < (dnode[3] as number); i += 1) parts.push(this.#pointerPart(dnode.subarray(CORE_BYTES + i * POINTER_BYTES, CORE_BYTES + (i + 1) * POINTER_BYTES), this.#keys.version));
    if ((core[7] as number) !== 0) parts.push(this.#pointerPart(dnode.subarray(dnode.length - POINTER_BYTES), this.#keys.version));
    return parts;
  }

  /** What a MAC covers of a block pointer: its MAC, and what of its properties is the same on other machines. */
  #pointerPart(pointer: Uint8Array, version: number): Uint8Array {
    const part = new Uint8Array(version === 0 ? 24 : 32);
    const view = viewOf(pointer);
    let low = view.getUint32(48, true);
    let high = view.getUint32(52, true);
    const level = high >>> 24 & 0x1f;
    const hole = (high & 0x80) === 0 && pointer.subarray(0, 16).every((byte) => byte === 0);
    if (version > 0 && hole) {
      low = 0;
      high = 0;
    } else if (version === 0 || level > 0) low &= 0xffff;
    high &= ~0x4000_ff00;
    if (version > 0 && level > 0) high &= ~0x8000_007f;
    viewOf(part).setUint32(0, low >>> 0, true);
    viewOf(part).setUint32(4, high >>> 0, true);
    if ((view.getUint32(52, true) >>> 16 & 0xff) !== objectTypes.objectSet) part.set(pointer.subarray(112, 128), 8);
    return part;
  }

  check(pointer: BlockPointer, block: Uint8Array): void {
    if (pointer.level > 0) {
      const found = [1, 0].some((version) => timingSafeEqual(this.#macOfPointers(block, version), pointer.mac));
      if (!found) throw failure('the MACs of the blocks below it do not match');
    } else if (pointer.type === objectTypes.objectSet) this.#checkObjectSet(block);
  }

  #macOfPointers(block: Uint8Array, version: number): Uint8Array {
    const hash = createHash('sha512');
    for (let at = 0; at + POINTER_BYTES <= block.length; at += POINTER_BYTES) hash.update(this.#pointerPart(block.subarray(at, at + POINTER_BYTES), version));
    return hash.digest().subarray(0, MAC_BYTES);
  }

  /** The root of the tree of MACs. The type goes in big-endian, unlike all else. What is only accounting has a MAC of its own, not looked at here. */
  #checkObjectSet(block: Uint8Array): void {
    const hmac = createHmac('sha512', this.#keys.hmac).update(block.slice(704, 712).reverse()).update(new Uint8Array(8));
    for (const part of this.#dnodeParts(block.subarray(0, DNODE_BYTES))) hmac.update(part);
    if (!timingSafeEqual(hmac.digest().subarray(0, OBJECT_SET_MAC_BYTES), block.subarray(720, 720 + OBJECT_SET_MAC_BYTES))) throw failure('the MAC of its object set does not match');
  }
}

function failure(what: string): IntegrityError {
  return new IntegrityError(`Decrypt ZFS block: ${what}`);
}
