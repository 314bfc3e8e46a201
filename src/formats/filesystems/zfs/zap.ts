/**
 * ZAP objects: names to integers. The micro form is one block of entries, the fat form a hash table of leaf blocks.
 * Source: OpenZFS `include/sys/zap_impl.h`, `include/sys/zap_leaf.h` (diagrams and comments), `module/zfs/zap_impl.c` (hash).
 * Names are compared byte by byte; where the hash is of a folded name, a lookup goes through all entries.
 */
import { equalBytes, FormatError, NotFoundError, utf8 } from '../../../core/index.ts';
import type { ZfsObject } from './object.ts';
import { viewOf, wordAt } from './words.ts';

/** Low words of the block types; the high word is 2^31. */
const blockTypes = { leaf: 0, header: 1, micro: 3 } as const;
const TYPE_HIGH = 0x8000_0000;
const LEAF_MAGIC = 0x02ab_1eaf;
const MICRO_ENTRY_BYTES = 64;
const MICRO_NAME_BYTES = 50;
const CHUNK_BYTES = 24;
const CHUNK_ARRAY_BYTES = 21;
const CHUNK_ENTRY = 252;
const CHUNK_ARRAY = 251;
const LEAF_HEAD_BYTES = 48;
/** Entries of one page of a micro ZAP. */
const PAGE_ENTRIES = 2048;
/** Bits of a hash that index leaves; more need more leaves than can be. */
const TABLE_BITS_MAX = 32;
const FLAG_BINARY_KEYS = 2;

/** One name. */
export interface ZapEntry {
  readonly name: Uint8Array;
  /** Halves of the first integer. */
  readonly high: number;
  readonly low: number;
  /** Bytes of one integer: 1, 2, 4 or 8. */
  readonly integerBytes: number;
  /** All integers, big-endian. */
  readonly value: Uint8Array;
}

function fault(field: string, found: number | string, expected: string | number): FormatError {
  return new FormatError('Read ZAP', { structure: 'zap', field, found, expected });
}

/** CRC-64 with the polynomial of ECMA-182, bits reversed, in halves. */
const crcHigh = new Uint32Array(256);
const crcLow = new Uint32Array(256);
for (let i = 0; i < 256; i += 1) {
  let high = 0;
  let low = i;
  for (let bit = 0; bit < 8; bit += 1) {
    const odd = low & 1;
    low = (low >>> 1 | high << 31) >>> 0;
    high >>>= 1;
    if (odd === 1) {
      high = (high ^ 0xc96c_5795) >>> 0;
      low = (low ^ 0xd787_0f42) >>> 0;
    }
  }
  crcHigh[i] = high;
  crcLow[i] = low;
}

/** The upper half of a name's hash: enough to find its leaf. */
function hashHigh(salt: readonly [high: number, low: number], name: Uint8Array): number {
  let [high, low] = salt;
  for (const byte of name) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8 | high << 24) ^ (crcLow[index] as number)) >>> 0;
    high = (high >>> 8 ^ (crcHigh[index] as number)) >>> 0;
  }
  return high;
}

/** A ZAP object. */
export class Zap {
  readonly #object: ZfsObject;
  readonly #head: Uint8Array;
  readonly #view: DataView;
  readonly #micro: boolean;
  /** Pointer table of the fat form: bits of its index; first block, or undefined when it is in the head. */
  readonly #tableBits: number;
  readonly #tableBlock: number | undefined;

