/**
 * Whether a file is a disk. Most large files of a backup are none, and in a job the end of a file may only be reached by decoding all of it: what says
 * nothing in its head is not looked at any further. Known limits: disks whose head is destroyed, and members of arrays that are marked only at their
 * end and begin with nothing known.
 */
import { readRange, type BlockSource } from '../../core/index.ts';
import { probeImage, type ImageFormatName } from '../../formats/images/index.ts';
import { borrowed } from '../locations/borrowed.ts';
import { foreignImage } from '../locations/foreign-image.ts';
import { isDisk } from '../locations/guest-layer.ts';

/** Bytes that are read at once: marks of all kinds lie in them, the farthest in the second label of ZFS. */
const HEAD_BYTES = 1 << 19;

/** The head of a source, and behind it what `rest` gives. Closing it closes nothing. */
function withHead(source: BlockSource, head: Uint8Array, rest: BlockSource['readInto']): BlockSource {
  return {
    ...borrowed(source),
    readInto: (offset, target, options) => {
      if (offset < 0 || offset + target.length > head.length) return rest(offset, target, options);
      target.set(head.subarray(offset, offset + target.length));
      return Promise.resolve();
    },
  };
}

async function known(source: BlockSource): Promise<ImageFormatName | undefined> {
  return (await probeImage(source))?.format ?? (await isDisk(source) ? 'raw' : undefined);
}

/**
 * The format of the disk image that a file is; `raw` only where a partition table or filesystem is found, and undefined for all else.
 * @throws {UnsupportedError} an image of a kind that is not read. @throws what reading throws.
 */
export async function imageFormatOf(source: BlockSource, name: string): Promise<ImageFormatName | undefined> {
  const head = await readRange(source, 0, Math.min(HEAD_BYTES, source.size));
  const headOnly = withHead(source, head, (offset, target) => {
    target.fill(0);
    if (offset >= 0 && offset < head.length) target.set(head.subarray(offset));
    return Promise.resolve();
  });
  const format = await known(headOnly);
  const foreign = format === undefined || format === 'raw' ? await foreignImage(headOnly, name) : undefined;
  if (foreign !== undefined) throw foreign;
  if (format === undefined) return undefined;
  // A fixed VHD begins as the disk in it does; only its end tells.
  return known(withHead(source, head, (offset, target, options) => source.readInto(offset, target, options)));
}
