/**
 * Bytes that are the disk itself. Never recognised: a guest writes what it likes into a raw disk, also the magic number of another
 * format; whoever opens it must say that it is raw.
 */
import type { BlockSource } from '../../core/index.ts';
import type { DiskImage } from './image.ts';
import { MappedImage } from './mapped-image.ts';

/** Shows a file as a disk, with sectors of 512 bytes. The image owns the file. */
export function openRaw(file: BlockSource): DiskImage {
  return new MappedImage({ format: 'raw', version: '1', variant: 'flat', size: file.size, sectorSize: 512, remarks: [] }, {
    map: { runAt: (offset, lengthMax) => ({ kind: 'data', file, at: offset, length: lengthMax }) },
    owned: [file],
    place: { structure: 'raw', field: 'size' },
  });
}