  private constructor(object: ZfsObject, head: Uint8Array) {
    this.#object = object;
    this.#head = head;
    this.#view = viewOf(head);
    const type = this.#view.getUint32(0, true);
    if (this.#view.getUint32(4, true) !== TYPE_HIGH || (type !== blockTypes.micro && type !== blockTypes.header)) throw fault('block_type', type, `${blockTypes.header} or ${blockTypes.micro}`);
    this.#micro = type === blockTypes.micro;
    this.#tableBits = this.#micro ? 0 : wordAt(this.#view, 32, { structure: 'zap', field: 'zt_shift' });
    if (this.#micro) return;
    const blocks = wordAt(this.#view, 24, { structure: 'zap', field: 'zt_numblks' });
    this.#tableBlock = blocks === 0 ? undefined : wordAt(this.#view, 16, { structure: 'zap', field: 'zt_blk' });
    const room = blocks === 0 ? head.length / 16 : blocks * head.length / 8;
    if (this.#tableBits > TABLE_BITS_MAX || 2 ** this.#tableBits > room) throw fault('zt_shift', this.#tableBits, `at most ${Math.floor(Math.log2(room))}`);
  }

  /** Reads the head. @throws {FormatError} @throws {IntegrityError} */
  static async open(object: ZfsObject): Promise<Zap> {
    const head = await object.block(0);
    if (head === undefined) throw fault('block_type', 'a hole', 'a block');
    return new Zap(object, head);
  }

  /** All entries, by pages of bounded size. */
  async *entries(): AsyncIterable<readonly ZapEntry[]> {
    if (this.#micro) {
      for (let at = MICRO_ENTRY_BYTES; at < this.#head.length; at += PAGE_ENTRIES * MICRO_ENTRY_BYTES) {
        const page = [...this.#microEntries(at, Math.min(this.#head.length, at + PAGE_ENTRIES * MICRO_ENTRY_BYTES))];
        if (page.length > 0) yield page;
      }
      return;
    }
    for (let index = 0; index < 2 ** this.#tableBits;) {
      const { leaf, span } = await this.#leafAt(index);
      const page = [...leafEntries(leaf)];
      if (page.length > 0) yield page;
      index += span;
    }
  }

  /** The entry of a name; undefined when there is none. */
  async find(name: Uint8Array): Promise<ZapEntry | undefined> {
    if (name.length === 0 || name.includes(0)) return undefined;
    const folded = this.#view.getUint32(this.#micro ? 16 : 80, true) !== 0;
    if (this.#micro) return this.#findMicro(name);
    const binary = (this.#view.getUint32(88, true) & FLAG_BINARY_KEYS) !== 0;
    if (folded || binary) {
      for await (const page of this.entries()) {
        const found = page.find((entry) => equalBytes(entry.name, name));
        if (found !== undefined) return found;
      }
      return undefined;
    }
    const hash = hashHigh([this.#view.getUint32(76, true), this.#view.getUint32(72, true)], name);
    const { leaf } = await this.#leafAt(this.#tableBits === 0 ? 0 : hash >>> 32 - this.#tableBits);
    return leafEntries(leaf, name).next().value ?? undefined;
  }

  /** The integer of a name; undefined when there is none. @throws {FormatError} when it has more than 53 bits. */
  async number(name: string): Promise<number | undefined> {
    const entry = await this.find(utf8(name));
    return entry === undefined ? undefined : entryNumber(entry);
  }

  /** The integer of a name that must be there. @throws {NotFoundError} */
  async required(name: string): Promise<number> {
    const value = await this.number(name);
    if (value === undefined) throw new NotFoundError(`Read ZAP: it has no entry '${name}'`, { name });
    return value;
  }

  *#microEntries(from: number, to: number): Generator<ZapEntry> {
    for (let at = from; at + MICRO_ENTRY_BYTES <= to; at += MICRO_ENTRY_BYTES) if (this.#head[at + 14] !== 0) yield this.#microEntry(at);
  }

  #microEntry(at: number): ZapEntry {
    const field = this.#head.subarray(at + 14, at + 14 + MICRO_NAME_BYTES);
    const end = field.indexOf(0);
    const value = this.#head.slice(at, at + 8).reverse();
    return { name: field.slice(0, end < 0 ? MICRO_NAME_BYTES : end), high: this.#view.getUint32(at + 4, true), low: this.#view.getUint32(at, true), integerBytes: 8, value };
  }

  #findMicro(name: Uint8Array): ZapEntry | undefined {
    if (name.length > MICRO_NAME_BYTES - 1) return undefined;
    const head = this.#head;
    for (let at = MICRO_ENTRY_BYTES; at + MICRO_ENTRY_BYTES <= head.length; at += MICRO_ENTRY_BYTES) {
      let i = 0;
      while (i < name.length && head[at + 14 + i] === name[i]) i += 1;
      if (i === name.length && head[at + 14 + i] === 0) return this.#microEntry(at);
    }
    return undefined;
  }

  /** The leaf for an index of the pointer table, and to how many indices from there on it belongs. */
  async #leafAt(index: number): Promise<{ readonly leaf: Uint8Array; readonly span: number }> {
    const number = await this.#pointerAt(index);
    const leaf = number === 0 ? undefined : await this.#object.block(number);
    if (leaf === undefined) throw fault(`pointer[${index}]`, number, 'the number of a leaf');
    const view = viewOf(leaf);
    if (view.getUint32(4, true) !== TYPE_HIGH || view.getUint32(0, true) !== blockTypes.leaf || view.getUint32(24, true) !== LEAF_MAGIC) throw fault(`leaf ${number}.lh_magic`, view.getUint32(24, true), LEAF_MAGIC);
    const prefixBits = view.getUint16(32, true);
    const span = 2 ** (this.#tableBits - prefixBits);
    if (prefixBits > this.#tableBits || wordAt(view, 16, { structure: 'zap_leaf', field: 'lh_prefix' }) !== Math.floor(index / span)) {
      throw fault(`leaf ${number}.lh_prefix`, wordAt(view, 16, { structure: 'zap_leaf', field: 'lh_prefix' }), `that of pointer ${index}`);
    }
    return { leaf, span: span - index % span };
  }

  async #pointerAt(index: number): Promise<number> {
    const place = { structure: 'zap', field: 'zap_ptrtbl' };
    if (this.#tableBlock === undefined) return wordAt(this.#view, this.#head.length / 2 + 8 * index, place);
    const perBlock = this.#object.blockBytes / 8;
    const table = await this.#object.block(this.#tableBlock + Math.floor(index / perBlock));
    return table === undefined ? 0 : wordAt(viewOf(table), index % perBlock * 8, place);
  }
}

/** The integer of an entry. @throws {FormatError} when it has more than 53 bits. */
export function entryNumber({ high, low }: ZapEntry): number {
  if (high > 0x1f_ffff) throw fault('value', `${high}·2^32+${low}`, 'at most 2^53-1');
  return high * 0x1_0000_0000 + low;
}

/** Entries of a leaf; of one name only when `wanted` is given. */
function* leafEntries(leaf: Uint8Array, wanted?: Uint8Array): Generator<ZapEntry, undefined> {
  const view = viewOf(leaf);
  const chunksAt = LEAF_HEAD_BYTES + leaf.length / 16;
  const chunks = Math.floor((leaf.length - leaf.length / 16) / CHUNK_BYTES) - 2;
  const array = (first: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    let chunk = first;
    for (let done = 0; done < length; done += CHUNK_ARRAY_BYTES) {
      const at = chunksAt + chunk * CHUNK_BYTES;
      if (chunk >= chunks || leaf[at] !== CHUNK_ARRAY) throw fault('la_next', chunk, `an array chunk below ${chunks}`);
      bytes.set(leaf.subarray(at + 1, at + 1 + Math.min(CHUNK_ARRAY_BYTES, length - done)), done);
      chunk = view.getUint16(at + 22, true);
    }
    return bytes;
  };
  for (let i = 0; i < chunks; i += 1) {
    const at = chunksAt + i * CHUNK_BYTES;
    if (leaf[at] !== CHUNK_ENTRY) continue;
    const nameBytes = view.getUint16(at + 6, true) - 1;
    if (wanted !== undefined && nameBytes !== wanted.length) continue;
    const name = array(view.getUint16(at + 4, true), Math.max(0, nameBytes));
    if (wanted !== undefined && !equalBytes(name, wanted)) continue;
    const integerBytes = leaf[at + 1] as number;
    const value = array(view.getUint16(at + 8, true), integerBytes * view.getUint16(at + 10, true));
    const first = new Uint8Array(8);
    first.set(value.subarray(0, Math.min(8, integerBytes)), 8 - Math.min(8, integerBytes));
    const firstView = viewOf(first);
    yield { name, high: firstView.getUint32(0), low: firstView.getUint32(4), integerBytes, value };
  }
  return undefined;
}
