/**
 * Lists of names and values ("nvlist") in the XDR encoding, and in the native one of little-endian machines where lists are not nested.
 * Source: OpenZFS `module/nvpair/nvpair.c` (comments on both encodings), RFC 4506 (XDR).
 * Every value takes at least one byte of the input, so what comes out is no larger than a multiple of it.
 */
import { attributeNameText, FormatError, textOf, UnsupportedError } from '../../../core/index.ts';
import { viewOf } from './words.ts';

/** A value: integers of any width as bigint; arrays of bytes as bytes. */
export type NvValue = bigint | number | string | boolean | Uint8Array | NvList | readonly NvValue[];

/** Names to values, in the order of the list. */
export type NvList = ReadonlyMap<string, NvValue>;

/** Lists in lists: pool, top-level device, spare, replacing, leaf and some more. */
const DEPTH_MAX = 16;

const XDR = 1;
const LITTLE = 1;

/** `data_type_t`. */
const types = {
  boolean: 1, byte: 2, int16: 3, uint16: 4, int32: 5, uint32: 6, int64: 7, uint64: 8, string: 9, byteArray: 10, int16Array: 11, uint16Array: 12,
  int32Array: 13, uint32Array: 14, int64Array: 15, uint64Array: 16, stringArray: 17, hrtime: 18, list: 19, listArray: 20, booleanValue: 21,
  int8: 22, uint8: 23, booleanArray: 24, int8Array: 25, uint8Array: 26, double: 27,
} as const;

function fault(field: string, offset: number, found: number | string, expected: string): FormatError {
  return new FormatError('Read name-value list', { structure: 'nvlist', field, offset, found, expected });
}

/** A cursor over XDR items: everything is big-endian and takes a multiple of four bytes. */
class XdrReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  #take(length: number, field: string): number {
    const at = this.at;
    if (length > this.#bytes.length - at) throw fault(field, at, length, `at most ${this.#bytes.length - at} bytes`);
    this.at = at + length;
    return at;
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field));
  }

  i32(field: string): number {
    return this.#view.getInt32(this.#take(4, field));
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field));
  }

  i64(field: string): bigint {
    return this.#view.getBigInt64(this.#take(8, field));
  }

  double(field: string): number {
    return this.#view.getFloat64(this.#take(8, field));
  }

  opaque(length: number, field: string): Uint8Array {
    const at = this.#take(Math.ceil(length / 4) * 4, field);
    return this.#bytes.subarray(at, at + length);
  }

  text(field: string): string {
    return textOf(this.opaque(this.u32(field), field));
  }

  /** An array with its own count in front. */
  array<T>(field: string, one: () => T): readonly T[] {
    const count = this.u32(field);
    if (count * 4 > this.#bytes.length - this.at) throw fault(field, this.at, count, `at most ${(this.#bytes.length - this.at) >> 2}`);
    return Array.from({ length: count }, one);
  }
}

function xdrValue(reader: XdrReader, name: string, pair: { readonly type: number; readonly count: number; readonly depth: number }): NvValue {
  switch (pair.type) {
    case types.boolean: return true;
    case types.byte: case types.uint8: return BigInt(reader.u32(name) & 0xff);
    case types.int8: case types.int16: case types.int32: return BigInt(reader.i32(name));
    case types.uint16: case types.uint32: return BigInt(reader.u32(name));
    case types.int64: case types.hrtime: return reader.i64(name);
    case types.uint64: return reader.u64(name);
    case types.double: return reader.double(name);
    case types.booleanValue: return reader.u32(name) !== 0;
    case types.string: return reader.text(name);
    case types.byteArray: return reader.opaque(pair.count, name);
    case types.int8Array: case types.uint8Array: return Uint8Array.from(reader.array(name, () => reader.u32(name) & 0xff));
    case types.int16Array: case types.int32Array: return reader.array(name, () => BigInt(reader.i32(name)));
    case types.uint16Array: case types.uint32Array: return reader.array(name, () => BigInt(reader.u32(name)));
    case types.booleanArray: return reader.array(name, () => reader.u32(name) !== 0);
    case types.int64Array: return reader.array(name, () => reader.i64(name));
    case types.uint64Array: return reader.array(name, () => reader.u64(name));
    case types.stringArray: return listOf(pair.count, name, () => reader.text(name));
    case types.list: return xdrList(reader, pair.depth + 1);
    case types.listArray: return listOf(pair.count, name, () => xdrList(reader, pair.depth + 1));
    default: throw fault(`${name}.type`, reader.at, pair.type, 'a known type');
  }
}

/** As many items as a pair says; each takes bytes, so a count that lies runs into the end soon. */
function listOf(count: number, name: string, one: () => NvValue): readonly NvValue[] {
  if (count < 0) throw fault(`${name}.elements`, 0, count, 'not negative');
  const items: NvValue[] = [];
  for (let i = 0; i < count; i += 1) items.push(one());
  return items;
}

