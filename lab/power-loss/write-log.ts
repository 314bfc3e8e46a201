/**
 * The log that QEMU's `blklogwrites` driver keeps of a disk: every write and every flush, in the order in which the guest asked. Little endian; a superblock of one
 * sector, then entries of one sector each, followed by their data.
 * Source: Linux, Documentation/admin-guide/device-mapper/log-writes.rst; drivers/md/dm-log-writes.c describes the same fields.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { FormatError } from '../../src/core/index.ts';

const MAGIC = 0x6a736677736872n;
const VERSION = 1n;
const FLUSH = 1;
const FUA = 2;
const DISCARD = 4;
const ENTRY_BYTES = 32;
const WRITE_BYTES_MAX = 1 << 30;

/** One write or discard; bytes of the disk, and where its data is in the log. A flush alone has no length. */
export interface LoggedWrite {
  readonly offset: number;
  readonly length: number;
  readonly dataOffset: number;
  readonly isDiscard: boolean;
  /** Everything before it is on stable storage once it was answered. */
  readonly isFlush: boolean;
  /** It is itself on stable storage. */
  readonly isForced: boolean;
}

function readAt(file: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const got = readSync(file, bytes, 0, length, offset);
  return bytes.subarray(0, got);
}

/** All entries of a log file. @throws {FormatError} it is no such log. */
export function readWriteLog(path: string): readonly LoggedWrite[] {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const head = readAt(file, 0, ENTRY_BYTES);
    if (head.length < ENTRY_BYTES || head.readBigUInt64LE(0) !== MAGIC || head.readBigUInt64LE(8) !== VERSION) {
      throw new FormatError(`Read write log '${path}'`, { structure: 'superblock', field: 'magic', offset: 0, found: head.subarray(0, 16).toString('hex') });
    }
    const count = Number(head.readBigUInt64LE(16));
    const sector = head.readUInt32LE(24);
    const entries: LoggedWrite[] = [];
    let at = sector;
    for (let i = 0; i < count; i += 1) {
      const entry = readAt(file, at, ENTRY_BYTES);
      if (entry.length < ENTRY_BYTES) throw new FormatError(`Read write log '${path}'`, { structure: 'entry', field: 'size', offset: at, found: entry.length, expected: ENTRY_BYTES });
      const length = Number(entry.readBigUInt64LE(8)) * sector;
      const flags = Number(entry.readBigUInt64LE(16));
      const isDiscard = (flags & DISCARD) !== 0;
      const dataOffset = at + sector;
      const stored = isDiscard ? 0 : length;
      if (length > WRITE_BYTES_MAX || dataOffset + stored > size) {
        throw new FormatError(`Read write log '${path}'`, { structure: 'entry', field: 'nr_sectors', offset: at, found: length, expected: `at most ${size - dataOffset}` });
      }
      entries.push({ offset: Number(entry.readBigUInt64LE(0)) * sector, length, dataOffset, isDiscard, isFlush: (flags & FLUSH) !== 0, isForced: (flags & FUA) !== 0 });
      at = dataOffset + stored;
    }
    return entries;
  } finally {
    closeSync(file);
  }
}

/** Writes logged entries to a disk image. */
export class Replay {
  readonly #log: number;
  readonly #image: number;

  constructor(log: string, image: string) {
    this.#log = openSync(log, 'r');
    this.#image = openSync(image, 'r+');
  }

  /** A discard reads as zeroes. With `sectors` only so many sectors of 512 bytes arrive: the write was torn. */
  apply(write: LoggedWrite, sectors: number = Infinity): void {
    const length = Math.min(write.length, sectors * 512);
    if (length === 0) return;
    const bytes = write.isDiscard ? Buffer.alloc(length) : readAt(this.#log, write.dataOffset, length);
    writeSync(this.#image, bytes, 0, length, write.offset);
  }

  close(): void {
    closeSync(this.#log);
    closeSync(this.#image);
  }
}
