/** The images in `testdata/`, for tests. */
import { type BlockSource, defaultLimits, MemorySource, type OpenContext, readRange } from '../../../core/index.ts';
import { packedFiles } from '../../testdata/packed.ts';
import type { DiskImage, ImageFormatName } from '../image.ts';
import { openImage } from '../open.ts';

/** Bytes of an image or raw disk; the same array each time. */
export const fixture: (name: string) => Promise<Uint8Array> = packedFiles((name) => `images/testdata/${name}`);

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
