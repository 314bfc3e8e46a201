/** Disks made around given bytes. */

const SECTOR = 512;

/** Bytes in front of the partition. */
export const partitionStart: number = 64 * SECTOR;

/** The first sector of a disk with one primary partition of `bytes`. */
export function partitionTable(bytes: number): Uint8Array {
  const record = Buffer.alloc(SECTOR);
  record[446 + 4] = 0x83;
  record.writeUInt32LE(partitionStart / SECTOR, 446 + 8);
  record.writeUInt32LE(Math.ceil(bytes / SECTOR), 446 + 12);
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

/** A disk with one primary partition. */
export function partitioned(content: Uint8Array): Uint8Array {
  const disk = new Uint8Array(partitionStart + Math.ceil(content.length / SECTOR) * SECTOR);
  disk.set(partitionTable(content.length));
  disk.set(content, partitionStart);
  return disk;
}
