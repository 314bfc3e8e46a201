/** Writing disk images of all formats, each from its beginning to its end; holes of the source take no space. */
import { type BlockSource, type Limits, UnsupportedError } from '../../../core/index.ts';
import { writeQcow2 } from './qcow2.ts';
import { CountingSink, type ImageSink } from './sink.ts';
import { writeVdi } from './vdi.ts';
import { writeVhd } from './vhd.ts';
import { writeVhdx } from './vhdx.ts';
import { writeVmdkSparse, writeVmdkStream } from './vmdk.ts';

/** What a writer cannot know by itself. */
export interface WriteOptions {
  readonly limits: Limits;
  /** 16 random bytes: what identifies the new disk. */
  readonly identity: Uint8Array;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Name of the file: a VMDK contains it. */
  readonly name: string;
}

/** What can be written; `vmdk` is stream-optimised. */
export const writableFormats = ['raw', 'qcow2', 'vhdx', 'vhd', 'vmdk', 'vmdk-sparse', 'vdi'] as const;

/** One of them. */
export type WritableFormat = (typeof writableFormats)[number];

/** Disk bytes as they are. */
async function writeRaw(source: BlockSource, to: ImageSink): Promise<void> {
  const sink = new CountingSink(to);
  const buffer = new Uint8Array(1 << 20);
  for await (const { offset, length, kind } of source.extents(0, source.size)) {
    if (kind !== 'data') {
      await sink.skip(length);
      continue;
    }
    for (let at = offset; at < offset + length; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, offset + length - at));
      await source.readInto(at, piece, { sequential: true });
      await sink.write(piece);
    }
  }
}

/**
 * Writes a disk as an image. Formats that count sectors round its size up to 512 bytes.
 * @throws {UnsupportedError} for a format that is not written. @throws {LimitError} @throws whatever source or sink throw: the image is useless then.
 */
export function writeImage(source: BlockSource, sink: ImageSink, format: WritableFormat, options: WriteOptions): Promise<void> {
  switch (format) {
    case 'raw': return writeRaw(source, sink);
    case 'qcow2': return writeQcow2(source, sink, options);
    case 'vhdx': return writeVhdx(source, sink, options);
    case 'vhd': return writeVhd(source, sink, options);
    case 'vmdk': return writeVmdkStream(source, sink, options);
    case 'vmdk-sparse': return writeVmdkSparse(source, sink, options);
    case 'vdi': return writeVdi(source, sink, options);
    default: return Promise.reject(new UnsupportedError(`Write disk image: format '${String(format)}' is not one of ${writableFormats.join(', ')}`));
  }
}
