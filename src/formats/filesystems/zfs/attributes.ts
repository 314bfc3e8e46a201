/**
 * System attributes: what a file's inode holds, in layouts that each dataset registers for itself.
 * Source: OpenZFS `include/sys/sa_impl.h` (sa_hdr_phys_t), `module/zfs/sa.c` (comment at its head), `include/sys/zfs_sa.h`.
 */
import { checkLimit, FormatError, type Limits, textOf } from '../../../core/index.ts';
import { viewOf } from './words.ts';
import type { Zap } from './zap.ts';

/** Attributes that are looked at, by their registered names. */
export const attributeNames = [
  'ZPL_ATIME', 'ZPL_MTIME', 'ZPL_CTIME', 'ZPL_CRTIME', 'ZPL_MODE', 'ZPL_SIZE', 'ZPL_LINKS', 'ZPL_XATTR', 'ZPL_RDEV', 'ZPL_FLAGS', 'ZPL_UID', 'ZPL_GID',
  'ZPL_SYMLINK', 'ZPL_DXATTR', 'ZPL_DACL_COUNT', 'ZPL_DACL_ACES',
] as const;

/** The name of one. */
export type AttributeName = typeof attributeNames[number];

const MAGIC = 0x2f505a;

/** Attributes of one file, by name. */
export type AttributeValues = Map<AttributeName, Uint8Array>;

/** One place of a layout; `length` 0: as the header says. */
interface Place {
  readonly name: AttributeName | undefined;
  readonly length: number;
}

function fault(field: string, found: number | string, expected: number | string): FormatError {
  return new FormatError('Read ZFS system attributes', { structure: 'sa_hdr_phys', field, found, expected });
}

/** Layouts of a dataset. */
export class AttributeLayouts {
  readonly #layouts: ReadonlyMap<number, readonly Place[]>;

  private constructor(layouts: ReadonlyMap<number, readonly Place[]>) {
    this.#layouts = layouts;
  }

  /** Reads the registry of attributes and the layouts. @throws {FormatError} @throws {LimitError} */
  static async read(registry: Zap, layouts: Zap, limits: Limits): Promise<AttributeLayouts> {
    const known = new Map<number, Place>();
    for await (const page of registry.entries()) {
      for (const entry of page) {
        const name = attributeNames.find((one) => one === textOf(entry.name));
        known.set(entry.low & 0xffff, { name, length: (entry.low >>> 24) + (entry.high & 0xff) * 256 });
      }
      checkLimit(limits, 'xattrsMax', known.size, 'registry of ZFS system attributes');
    }
    const found = new Map<number, readonly Place[]>();
    for await (const page of layouts.entries()) {
      for (const entry of page) {
        if (entry.integerBytes !== 2) throw fault(`layout ${textOf(entry.name)}`, entry.integerBytes, 'integers of 2 bytes');
        const view = viewOf(entry.value);
        const places = Array.from({ length: entry.value.length / 2 }, (_, i) => {
          const place = known.get(view.getUint16(2 * i));
          if (place === undefined) throw fault(`layout ${textOf(entry.name)}`, view.getUint16(2 * i), 'a registered attribute');
          return place;
        });
        found.set(Number(textOf(entry.name)), places);
      }
      checkLimit(limits, 'xattrsMax', found.size, 'layouts of ZFS system attributes');
    }
    return new AttributeLayouts(found);
  }

  /** Adds the attributes of a bonus or spill buffer to `values`; they point into it. @throws {FormatError} */
  decode(buffer: Uint8Array, values: AttributeValues): void {
    const view = viewOf(buffer);
    if (buffer.length < 8 || view.getUint32(0, true) !== MAGIC) throw fault('sa_magic', buffer.length < 8 ? 'too few bytes' : view.getUint32(0, true), MAGIC);
    const info = view.getUint16(4, true);
    const layout = this.#layouts.get(info & 0x3ff);
    if (layout === undefined) throw fault('sa_layout_info', info & 0x3ff, 'a registered layout');
    let at = (info >> 10) * 8;
    let lengthAt = 6;
    for (const { name, length: fixed } of layout) {
      let length = fixed;
      if (fixed === 0) {
        if (lengthAt + 2 > (info >> 10) * 8) throw fault('sa_lengths', lengthAt, 'lengths within the header');
        length = view.getUint16(lengthAt, true);
        lengthAt += 2;
      }
      if (at + length > buffer.length) throw fault('sa_lengths', length, `at most ${buffer.length - at}`);
      if (name !== undefined) values.set(name, buffer.subarray(at, at + length));
      at += Math.ceil(length / 8) * 8;
    }
  }
}

/** Where the attributes of a znode of old filesystem versions are. */
const oldPlaces: readonly (readonly [AttributeName, at: number, length: number])[] = [
  ['ZPL_ATIME', 0, 16], ['ZPL_MTIME', 16, 16], ['ZPL_CTIME', 32, 16], ['ZPL_CRTIME', 48, 16], ['ZPL_MODE', 72, 8], ['ZPL_SIZE', 80, 8], ['ZPL_LINKS', 96, 8],
  ['ZPL_XATTR', 104, 8], ['ZPL_RDEV', 112, 8], ['ZPL_FLAGS', 120, 8], ['ZPL_UID', 128, 8], ['ZPL_GID', 136, 8],
];

/** Bytes of a znode of old filesystem versions. Source: OpenZFS `include/sys/zfs_znode.h` (znode_phys_t). */
export const ZNODE_BYTES = 264;

/** The attributes of an old znode. @throws {FormatError} */
export function decodeZnode(bonus: Uint8Array): AttributeValues {
  if (bonus.length < ZNODE_BYTES) throw fault('znode_phys', bonus.length, `at least ${ZNODE_BYTES} bytes`);
  return new Map(oldPlaces.map(([name, at, length]) => [name, bonus.subarray(at, at + length)]));
}

/** A number of 53 bits from an attribute of 8 bytes; undefined when it is absent. @throws {FormatError} */
export function attributeNumber(values: AttributeValues, name: AttributeName): number | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  if (value.length !== 8) throw fault(name, value.length, '8 bytes');
  const view = viewOf(value);
  const high = view.getUint32(4, true);
  if (high > 0x1f_ffff) throw fault(name, `${high}·2^32`, 'at most 2^53-1');
  return high * 0x1_0000_0000 + view.getUint32(0, true);
}

