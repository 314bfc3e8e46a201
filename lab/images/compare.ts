/** An open image against the raw disk that it should hold: every byte, reads at random places, extents that tell the truth. */
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { type BlockSource, defaultLimits, NotFoundError } from '../../src/core/index.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { type DiskImage, type ImageFormatName, openImage } from '../../src/formats/images/index.ts';

/** Opens an image; what it names is found in `directory`, by the last part of the name. */
export async function openIn(directory: string, file: string, format?: ImageFormatName): Promise<DiskImage> {
  const source = await fileSource(path.join(directory, file));
  const resolveReference = async (name: string): Promise<BlockSource> => {
    const found = path.join(directory, path.posix.basename(name));
    if (await stat(found).catch(() => undefined) === undefined) throw new NotFoundError(`Find '${name}'`);
    return fileSource(found);
  };
  try {
    return await openImage(source, { limits: defaultLimits, resolveReference }, format);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The first difference between an image and a raw file, in words; undefined when there is none. */
export async function differenceFrom(image: BlockSource, raw: string, random: () => number): Promise<string | undefined> {
  const file = await open(raw);
  try {
    const { size } = await file.stat();
    // QEMU rounds its own idea of a disk up to whole sectors.
    if (image.size !== size) return `size is ${image.size}, expected ${size}`;
    const pieces = [4096, 65_536, 100_000, 1 << 20];
    const step = pieces[Math.floor(random() * pieces.length)] as number;
    const expected = Buffer.alloc(step);
    const found = Buffer.alloc(step);
    for (let at = 0; at < size; at += step) {
      const length = Math.min(step, size - at);
      await file.read(expected, 0, length, at);
      await image.readInto(at, found.subarray(0, length));
      if (Buffer.compare(expected.subarray(0, length), found.subarray(0, length)) !== 0) return `bytes differ in ${at}+${length}`;
    }
    for (let i = 0; i < 40; i += 1) {
      const at = Math.floor(random() * size);
      const length = Math.min(step, size - at, 1 + Math.floor(random() * step));
      await file.read(expected, 0, length, at);
      await image.readInto(at, found.subarray(0, length));
      if (Buffer.compare(expected.subarray(0, length), found.subarray(0, length)) !== 0) return `bytes differ at random place ${at}+${length}`;
    }
    return await wrongExtent(image, file, expected);
  } finally {
    await file.close();
  }
}

async function wrongExtent(image: BlockSource, file: { read(buffer: Buffer, offset: number, length: number, position: number): Promise<unknown> }, buffer: Buffer): Promise<string | undefined> {
  let end = 0;
  for await (const { offset, length, kind } of image.extents(0, image.size)) {
    if (offset !== end || length <= 0) return `extents: ${offset}+${length} follows ${end}`;
    end += length;
    if (kind === 'data') continue;
    for (let at = offset; at < end; at += buffer.length) {
      const part = Math.min(buffer.length, end - at);
      await file.read(buffer, 0, part, at);
      if (buffer.subarray(0, part).some((byte) => byte !== 0)) return `extents: ${kind} at ${at}+${part} has data`;
    }
  }
  return end === image.size ? undefined : `extents end at ${end}, expected ${image.size}`;
}
