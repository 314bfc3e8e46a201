/** XDR, the encoding of ONC RPC: big-endian words, opaque bytes padded to four. Source: RFC 4506. */
import { ProtocolError } from '../../core/index.ts';

const padding = (length: number): number => (4 - (length & 3)) & 3;

/** Decodes one message; every length is bounded by what is there. */
export class XdrReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** @throws {ProtocolError} the message ends before. */
  u32(): number {
    const at = this.#skip(4);
    return this.#view.getUint32(at);
  }

  /** A 64-bit number; undefined when it is beyond 2^53 − 1: no file of ours has such an offset. */
  u64(): number | undefined {
    const at = this.#skip(8);
    const value = this.#view.getUint32(at) * 2 ** 32 + this.#view.getUint32(at + 4);
    return Number.isSafeInteger(value) ? value : undefined;
  }

  /** Bytes of a length that stands before them: a view. @throws {ProtocolError} more than `most`, or more than there are. */
  opaque(most: number): Uint8Array {
    const length = this.u32();
    if (length > most) throw new ProtocolError(`Decode RPC message: opaque data has '${length}' bytes, expected at most '${most}'`);
    return this.fixed(length);
  }

  /** Bytes of a known length: a view. */
  fixed(length: number): Uint8Array {
    const at = this.#skip(length + padding(length));
    return this.#bytes.subarray(at, at + length);
  }

  #skip(length: number): number {
    const at = this.#at;
    if (length > this.left) throw new ProtocolError(`Decode RPC message: it ends after '${this.#bytes.length}' bytes, expected '${length}' more at '${at}'`);
    this.#at += length;
    return at;
  }
}

/** Encodes one message into a buffer that grows. */
export class XdrWriter {
  #bytes: Buffer;
  #at = 0;

  /** `room` in bytes is a guess. */
  constructor(room = 512) {
    this.#bytes = Buffer.allocUnsafe(room);
  }

  /** Bytes so far. */
  get length(): number {
    return this.#at;
  }

  u32(value: number): this {
    const at = this.#grow(4); // may replace the buffer
    this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  u64(value: number): this {
    return this.u32(Math.floor(value / 2 ** 32)).u32(value % 2 ** 32);
  }

  bool(value: boolean): this {
    return this.u32(value ? 1 : 0);
  }

  /** Length, bytes, padding. */
  opaque(bytes: Uint8Array): this {
    return this.u32(bytes.length).fixed(bytes);
  }

  /** Bytes and padding. */
  fixed(bytes: Uint8Array): this {
    this.reserve(bytes.length).set(bytes);
    return this;
  }

  /** Room for bytes that the caller fills in before anything else is written; their padding is zero. */
  reserve(length: number): Uint8Array {
    const at = this.#grow(length + padding(length));
    this.#bytes.fill(0, at + length, this.#at);
    return this.#bytes.subarray(at, at + length);
  }

  /** Takes back all behind a length that {@link length} gave. */
  cut(length: number): void {
    this.#at = length;
  }

  /** What was written: a view. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #grow(length: number): number {
    const at = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#at, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    return at;
  }
}
