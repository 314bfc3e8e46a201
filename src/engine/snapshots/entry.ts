/**
 * One directory entry as bytes. Big-endian; optional parts are announced by flags, in the order of the flags.
 * Layout: `docs/formats/entry.md`.
 */
import {
  FormatError, LimitError, attributeNameBytes, attributeNameText, checkLimit, type Limits, type NodeStat, type NodeType, type Timestamp,
} from '../../core/index.ts';
import { REF_BYTES, checkContent, emptyContent, type Content } from './refs.ts';

const nodeTypes: readonly NodeType[] = ['file', 'directory', 'symlink', 'fifo', 'character', 'block', 'socket'];

const FLAG = { accessed: 1, changed: 2, created: 4, device: 8, link: 16, origin: 32, target: 64, attributes: 128, content: 256, placeholder: 512 } as const;
const KNOWN_FLAGS = 1023;
/** Bytes before the name: u32 length, u8 type, u8 zero, u16 flags, u16 mode, u16 name length, u32 uid, u32 gid, i64+u32 modified, u64 size. */
const FIXED_BYTES = 40;

/** An entry with everything that a restore needs. */
export interface Entry {
  readonly name: Uint8Array;
  readonly stat: NodeStat;
  /** Number, within the snapshot, of an inode with several names; 0 for all others. */
  readonly link: number;
  readonly target?: Uint8Array;
  readonly attributes: ReadonlyMap<string, Uint8Array>;
  readonly content: Content;
}

/** Writes entries into one reused buffer. */
export class EntryEncoder {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /**
   * Encodes an entry.
   * @returns a view that is valid until the next call. @throws {LimitError} when it exceeds `entryBytesMax`.
   */
  encode(entry: Entry, limits: Limits): Uint8Array {
    const { stat, name } = entry;
    checkCounts(entry, limits);
    this.#at = 0;
    this.#reserve(FIXED_BYTES + name.length);
    this.#at = 4;
    this.#u8(nodeTypes.indexOf(stat.type));
    this.#u8(0);
    this.#u16(flagsOf(entry));
    this.#u16(stat.mode);
    this.#u16(name.length);
    this.#u32(stat.uid);
    this.#u32(stat.gid);
    this.#time(stat.modified);
    this.#u64(stat.size);
    this.#raw(name);
    this.#optional(entry);
    if (this.#at > limits.entryBytesMax) throw new LimitError('entryBytesMax', this.#at, limits.entryBytesMax, 'directory entry to be written');
    this.#view.setUint32(0, this.#at - 4);
    return this.#bytes.subarray(0, this.#at);
  }

  #optional(entry: Entry): void {
    const { stat } = entry;
    for (const time of [stat.accessed, stat.changed, stat.created]) {
      if (time !== undefined) this.#time(time);
    }
    if (stat.deviceMajor !== undefined) {
      this.#u32(stat.deviceMajor);
      this.#u32(stat.deviceMinor ?? 0);
    }
    if (entry.link > 0) {
      this.#u64(entry.link);
      this.#u32(stat.links);
    }
    if (stat.inode !== undefined) {
      this.#u64(stat.inode);
      this.#u64(stat.device ?? 0);
    }
    if (entry.target !== undefined) {
      this.#u32(entry.target.length);
      this.#raw(entry.target);
    }
    if (entry.attributes.size > 0) this.#attributes(entry.attributes);
    if (entry.content.refs.length > 0) {
      this.#u8(entry.content.depth);
      this.#u32(entry.content.refs.length / REF_BYTES);
      this.#raw(entry.content.refs);
    }
  }

  #attributes(attributes: ReadonlyMap<string, Uint8Array>): void {
    this.#u16(attributes.size);
    for (const [key, value] of attributes) {
      const keyBytes = attributeNameBytes(key);
      this.#u16(keyBytes.length);
      this.#raw(keyBytes);
      this.#u32(value.length);
      this.#raw(value);
    }
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #u8(value: number): void {
    this.#reserve(1);
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
  }

  #u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.#at, value);
    this.#at += 2;
  }

  #u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  /** Also for negative seconds: the high half is the floor, as in two's complement. */
  #u64(value: number): void {
    this.#reserve(8);
    this.#view.setInt32(this.#at, Math.floor(value / 0x1_0000_0000));
    this.#view.setUint32(this.#at + 4, value >>> 0);
    this.#at += 8;
  }

  #time(time: Timestamp): void {
    this.#u64(time.seconds);
    this.#u32(time.nanoseconds);
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}

