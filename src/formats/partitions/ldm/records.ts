/** Records of the LDM database: volumes consist of components, components of partitions, partitions are on disks. */
import { FormatError, textOf, UnsupportedError } from '../../../core/index.ts';
import { uuidText } from '../../mapping/guid.ts';
import { VBLK_FLAG, VBLK_TYPE } from './ldm.layout.ts';

/** A volume. */
export interface LdmVolume {
  readonly kind: 'volume';
  readonly id: number;
  readonly name: string;
  /** Sectors. */
  readonly size: number;
  readonly guid: string;
  readonly partitionType: number;
  /** The drive letter or path it was last mounted at, where it is known. */
  readonly hint?: string;
}

/** A copy of a volume's content. */
export interface LdmComponent {
  readonly kind: 'component';
  readonly id: number;
  readonly name: string;
  readonly parent: number;
  readonly type: number;
  /** Sectors; 0 where there are no stripes. */
  readonly stripeSectors: number;
  readonly columns: number;
}

/** A run of sectors of one disk. */
export interface LdmPartition {
  readonly kind: 'partition';
  readonly id: number;
  readonly name: string;
  readonly parent: number;
  readonly disk: number;
  /** Sectors, from the start of the disk's public area. */
  readonly start: number;
  /** Sectors, from the start of its column. */
  readonly volumeOffset: number;
  readonly size: number;
  readonly column: number;
}

/** A disk by its identity. */
export interface LdmDisk {
  readonly kind: 'disk';
  readonly id: number;
  readonly name: string;
  readonly guid: string;
}

/** Those that matter to a reader. */
export type LdmRecord = LdmVolume | LdmComponent | LdmPartition | LdmDisk;

/** Reads fields one behind the other; each is bounded by the record. */
class Fields {
  readonly #bytes: Uint8Array;
  readonly #offset: number;
  #at: number;

  /** `offset` is the record's place on the disk, for errors. */
  constructor(bytes: Uint8Array, at: number, offset: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#offset = offset;
  }

  take(length: number, field: string): Uint8Array {
    const start = this.#at;
    if (start + length > this.#bytes.length) {
      throw new FormatError('Read LDM database', { structure: 'LDM VBLK', field, offset: this.#offset + start, found: this.#bytes.length - start, expected: `at least ${length} bytes` });
    }
    this.#at += length;
    return this.#bytes.subarray(start, start + length);
  }

  /** Big-endian, of `length` bytes. */
  fixed(length: number, field: string): number {
    let value = 0;
    for (const byte of this.take(length, field)) value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) throw new FormatError('Read LDM database', { structure: 'LDM VBLK', field, offset: this.#offset + this.#at, found: value, expected: 'at most 2^53-1' });
    return value;
  }

  /** A number with its length before it. */
  number(field: string): number {
    const length = this.fixed(1, field);
    if (length > 8) throw new FormatError('Read LDM database', { structure: 'LDM VBLK', field, offset: this.#offset + this.#at, found: length, expected: 'a number of at most 8 bytes' });
    return this.fixed(length, field);
  }

  /** A text with its length before it. */
  text(field: string): string {
    return textOf(this.take(this.fixed(1, field), field));
  }
}

function volume(fields: Fields, flags: number): LdmVolume {
  const id = fields.number('object id');
  const name = fields.text('name');
  fields.text('volume type');
  fields.text('disable drive letter');
  fields.take(14, 'volume state'); // the state as a text of 14 bytes
  fields.take(1 + 1 + 1 + 1, 'type, unknown, number and zeroes');
  fields.take(3, 'zeroes and flags');
  fields.number('number of components');
  fields.take(16, 'commit id and id');
  const size = fields.number('size');
  fields.take(4, 'zeroes');
  const partitionType = fields.fixed(1, 'partition type');
  const guid = uuidText(fields.take(16, 'volume id'));
  if ((flags & VBLK_FLAG.volumeId1) !== 0) fields.text('id 1');
  if ((flags & VBLK_FLAG.volumeId2) !== 0) fields.text('id 2');
  if ((flags & VBLK_FLAG.volumeSize) !== 0) fields.number('column size');
  const hint = (flags & VBLK_FLAG.volumeDrive) === 0 ? undefined : fields.text('drive hint');
  return { kind: 'volume', id, name, size, guid, partitionType, ...(hint === undefined ? {} : { hint }) };
}

function component(fields: Fields, flags: number): LdmComponent {
  const id = fields.number('object id');
  const name = fields.text('name');
  fields.text('state');
  const type = fields.fixed(1, 'type');
  fields.take(4, 'zeroes');
  fields.number('number of partitions');
  fields.take(16, 'commit id and zeroes');
  const parent = fields.number('parent');
  fields.take(1, 'zero');
  const striped = (flags & VBLK_FLAG.componentStripes) !== 0;
  return { kind: 'component', id, name, parent, type, stripeSectors: striped ? fields.number('stripe size') : 0, columns: striped ? fields.number('columns') : 1 };
}

function partition(fields: Fields, flags: number): LdmPartition {
  const id = fields.number('object id');
  const name = fields.text('name');
  fields.take(12, 'zeroes and commit id');
  const start = fields.fixed(8, 'start');
  const volumeOffset = fields.fixed(8, 'volume offset');
  const size = fields.number('size');
  const parent = fields.number('parent');
  const disk = fields.number('disk');
  return { kind: 'partition', id, name, start, volumeOffset, size, parent, disk, column: (flags & VBLK_FLAG.partitionIndex) === 0 ? 0 : fields.number('index') };
}

/**
 * Parses one whole record: what follows the head of 16 bytes. `offset` is its place on the disk. Undefined for kinds that do not matter.
 * @throws {FormatError} @throws {UnsupportedError} a version of a record that matters and is not known.
 */
export function parseRecord(bytes: Uint8Array, offset: number): LdmRecord | undefined {
  const head = new Fields(bytes, 2, offset);
  const flags = head.fixed(1, 'flags');
  const type = head.fixed(1, 'type');
  const fields = new Fields(bytes, 8, offset);
  switch (type) {
    case VBLK_TYPE.volume: return volume(fields, flags);
    case VBLK_TYPE.component: return component(fields, flags);
    case VBLK_TYPE.partition: return partition(fields, flags);
    case VBLK_TYPE.disk3: case VBLK_TYPE.disk4: {
      const id = fields.number('object id');
      const name = fields.text('name');
      const guid = type === VBLK_TYPE.disk3 ? fields.text('disk id').toLowerCase() : uuidText(fields.take(16, 'disk id'));
      return { kind: 'disk', id, name, guid };
    }
    case VBLK_TYPE.group3: case VBLK_TYPE.group4: case 0: return undefined;
    default: {
      const kind = type & 0x0f;
      if (kind >= 1 && kind <= 4) throw new UnsupportedError(`Open dynamic disk: records of type '0x${type.toString(16)}' are not known`);
      return undefined;
    }
  }
}
