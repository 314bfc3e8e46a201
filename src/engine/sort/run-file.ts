/**
 * A sorted run on disk, for this process only: nothing but records. Its length and a checksum of each page stay in memory, so that bytes which
 * are torn, flipped, swapped or of another run can't be taken for the right ones. Never synced: after a crash nobody reads it.
 */
import assert from 'node:assert';
import { IntegrityError, type Disk, type DiskFile } from '../../core/index.ts';
import { crc32 } from '../containers/checksums.ts';
import type { RecordPage } from './record-page.ts';

/** Where runs go. The names of their files begin with `prefix`, such as `temporary/<writer>-mark`; the directory must exist. */
export interface RunPlace {
  readonly disk: Disk;
  readonly prefix: string;
}

/** A run that was written; it can be read several times, also at once. */
export class RunFile {
  readonly path: string;
  /** Records. */
  readonly count: number;
  readonly #disk: Disk;
  readonly #recordBytes: number;
  readonly #pageRecords: number;
  readonly #checksums: readonly number[];

  private constructor(disk: Disk, path: string, shape: { readonly recordBytes: number; readonly pageRecords: number; readonly count: number; readonly checksums: readonly number[] }) {
    this.#disk = disk;
    this.path = path;
    this.count = shape.count;
    this.#recordBytes = shape.recordBytes;
    this.#pageRecords = shape.pageRecords;
    this.#checksums = shape.checksums;
  }

  /**
   * Writes pages, of which all but the last have the same count, to a new file; removes it again when that fails.
   * @throws {BusyError} the file exists. @throws {ToolError} the disk is full or fails. @throws what `pages` throws.
   */
  static async write(disk: Disk, path: string, recordBytes: number, pages: AsyncIterable<RecordPage> | Iterable<RecordPage>): Promise<RunFile> {
    const file = await disk.create(path);
    const checksums: number[] = [];
    let [count, pageRecords, isShort] = [0, 0, false];
    try {
      for await (const page of pages) {
        if (page.count === 0) continue;
        if (count === 0) pageRecords = page.count;
        assert(!isShort && page.count <= pageRecords, 'only the last page of a run is short');
        isShort = page.count < pageRecords;
        const bytes = page.bytes.subarray(0, page.count * recordBytes);
        checksums.push(crc32(bytes));
        await file.writeFrom(count * recordBytes, bytes);
        count += page.count;
      }
      await file.close();
    } catch (error) {
      await file.close().catch(() => undefined); // the first error is the one that counts
      await disk.remove(path).catch(() => undefined);
      throw error;
    }
    return new RunFile(disk, path, { recordBytes, pageRecords, count, checksums });
  }

  /** The pages as they were written, in one reused buffer. @throws {IntegrityError} the file holds something else. */
  async *pages(): AsyncIterable<RecordPage> {
    if (this.count === 0) return;
    const buffer = new Uint8Array(Math.min(this.count, this.#pageRecords) * this.#recordBytes);
    const file = await this.#disk.open(this.path, 'read');
    try {
      for (const [index, checksum] of this.#checksums.entries()) {
        const first = index * this.#pageRecords;
        const count = Math.min(this.#pageRecords, this.count - first);
        const bytes = buffer.subarray(0, count * this.#recordBytes);
        await this.#read(file, first * this.#recordBytes, bytes);
        if (crc32(bytes) !== checksum) throw this.#damage(first * this.#recordBytes, 'bytes do not match their checksum');
        yield { bytes, count };
      }
    } finally {
      await file.close();
    }
  }

  /** Removes the file. */
  remove(): Promise<void> {
    return this.#disk.remove(this.path);
  }

  async #read(file: DiskFile, offset: number, target: Uint8Array): Promise<void> {
    try {
      await file.readInto(offset, target);
    } catch (error) {
      throw error instanceof RangeError ? this.#damage(offset, 'the file ends too early') : error;
    }
  }

  #damage(offset: number, what: string): IntegrityError {
    return new IntegrityError(`Read temporary file '${this.path}' at offset ${offset}: ${what}; the disk or its memory is not sound`, { path: this.path, offset });
  }
}
