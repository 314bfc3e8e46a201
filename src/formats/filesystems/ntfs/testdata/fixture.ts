/** The images in `testdata/`, for tests; found from the compiled tests, which lie in `dist/`. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { defaultLimits, MemorySource } from '../../../../core/index.ts';
import type { Filesystem } from '../../filesystem.ts';
import { ntfsDriver } from '../ntfs.ts';

const root = new URL('../../../../../../src/formats/filesystems/ntfs/testdata/', import.meta.url);
const unpack = promisify(brotliDecompress);
const read = new Map<string, Promise<Uint8Array>>();

/** Names of the images. */
export const imageNames = ['rich', 'narrow', 'wide'] as const;

/** Bytes of an image; the same array each time. */
export function fixture(name: (typeof imageNames)[number]): Promise<Uint8Array> {
  const known = read.get(name) ?? readFile(new URL(`${name}.img.br`, root)).then(unpack).then((bytes) => new Uint8Array(bytes));
  read.set(name, known);
  return known;
}

/** Opens bytes as a volume. */
export function openBytes(bytes: Uint8Array): Promise<Filesystem> {
  return ntfsDriver.open([new MemorySource(bytes)], { limits: defaultLimits });
}

/** `length` bytes of a line again and again: what the makers of the images wrote. */
export function lines(text: string, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(`${text}\n`.repeat(Math.ceil(length / (Buffer.byteLength(text) + 1)))).subarray(0, length));
}