/** Counts that the layout has 16 bits for. */
function checkCounts(entry: Entry, limits: Limits): void {
  const where = 'directory entry to be written';
  checkLimit(limits, 'nameBytesMax', entry.name.length, where);
  checkLimit(limits, 'xattrsMax', entry.attributes.size, where);
  for (const key of entry.attributes.keys()) checkLimit(limits, 'nameBytesMax', Buffer.byteLength(key), `name of an attribute of a ${where}`);
}

function flagsOf(entry: Entry): number {
  const { stat } = entry;
  let flags = 0;
  if (stat.accessed !== undefined) flags |= FLAG.accessed;
  if (stat.changed !== undefined) flags |= FLAG.changed;
  if (stat.created !== undefined) flags |= FLAG.created;
  if (stat.deviceMajor !== undefined) flags |= FLAG.device;
  if (entry.link > 0) flags |= FLAG.link;
  if (stat.inode !== undefined) flags |= FLAG.origin;
  if (entry.target !== undefined) flags |= FLAG.target;
  if (entry.attributes.size > 0) flags |= FLAG.attributes;
  if (entry.content.refs.length > 0) flags |= FLAG.content;
  if (stat.placeholder === true) flags |= FLAG.placeholder;
  return flags;
}

/**
 * Whether the encoded file entry at `at` is surely the file that `stat` describes, unchanged: size, modification and change time and inode
 * number. The change time can't be set back by a user, and it moves with every change of content, metadata or attributes.
 * Compares in place: most entries of most backups are looked at only here.
 */
export function isSameFile(page: DataView, at: number, stat: NodeStat): boolean {
  const { changed, inode } = stat;
  if (changed === undefined || inode === undefined || stat.type !== 'file' || page.getUint8(at + 4) !== 0) return false;
  const flags = page.getUint16(at + 6);
  const needed = FLAG.changed | FLAG.origin;
  if ((flags & needed) !== needed) return false;
  if (!isTimeAt(page, at + 20, stat.modified) || wideAt(page, at + 32) !== stat.size) return false;
  const times = at + FIXED_BYTES + page.getUint16(at + 10) + (flags & FLAG.accessed ? 12 : 0);
  if (!isTimeAt(page, times, changed)) return false;
  const origin = times + 12 + (flags & FLAG.created ? 12 : 0) + (flags & FLAG.device ? 8 : 0) + (flags & FLAG.link ? 12 : 0);
  return wideAt(page, origin) === inode;
}

/** The content of the encoded entry at `at`, without decoding the rest. @throws {RangeError} when the entry is not whole. */
export function contentAt(page: DataView, at: number): Content {
  const flags = page.getUint16(at + 6);
  if ((flags & FLAG.content) === 0) return emptyContent;
  let next = at + FIXED_BYTES + page.getUint16(at + 10);
  for (const flag of [FLAG.accessed, FLAG.changed, FLAG.created, FLAG.link]) if (flags & flag) next += 12;
  if (flags & FLAG.device) next += 8;
  if (flags & FLAG.origin) next += 16;
  if (flags & FLAG.target) next += 4 + page.getUint32(next);
  if (flags & FLAG.attributes) {
    const count = page.getUint16(next);
    next += 2;
    for (let i = 0; i < count; i += 1) {
      next += 2 + page.getUint16(next);
      next += 4 + page.getUint32(next);
    }
  }
  return { depth: page.getUint8(next), refs: new Uint8Array(page.buffer, page.byteOffset + next + 5, page.getUint32(next + 1) * REF_BYTES) };
}

/** Whether the encoded entry at `at` is one of several names of an inode. */
export function isLinkAt(page: DataView, at: number): boolean {
  return (page.getUint16(at + 6) & FLAG.link) !== 0;
}

/** Where the name of the encoded entry at `at` stands: start, and its length. */
export function nameAt(page: DataView, at: number): readonly [start: number, length: number] {
  return [at + FIXED_BYTES, page.getUint16(at + 10)];
}

function wideAt(page: DataView, at: number): number {
  return page.getInt32(at) * 0x1_0000_0000 + page.getUint32(at + 4);
}

function isTimeAt(page: DataView, at: number, time: Timestamp): boolean {
  return wideAt(page, at) === time.seconds && page.getUint32(at + 8) === time.nanoseconds;
}

