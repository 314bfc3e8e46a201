/** Nodes of ReFS's trees: rows of a key and a value, in order by an index of their places. In a page, or within a value. */
import { FormatError } from '../../../core/index.ts';
import { nodeLayout, pageLayout, rowLayout } from './refs.layout.ts';

/** Where a page keeps the offset of its node. */
const NODE_OFFSET_AT = pageLayout.size;
const KEY = { offset: rowLayout.offsets.KeyOffset, length: rowLayout.offsets.KeyLength } as const;
const VALUE = { offset: rowLayout.offsets.ValueOffset, length: rowLayout.offsets.ValueLength } as const;
const FLAG = { branch: 1 } as const;

/** One row; key and value are parts of the node's bytes. */
export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A node, checked as far as its head goes; each row is checked when it is read. */
export class RefsNode {
  readonly level: number;
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  readonly #index: number;
  readonly #where: string;

  /** The node whose head is at byte `at` of `bytes`. @throws {FormatError} when it does not fit. */
  constructor(bytes: Uint8Array, at: number, where: string) {
    if (at + nodeLayout.size > bytes.length) throw new FormatError('Read ReFS node', { structure: where, field: 'node offset', found: at, expected: `at most ${bytes.length - nodeLayout.size}` });
    const head = nodeLayout.view(bytes, at);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#where = where;
    this.#index = at + head.IndexStart;
    this.level = head.Level;
    this.count = head.Count;
    if (this.#index + 4 * head.Count > bytes.length) throw new FormatError('Read ReFS node', { structure: where, field: 'Count', found: head.Count, expected: `at most ${Math.max(0, Math.floor((bytes.length - this.#index) / 4))}` });
    if ((head.Level > 0) !== ((head.Flags & FLAG.branch) !== 0)) throw new FormatError('Read ReFS node', { structure: where, field: 'Level', found: head.Level, expected: head.Level > 0 ? 0 : 'more than 0' });
  }

  /** The node of a page. */
  static ofPage(page: Uint8Array, where: string): RefsNode {
    const { buffer, byteOffset } = page;
    return new RefsNode(page, NODE_OFFSET_AT + new DataView(buffer, byteOffset).getUint32(NODE_OFFSET_AT, true), where);
  }

  /** The node within a value, which begins with its offset. @throws {FormatError} when there is no room for one. */
  static ofValue(value: Uint8Array, where: string): RefsNode {
    if (value.length < 4) throw new FormatError('Read ReFS node', { structure: where, field: 'length', found: value.length, expected: 'at least 4' });
    return new RefsNode(value, new DataView(value.buffer, value.byteOffset).getUint32(0, true), where);
  }

  /** @throws {FormatError} when the row leaves the node. */
  row(index: number): Row {
    const at = this.#at + this.#view.getUint16(this.#index + 4 * index, true);
    if (at + rowLayout.size > this.#bytes.length) throw this.#astray(index, at);
    return { key: this.#part(index, at, KEY), value: this.#part(index, at, VALUE) };
  }

  #part(index: number, at: number, field: typeof KEY | typeof VALUE): Uint8Array {
    const start = at + this.#view.getUint16(at + field.offset, true);
    const end = start + this.#view.getUint16(at + field.length, true);
    if (end > this.#bytes.length) throw this.#astray(index, end);
    return this.#bytes.subarray(start, end);
  }

  #astray(index: number, found: number): FormatError {
    return new FormatError('Read ReFS row', { structure: this.#where, field: `row ${index}`, found, expected: `at most ${this.#bytes.length}: the node ends there` });
  }
}
