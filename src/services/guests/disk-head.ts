/** Whether a file is a disk, from a few reads: most large files of a backup are none, and each of them is asked. */
import { readRange, type BlockSource } from '../../core/index.ts';
import type { ImageFormatName } from '../../formats/images/index.ts';
import { probeImage } from '../../formats/images/index.ts';
import { borrowed } from '../locations/borrowed.ts';
import { isDisk } from '../locations/guest-layer.ts';

/** Bytes that are read at once; nearly every mark is in them. */
const HEAD_BYTES = 1 << 19;

/** The same bytes; the head is read once. Closing it closes nothing. */
async function withHead(source: BlockSource): Promise<BlockSource> {
  const head = await readRange(source, 0, Math.min(HEAD_BYTES, source.size));
  return {
    ...borrowed(source),
    readInto: (offset, target, options) => {
      if (offset < 0 || offset + target.length > head.length) return source.readInto(offset, target, options);
      target.set(head.subarray(offset, offset + target.length));
      return Promise.resolve();
    },
  };
}

/** The format of the disk image that a file is; `raw` only where a partition table or filesystem is found, and undefined for all else. @throws what reading throws. */
export async function imageFormatOf(source: BlockSource): Promise<ImageFormatName | undefined> {
  const head = await withHead(source);
  return (await probeImage(head))?.format ?? (await isDisk(head) ? 'raw' : undefined);
}
