/** The images in `testdata/`, for tests; found from the compiled tests, which lie in `dist/`. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { type BlockSource, defaultLimits, MemorySource, NotFoundError, type OpenContext, readRange } from '../../../core/index.ts';
import type { DiskImage, ImageFormatName } from '../image.ts';
import { openImage } from '../open.ts';

const root = new URL('../../../../../src/formats/images/testdata/', import.meta.url);
const unpack = promisify(brotliDecompress);
const read = new Map<string, Promise<Uint8Array>>();

async function readFixture(name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await unpack(await readFile(new URL(`${name}.br`, root))));
  } catch (error) {
    throw new NotFoundError(`Open fixture '${name}'`, {}, error);
  }
}

/** Bytes of an image or raw disk; the same array each time. */
export function fixture(name: string): Promise<Uint8Array> {
  const known = read.get(name) ?? readFixture(name);
  read.set(name, known);
  return known;
}

/** A context that finds the given files by name, then those of `testdata/`. */
export function fixtureContext(files: ReadonlyMap<string, Uint8Array> = new Map()): OpenContext {
  return { limits: defaultLimits, resolveReference: async (name) => new MemorySource(files.get(name) ?? await fixture(name)) };
}

/** Opens bytes as an image. */
export function openBytes(bytes: Uint8Array, context: OpenContext = fixtureContext(), format?: ImageFormatName): Promise<DiskImage> {
  return openImage(new MemorySource(bytes), context, format);
}

/** All bytes of a disk. */
export function wholeDisk(source: BlockSource): Promise<Uint8Array> {
  return readRange(source, 0, source.size);
}
