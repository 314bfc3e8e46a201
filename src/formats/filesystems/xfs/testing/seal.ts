/** Makes checksums of changed structures good again, so that what comes after them is tested. */
import { crc32c } from '../../../../core/index.ts';
import { CHECKED_BYTES, EXTENDED_BYTES, HEADER_SPAN, RECORD_MAGIC, recordLayout } from '../log/log.layout.ts';
import { FAMILY, INODE3_AT, MAGIC, superblockLayout } from '../xfs.layout.ts';

/** A structure with a checksum. */
export interface Sealed {
  readonly at: number;
  readonly length: number;
  readonly crcAt: number;
}

/** Writes the CRC-32C of a structure into its field. */
export function seal(image: Uint8Array, { at, length, crcAt }: Sealed): void {
  const bytes = image.subarray(at, at + length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(crcAt, 0, true);
  view.setUint32(crcAt, crc32c(bytes), true);
}

/** The first superblock, of sectors of 512 bytes. */
export function sealSuperblock(image: Uint8Array): void {
  seal(image, { at: 0, length: 512, crcAt: superblockLayout.offsets.sb_crc });
}

const places: ReadonlyMap<number, number> = new Map([
  [MAGIC.bmapCrc, FAMILY.longBtree.crcAt], [MAGIC.directoryBlockCrc, FAMILY.directoryData.crcAt], [MAGIC.directoryDataCrc, FAMILY.directoryData.crcAt],
  [MAGIC.symlink, FAMILY.symlink.crcAt], [MAGIC.attributeValue, FAMILY.attributeValue.crcAt],
]);
const dirattr: ReadonlySet<number> = new Set([MAGIC.directoryLeaf1Crc, MAGIC.directoryLeafNCrc, MAGIC.nodeCrc, MAGIC.attributeLeafCrc]);

/** Structures of a version 5 image that a reader looks at, by their magic numbers. Sizes of its blocks in bytes. */
export function structuresOf(image: Uint8Array, sizes: { readonly block: number; readonly directory: number; readonly inode: number }): readonly Sealed[] {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const found: Sealed[] = [];
  for (let at = 0; at + sizes.block <= image.length; at += 512) {
    const magic = view.getUint32(at);
    if (at % sizes.inode === 0 && magic >>> 16 === MAGIC.inode && (magic & 0xf000) !== 0) found.push({ at, length: sizes.inode, crcAt: INODE3_AT });
    if (at % sizes.block !== 0) continue;
    const crcAt = places.get(magic);
    const isDirectory = magic === MAGIC.directoryBlockCrc || magic === MAGIC.directoryDataCrc;
    if (crcAt !== undefined) found.push({ at, length: isDirectory ? sizes.directory : sizes.block, crcAt });
    else if (dirattr.has(view.getUint16(at + 8))) {
      const isAttribute = view.getUint16(at + 8) === MAGIC.attributeLeafCrc;
      found.push({ at, length: isAttribute ? sizes.block : sizes.directory, crcAt: FAMILY.dirattr.crcAt });
    }
  }
  return found.filter(({ at, length }) => at + length <= image.length);
}

/** Log records with data, in a log of `length` bytes at `start`. */
export function recordsOf(image: Uint8Array, start: number, length: number): readonly { readonly at: number; readonly headerBytes: number; readonly dataBytes: number }[] {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const found: { readonly at: number; readonly headerBytes: number; readonly dataBytes: number }[] = [];
  for (let at = start; at < start + length; at += 512) {
    if (view.getUint32(at) !== RECORD_MAGIC) continue;
    const { h_len: dataBytes, h_size: size } = recordLayout.view(image, at);
    // Recovery fills what is ahead of the head with empty records.
    if (dataBytes > 0) found.push({ at, headerBytes: Math.max(1, Math.ceil(size / HEADER_SPAN)) * 512, dataBytes });
  }
  return found;
}

/** Writes the checksum of a log record of a 64-bit machine. */
export function sealRecord(image: Uint8Array, { at, headerBytes, dataBytes }: ReturnType<typeof recordsOf>[number]): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const crcAt = at + recordLayout.offsets.h_crc;
  view.setUint32(crcAt, 0, true);
  let crc = crc32c(image.subarray(at, at + CHECKED_BYTES[0]));
  for (let i = 1; i < Math.min(headerBytes / 512, Math.ceil(dataBytes / HEADER_SPAN)); i += 1) crc = crc32c(image.subarray(at + i * 512, at + i * 512 + EXTENDED_BYTES), crc);
  view.setUint32(crcAt, crc32c(image.subarray(at + headerBytes, at + headerBytes + dataBytes), crc), true);
}
