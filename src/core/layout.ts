/**
 * Binary structures as typed tables that yield lazy views: a field is decoded when it is read (about 6 ns), nothing is
 * allocated per field. Hot loops are written by hand beside their table and tested against it.
 */
import assert from 'node:assert';
import { FormatError } from './errors.ts';

/** `u64`/`i64` must fit 2^53; `bytes:N` is a subarray; `be`/`le` is the table's byte order. */
export type FieldType = 'u8' | 'u16' | 'u32' | 'i32' | 'u64' | 'i64' | 'f64' | `bytes:${number}`;

/** Field name (the specification's) → type. Order is the order of bytes; there is no padding. */
export type Fields = Readonly<Record<string, FieldType>>;

/** A lazy view: numbers, or a subarray for `bytes:N`. */
export type View<F extends Fields> = { readonly [K in keyof F]: F[K] extends `bytes:${number}` ? Uint8Array : number };

/** A table that has been laid out. */
export interface Layout<F extends Fields> {
  readonly name: string;
  /** Bytes of the whole structure. */
  readonly size: number;
  /** Offset in bytes of each field. */
  readonly offsets: { readonly [K in keyof F]: number };
  /**
   * A view at `offset` of `bytes`; it reads the buffer at each access. `base` is added to offsets in errors.
   * @throws {FormatError} when the structure does not fit into `bytes`.
   */
  view(bytes: Uint8Array, offset?: number, base?: number): View<F>;
  /** Encodes all fields into a new buffer; the inverse of `view`. */
  encode(values: { readonly [K in keyof F]: F[K] extends `bytes:${number}` ? Uint8Array : number }): Uint8Array;
}

function fieldSize(type: FieldType): number {
  switch (type) {
    case 'u8': return 1;
    case 'u16': return 2;
    case 'u32': case 'i32': return 4;
    case 'u64': case 'i64': case 'f64': return 8;
    default: return Number(type.slice(6));
  }
}

class LayoutView {
  readonly data: DataView;
  readonly bytes: Uint8Array;
  readonly base: number;
  constructor(bytes: Uint8Array, base: number) {
    this.bytes = bytes;
    this.base = base;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** One field of a table that has been laid out; `at` is its offset in bytes. */
interface Place {
  readonly structure: string;
  readonly field: string;
  readonly type: FieldType;
  readonly at: number;
  readonly little: boolean;
}

type Reader = (this: LayoutView) => number | Uint8Array;

function wideReader({ structure, field, type, at, little }: Place): Reader {
  const highAt = little ? at + 4 : at;
  const lowAt = little ? at : at + 4;
  return function read() {
    const high = type === 'u64' ? this.data.getUint32(highAt, little) : this.data.getInt32(highAt, little);
    const low = this.data.getUint32(lowAt, little);
    const value = high * 0x1_0000_0000 + low;
    if (!Number.isSafeInteger(value)) {
      throw new FormatError('Read 64-bit field', { structure, field, offset: this.base + at, found: `${high}·2^32+${low}`, expected: 'at most 2^53-1' });
    }
    return value;
  };
}

function reader(place: Place): Reader {
  const { type, at, little } = place;
  switch (type) {
    case 'u8': return function read() { return this.data.getUint8(at); };
    case 'u16': return function read() { return this.data.getUint16(at, little); };
    case 'u32': return function read() { return this.data.getUint32(at, little); };
    case 'i32': return function read() { return this.data.getInt32(at, little); };
    case 'f64': return function read() { return this.data.getFloat64(at, little); };
    case 'u64': case 'i64': return wideReader(place);
    default: {
      const size = fieldSize(type);
      return function read() { return this.bytes.subarray(at, at + size); };
    }
  }
}

function writeField(bytes: Uint8Array, data: DataView, { type, at, little }: Place, value: number | Uint8Array): void {
  if (value instanceof Uint8Array) {
    assert(value.length === fieldSize(type), `field of type ${type} takes exactly that many bytes`);
    bytes.set(value, at);
    return;
  }
  switch (type) {
    case 'u8': data.setUint8(at, value); return;
    case 'u16': data.setUint16(at, value, little); return;
    case 'u32': data.setUint32(at, value, little); return;
    case 'i32': data.setInt32(at, value, little); return;
    case 'f64': data.setFloat64(at, value, little); return;
    case 'u64': case 'i64':
      data.setUint32(little ? at + 4 : at, Math.floor(value / 0x1_0000_0000) >>> 0, little);
      data.setUint32(little ? at : at + 4, value % 0x1_0000_0000 >>> 0, little);
      return;
    default: assert.fail(`a number cannot fill ${type}`);
  }
}

/** Lays out a table once, at module load. `name` and the field names are the specification's own. */
export function layout<const F extends Fields>(name: string, order: 'be' | 'le', fields: F): Layout<F> {
  const little = order === 'le';
  const offsets: Record<string, number> = {};
  const places: Place[] = [];
  class Structure extends LayoutView {}
  let size = 0;
  for (const [field, type] of Object.entries(fields)) {
    const place: Place = { structure: name, field, type, at: size, little };
    offsets[field] = size;
    places.push(place);
    Object.defineProperty(Structure.prototype, field, { get: reader(place), enumerable: true });
    size += fieldSize(type);
  }
  const total = size;
  return {
    name,
    size: total,
    offsets: offsets as { readonly [K in keyof F]: number },
    view(bytes, offset = 0, base = 0) {
      if (offset < 0 || offset + total > bytes.length) {
        throw new FormatError(`Read ${name}`, { structure: name, field: 'size', offset: base, found: Math.max(0, bytes.length - offset), expected: total });
      }
      return new Structure(bytes.subarray(offset, offset + total), base) as unknown as View<F>;
    },
    encode(values) {
      const bytes = new Uint8Array(total);
      const data = new DataView(bytes.buffer);
      for (const place of places) writeField(bytes, data, place, (values as Record<string, number | Uint8Array>)[place.field] ?? 0);
      return bytes;
    },
  };
}