const noAttributes: ReadonlyMap<string, Uint8Array> = new Map();

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads the entries of one page. */
class EntryDecoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: Limits;
  #at = 0;
  #end = 0;

  constructor(bytes: Uint8Array, limits: Limits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
  }

  all(): readonly Entry[] {
    const entries: Entry[] = [];
    while (this.#at < this.#bytes.length) entries.push(this.#entry());
    return entries;
  }

  #fault(field: string, found: number | string, expected: number | string): FormatError {
    return new FormatError('Read directory page', { structure: 'entry', field, offset: this.#at, found, expected });
  }

  #entry(): Entry {
    this.#end = this.#bytes.length;
    const length = this.#u32();
    if (length < FIXED_BYTES - 4 || length > this.#limits.entryBytesMax || this.#at + length > this.#bytes.length) {
      throw this.#fault('length', length, `${FIXED_BYTES - 4}…${this.#bytes.length - this.#at}`);
    }
    this.#end = this.#at + length;
    const type = nodeTypes[this.#u8()];
    if (type === undefined) throw this.#fault('type', 'unknown', 'a known type');
    this.#u8();
    const flags = this.#u16();
    if ((flags & ~KNOWN_FLAGS) !== 0) throw this.#fault('flags', flags, `none but ${KNOWN_FLAGS}`);
    const mode = this.#u16();
    const nameLength = this.#u16();
    const base = { type, mode, uid: this.#u32(), gid: this.#u32(), modified: this.#time(), size: this.#u64() };
    const name = this.#raw(nameLength);
    if (base.size < 0) throw this.#fault('size', base.size, 'at least 0');
    const entry = this.#optional(name, base, flags);
    if (this.#at !== this.#end) throw this.#fault('length', this.#end, this.#at);
    return entry;
  }

  /** Fields are set one by one in a fixed order: objects of few shapes, where spreading would make one of each. */
  #optional(name: Uint8Array, base: Omit<NodeStat, 'links'>, flags: number): Entry {
    const stat = base as Mutable<NodeStat>;
    if (flags & FLAG.accessed) stat.accessed = this.#time();
    if (flags & FLAG.changed) stat.changed = this.#time();
    if (flags & FLAG.created) stat.created = this.#time();
    if (flags & FLAG.device) {
      stat.deviceMajor = this.#u32();
      stat.deviceMinor = this.#u32();
    }
    const link = flags & FLAG.link ? this.#u64() : 0;
    stat.links = flags & FLAG.link ? this.#u32() : 1;
    if (flags & FLAG.origin) {
      stat.inode = this.#u64();
      stat.device = this.#u64();
    }
    if (flags & FLAG.placeholder) stat.placeholder = true;
    const entry: Mutable<Entry> = { name, stat, link, attributes: noAttributes, content: emptyContent };
    if (flags & FLAG.target) entry.target = this.#raw(this.#u32());
    if (flags & FLAG.attributes) entry.attributes = this.#attributes();
    if (flags & FLAG.content) entry.content = this.#content();
    return entry;
  }

  #attributes(): ReadonlyMap<string, Uint8Array> {
    const attributes = new Map<string, Uint8Array>();
    const count = this.#u16();
    for (let i = 0; i < count; i += 1) {
      const key = attributeNameText(this.#raw(this.#u16()));
      attributes.set(key, this.#raw(this.#u32()));
    }
    return attributes;
  }

  #content(): Content {
    const depth = this.#u8();
    const content = { depth, refs: this.#raw(this.#u32() * REF_BYTES) };
    checkContent(content, this.#limits);
    return content;
  }

  #need(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#end) throw this.#fault('length', this.#end, at + bytes);
    this.#at += bytes;
    return at;
  }

  #u8(): number {
    return this.#view.getUint8(this.#need(1));
  }

  #u16(): number {
    return this.#view.getUint16(this.#need(2));
  }

  #u32(): number {
    return this.#view.getUint32(this.#need(4));
  }

  #u64(): number {
    const at = this.#need(8);
    const value = this.#view.getInt32(at) * 0x1_0000_0000 + this.#view.getUint32(at + 4);
    if (!Number.isSafeInteger(value)) throw this.#fault('u64', value, 'at most 2^53-1');
    return value;
  }

  #time(): Timestamp {
    const time = { seconds: this.#u64(), nanoseconds: this.#u32() };
    if (time.nanoseconds > 999_999_999) throw this.#fault('nanoseconds', time.nanoseconds, 'at most 999999999');
    return time;
  }

  #raw(length: number): Uint8Array {
    const at = this.#need(length);
    return this.#bytes.subarray(at, at + length);
  }
}

/**
 * The entries of one directory page; names, targets and references are views of `bytes`.
 * @throws {FormatError} when a field leaves its bounds.
 */
export function decodeEntries(bytes: Uint8Array, limits: Limits): readonly Entry[] {
  return new EntryDecoder(bytes, limits).all();
}
