/**
 * Dnodes: what an object is and where its blocks begin; 512 bytes or a multiple.
 * Source: OpenZFS `include/sys/dnode.h` (dnode_phys_t and the diagram before it).
 */
import { FormatError } from '../../../core/index.ts';
import { BlockPointer, POINTER_BYTES } from './block-pointer.ts';
import { viewOf, wordAt } from './words.ts';

/** Bytes of the smallest dnode: the unit in which they are numbered. */
export const DNODE_BYTES = 512;

const POINTERS_AT = 64;
const SPILL_FLAG = 4;

/** `dmu_object_type`: those that are looked at. */
export const objectTypes = { none: 0, dnode: 10, objectSet: 11, dslDirectory: 12, dslDataset: 16, znode: 17, plainFile: 19, directory: 20, attributes: 44 } as const;

/** A decoded dnode; it reads `bytes` when asked. */
export class Dnode {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  /** `bytes` begins with the dnode; what follows it is ignored. @throws {FormatError} when it cannot be one. */
  constructor(bytes: Uint8Array) {
    const size = DNODE_BYTES * (1 + (bytes[12] ?? 0));
    if (bytes.length < size) throw Dnode.fault('dn_extra_slots', size, `at most ${bytes.length} bytes`);
    this.bytes = bytes.subarray(0, size);
    this.view = viewOf(this.bytes);
    if (this.type === 0) return;
    if (this.levels < 1) throw Dnode.fault('dn_nlevels', this.levels, 'at least 1');
    if (this.pointers < 1 || POINTERS_AT + this.pointers * POINTER_BYTES + this.#bonusBytes > size) throw Dnode.fault('dn_nblkptr', this.pointers, 'pointers and bonus that fit');
    if (this.blockBytes === 0) throw Dnode.fault('dn_datablkszsec', 0, 'at least 1');
    if (this.levels > 1 && (this.indirectShift < 10 || this.indirectShift > 25)) throw Dnode.fault('dn_indblkshift', this.indirectShift, '10 to 25');
  }

  /** An error about a field. */
  static fault(field: string, found: number | string, expected: string): FormatError {
    return new FormatError('Read ZFS dnode', { structure: 'dnode_phys', field, found, expected });
  }

  get type(): number {
    return this.bytes[0] as number;
  }

  /** Binary logarithm of the bytes of its indirect blocks. */
  get indirectShift(): number {
    return this.bytes[1] as number;
  }

  get levels(): number {
    return this.bytes[2] as number;
  }

  /** Block pointers in the dnode itself. */
  get pointers(): number {
    return this.bytes[3] as number;
  }

  get bonusType(): number {
    return this.bytes[4] as number;
  }

  get blockBytes(): number {
    return this.view.getUint16(8, true) * 512;
  }

  get #bonusBytes(): number {
    return this.view.getUint16(10, true);
  }

  /** Dnode numbers that it takes. */
  get slots(): number {
    return 1 + (this.bytes[12] as number);
  }

  /** Number of its last block. */
  get lastBlock(): number {
    return wordAt(this.view, 16, { structure: 'dnode_phys', field: 'dn_maxblkid' });
  }

  /** Bytes in use by its blocks. */
  get usedBytes(): number {
    return wordAt(this.view, 24, { structure: 'dnode_phys', field: 'dn_used' }) * ((this.bytes[7] as number) & 1 ? 1 : 512);
  }

  /** What the layer above keeps in the dnode. */
  get bonus(): Uint8Array {
    const at = POINTERS_AT + this.pointers * POINTER_BYTES;
    return this.bytes.subarray(at, at + this.#bonusBytes);
  }

  /** All room behind the pointers, but for the spill pointer: old symbolic links use more than they count. */
  get bonusRoom(): Uint8Array {
    return this.bytes.subarray(POINTERS_AT + this.pointers * POINTER_BYTES, this.bytes.length - (this.hasSpill ? POINTER_BYTES : 0));
  }

  get hasSpill(): boolean {
    return ((this.bytes[7] as number) & SPILL_FLAG) !== 0;
  }

  /** Where more of the bonus is. */
  get spill(): BlockPointer | undefined {
    return this.hasSpill ? new BlockPointer(this.bytes.subarray(this.bytes.length - POINTER_BYTES)) : undefined;
  }

  /** Its block pointers, as a view. */
  get pointerView(): DataView {
    return viewOf(this.bytes.subarray(POINTERS_AT, POINTERS_AT + this.pointers * POINTER_BYTES));
  }
}