function xdrList(reader: XdrReader, depth: number): NvList {
  if (depth > DEPTH_MAX) throw fault('depth', reader.at, depth, `at most ${DEPTH_MAX}`);
  const version = reader.i32('version');
  if (version !== 0) throw fault('version', reader.at - 4, version, '0');
  reader.u32('flags');
  const list = new Map<string, NvValue>();
  for (;;) {
    const start = reader.at;
    const encoded = reader.i32('encoded size');
    const decoded = reader.i32('decoded size');
    if (encoded === 0 && decoded === 0) return list;
    // Names of extended attributes stand here, too: any bytes.
    const name = attributeNameText(reader.opaque(reader.u32('name'), 'name'));
    const type = reader.i32('type');
    const count = reader.i32('elements');
    list.set(name, xdrValue(reader, name, { type, count, depth }));
    if (reader.at !== start + encoded) throw fault(`${name}.encoded size`, start, encoded, String(reader.at - start));
  }
}

const round8 = (length: number): number => Math.ceil(length / 8) * 8;

function nativeValue(view: DataView, at: number, pair: { readonly type: number; readonly count: number; readonly room: number; readonly name: string }): NvValue {
  const { type, count, room, name } = pair;
  const bytes = (width: number): number => {
    if (count < 0 || width * count > room) throw fault(`${name}.elements`, at, count, `at most ${Math.floor(room / width)}`);
    return width * count;
  };
  switch (type) {
    case types.boolean: return true;
    case types.byte: case types.uint8: bytes(1); return BigInt(view.getUint8(at));
    case types.int32: bytes(4); return BigInt(view.getInt32(at, true));
    case types.uint32: bytes(4); return BigInt(view.getUint32(at, true));
    case types.booleanValue: bytes(4); return view.getUint32(at, true) !== 0;
    case types.int64: case types.hrtime: bytes(8); return view.getBigInt64(at, true);
    case types.uint64: bytes(8); return view.getBigUint64(at, true);
    case types.double: bytes(8); return view.getFloat64(at, true);
    case types.byteArray: case types.uint8Array: return new Uint8Array(view.buffer, view.byteOffset + at, bytes(1));
    case types.uint64Array: bytes(8); return Array.from({ length: count }, (_, i) => view.getBigUint64(at + 8 * i, true));
    case types.string: {
      const text = new Uint8Array(view.buffer, view.byteOffset + at, room);
      const end = text.indexOf(0);
      if (end < 0) throw fault(name, at, room, 'a text that ends');
      return textOf(text.subarray(0, end));
    }
    default: throw new UnsupportedError(`Read name-value list in native encoding: values of type '${type}' are not supported there`, { name, type });
  }
}

function nativeList(bytes: Uint8Array): NvList {
  const view = viewOf(bytes);
  const list = new Map<string, NvValue>();
  for (let at = 8; ;) {
    if (at + 4 > bytes.length) throw fault('pair size', at, bytes.length, 'an end mark');
    const size = view.getInt32(at, true);
    if (size === 0) return list;
    if (size < 16 || size > bytes.length - at) throw fault('pair size', at, size, `16 to ${bytes.length - at}`);
    const nameBytes = view.getUint16(at + 4, true);
    const valueAt = 16 + round8(nameBytes);
    if (nameBytes === 0 || valueAt > size) throw fault('name size', at + 4, nameBytes, `1 to ${size - 16}`);
    const name = attributeNameText(bytes.subarray(at + 16, at + 16 + nameBytes - 1));
    list.set(name, nativeValue(view, at + valueAt, { type: view.getInt32(at + 12, true), count: view.getInt32(at + 8, true), room: size - valueAt, name }));
    at += round8(size);
  }
}

/**
 * Decodes a packed list; what follows it is ignored. Byte arrays of the result point into `bytes`.
 * @throws {FormatError} @throws {UnsupportedError} lists in a native list, or one of a big-endian machine.
 */
export function decodeNvList(bytes: Uint8Array): NvList {
  const [encoding, order] = bytes;
  if (encoding === XDR) return xdrList(new XdrReader(bytes.subarray(4)), 0);
  if (encoding !== 0) throw fault('encoding', 0, encoding ?? 'nothing', '0 or 1');
  if (order !== LITTLE) throw new UnsupportedError('Read name-value list: native encoding of a big-endian machine');
  return nativeList(bytes.subarray(4));
}

/** An integer; undefined when it is absent or something else. */
export function nvInteger(list: NvList, name: string): bigint | undefined {
  const value = list.get(name);
  return typeof value === 'bigint' ? value : undefined;
}

/** A count or size; undefined when it is absent, negative, or beyond 2^53 − 1. */
export function nvNumber(list: NvList, name: string): number | undefined {
  const value = nvInteger(list, name);
  return value === undefined || value < 0n || value > 0x1f_ffff_ffff_ffffn ? undefined : Number(value);
}

/** A text; undefined when it is absent or something else. */
export function nvText(list: NvList, name: string): string | undefined {
  const value = list.get(name);
  return typeof value === 'string' ? value : undefined;
}

/** A nested list; undefined when it is absent or something else. */
export function nvList(list: NvList, name: string): NvList | undefined {
  const value = list.get(name);
  return value instanceof Map ? value : undefined;
}

/** Nested lists; empty when they are absent. */
export function nvLists(list: NvList, name: string): readonly NvList[] {
  const value = list.get(name);
  return Array.isArray(value) ? value.filter((one): one is NvList => one instanceof Map) : [];
}
