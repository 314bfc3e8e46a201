/** A disk into a new image file: written beside its name, read back and compared, then given its name. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import * as path from 'node:path';
import { AbortedError, IntegrityError, ToolError, UsageError, defaultLimits, type BlockSource } from '../core/index.ts';
import { fileSource } from '../fs-adapters/posix/index.ts';
import { openImage, writableFormats, writeImage, type ImageFormatName, type ImageSink, type WritableFormat } from '../formats/images/index.ts';

/** How to convert. */
export interface ConvertOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the disk that were written or, `verifying`, compared so far. */
  onProgress?(bytes: number, phase: 'writing' | 'verifying'): void;
}

/** What was made. */
export interface ConvertReport {
  readonly file: string;
  readonly format: WritableFormat;
  /** Bytes of the disk. */
  readonly bytes: number;
  /** Bytes of the file, holes included. */
  readonly fileBytes: number;
}

const PIECE_BYTES = 1 << 20;

/** The format of that name. @throws {UsageError} when nothing is written under it. */
export function writableFormat(name: string): WritableFormat {
  const found = writableFormats.find((one) => one === name);
  if (found === undefined) throw new UsageError(`Convert to '${name}': expected one of ${writableFormats.join(', ')}`, { format: name });
  return found;
}

/** Appends to a file; zeroes become holes. */
class FileEnd implements ImageSink {
  readonly #file: FileHandle;
  readonly #signal: AbortSignal | undefined;
  at = 0;

  constructor(file: FileHandle, signal: AbortSignal | undefined) {
    this.#file = file;
    this.#signal = signal;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#signal?.aborted === true) throw new AbortedError();
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.at + done);
      done += bytesWritten;
    }
    this.at += bytes.length;
  }

  skip(length: number): Promise<void> {
    this.at += length;
    return Promise.resolve();
  }
}

/** Passes reads on and counts their bytes. */
function counted(source: BlockSource, count: (bytes: number) => void): BlockSource {
  return {
    size: source.size, sectorSize: source.sectorSize, extents: (offset, length) => source.extents(offset, length), close: () => Promise.resolve(),
    readInto: (offset, target, options) => {
      count(target.length);
      return source.readInto(offset, target, options);
    },
  };
}

/** Compares what the new image holds with the source, reading holes of both only where the other has data. */
async function verify(source: BlockSource, image: BlockSource, check: (bytes: number) => void): Promise<void> {
  const [wanted, found] = [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)];
  const compare = async (offset: number, length: number, zero: boolean): Promise<void> => {
    for (let at = offset; at < offset + length; at += PIECE_BYTES) {
      const [a, b] = [wanted, found].map((buffer) => buffer.subarray(0, Math.min(PIECE_BYTES, offset + length - at))) as [Uint8Array, Uint8Array];
      await image.readInto(at, b);
      if (zero) a.fill(0);
      else await source.readInto(at, a);
      if (Buffer.compare(a, b) !== 0) throw new IntegrityError(`Verify the new image: bytes '${at}+${a.length}' of the disk differ from the source`, { offset: at });
      check(a.length);
    }
  };
  const expectZero = async (offset: number, length: number): Promise<void> => {
    for await (const extent of image.extents(offset, length)) if (extent.kind === 'data') await compare(extent.offset, extent.length, true);
  };
  for await (const { offset, length, kind } of source.extents(0, source.size)) {
    if (kind === 'data') await compare(offset, length, false);
    else await expectZero(offset, length);
  }
  if (image.size > source.size) await expectZero(source.size, image.size - source.size);
}

/** Gives a finished file its name, which must not exist. */
async function name(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new UsageError(`Write '${target}': it exists`, { path: target });
    // Some file systems have no hard links.
    if (code !== 'EPERM' && code !== 'ENOTSUP') throw error;
    await rename(temporary, target);
    return;
  }
  await rm(temporary);
}

/**
 * Writes a disk to a new file; resolves when the file was compared with the source and is durable under its name.
 * @throws {UsageError} the file exists. @throws {IntegrityError} what was written reads otherwise. @throws {LimitError} @throws {ToolError} @throws whatever reading throws.
 */
export async function convertDisk(source: BlockSource, target: string, format: WritableFormat, options: ConvertOptions = {}): Promise<ConvertReport> {
  if (existsSync(target)) throw new UsageError(`Write '${target}': it exists`, { path: target });
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${randomBytes(6).toString('hex')}.partial`);
  const file = await open(temporary, 'wx').catch((error: unknown) => Promise.reject(new ToolError(`Write '${target}': ${(error as Error).message}`, { errno: (error as NodeJS.ErrnoException).code ?? '' }, error)));
  try {
    const end = new FileEnd(file, options.signal);
    let done = 0;
    try {
      const reading = counted(source, (bytes) => { options.onProgress?.(done += bytes, 'writing'); });
      await writeImage(reading, end, format, { limits: defaultLimits, identity: new Uint8Array(randomBytes(16)), timeMs: Date.now(), name: path.basename(target) });
      await file.truncate(end.at);
      await file.sync();
    } finally {
      await file.close();
    }
    const kind: ImageFormatName = format === 'vmdk-sparse' ? 'vmdk' : format;
    const image = await openImage(await fileSource(temporary), { limits: defaultLimits }, kind);
    done = 0;
    try {
      await verify(source, image, (bytes) => {
        if (options.signal?.aborted === true) throw new AbortedError();
        options.onProgress?.(done += bytes, 'verifying');
      });
    } finally {
      await image.close();
    }
    await name(temporary, target);
    const directory = await open(path.dirname(target), 'r');
    await directory.sync().finally(() => directory.close());
    return { file: target, format, bytes: source.size, fileBytes: end.at };
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
