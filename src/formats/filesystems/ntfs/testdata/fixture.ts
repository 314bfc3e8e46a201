/** The images in `testdata/`, for tests. */
import { defaultLimits, MemorySource } from '../../../../core/index.ts';
import { packedFiles } from '../../../testdata/packed.ts';
import type { Filesystem } from '../../filesystem.ts';
import { ntfsDriver } from '../ntfs.ts';

/** Names of the images. */
export const imageNames = ['rich', 'narrow', 'wide'] as const;

/** Bytes of an image; the same array each time. */
export const fixture: (name: (typeof imageNames)[number]) => Promise<Uint8Array> = packedFiles((name) => `filesystems/ntfs/testdata/${name}.img`);

/** Opens bytes as a volume. */
export function openBytes(bytes: Uint8Array): Promise<Filesystem> {
  return ntfsDriver.open([new MemorySource(bytes)], { limits: defaultLimits });
}

/** `length` bytes of a line again and again: what the makers of the images wrote. */
export function lines(text: string, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(`${text}\n`.repeat(Math.ceil(length / (Buffer.byteLength(text) + 1)))).subarray(0, length));
}
