/** Logs whose end did not reach the disk whole: what a power cut in the middle of writing leaves, which `shutdown` alone does not show. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { BASIC_BLOCK } from '../../src/formats/filesystems/xfs/xfs.layout.ts';
import { LogDevice } from '../../src/formats/filesystems/xfs/log/log-device.ts';
import { RECORD_MAGIC } from '../../src/formats/filesystems/xfs/log/log.layout.ts';
import { type LogRecord, recordAt } from '../../src/formats/filesystems/xfs/log/log-record.ts';
import { readSuperblock } from '../../src/formats/filesystems/xfs/superblock.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { below, pick, type Random } from './random-name.ts';

/** Records that may be on their way at a time; blocks to look for them in. */
const LAST = { records: 6, blocks: 3000 } as const;

interface Place {
  /** Byte of the image where the log begins. */
  readonly at: number;
  /** Basic blocks of the log, and its head. */
  readonly blocks: number;
  readonly head: number;
  readonly last: readonly LogRecord[];
}

async function findLast(file: string): Promise<Place | undefined> {
  const source = await fileSource(file);
  try {
    const { geometry } = await readSuperblock(source);
    const at = geometry.blockAt(geometry.facts.log.block);
    const log = new LogDevice(source, at, geometry.facts.log.blocks * geometry.facts.blockBytes);
    const head = await log.head();
    const last: LogRecord[] = [];
    for (let back = 1; head !== undefined && back < Math.min(LAST.blocks, log.blocks) && last.length < LAST.records; back += 1) {
      const block = (head - back + log.blocks) % log.blocks;
      const bytes = await log.read(block, 1);
      const record = new DataView(bytes.buffer).getUint32(0) === RECORD_MAGIC ? await recordAt(log, block) : undefined;
      if (record !== undefined && record.dataBytes > 0) last.push(record);
    }
    return head === undefined || last.length === 0 ? undefined : { at, blocks: log.blocks, head, last };
  } finally {
    await source.close();
  }
}

/** Damages the last records of the log of the image: bytes of data or of a header, or blocks that were never written. @returns what was done; undefined when there is no log. */
export async function tearLog(file: string, random: Random): Promise<string | undefined> {
  const place = await findLast(file);
  if (place === undefined) return undefined;
  const { at, blocks, head, last } = place;
  const record = pick(random, last);
  const length = record.headerBlocks + record.dataBlocks;
  const fd = openSync(file, 'r+');
  const put = (block: number, offset: number, bytes: Uint8Array): void => { writeSync(fd, bytes, 0, bytes.length, at + block % blocks * BASIC_BLOCK + offset); };
  const unwritten = Buffer.alloc(BASIC_BLOCK);
  unwritten.writeUInt32BE(Math.max(0, record.lsn.cycle - 1));
  try {
    switch (below(random, 4)) {
      case 0:
        put(record.block + record.headerBlocks + below(random, record.dataBlocks), 100, Buffer.alloc(4, 0x5a));
        return `data of record ${record.block} damaged`;
      case 1:
        put(record.block, 16 + below(random, 30), Buffer.alloc(4, 0xee));
        return `header of record ${record.block} damaged`;
      case 2:
        put(record.block + below(random, length), 0, unwritten);
        return `a block of record ${record.block} not written`;
      default:
        for (let block = record.block + below(random, length); block % blocks !== head; block += 1) put(block, 0, unwritten);
        return `nothing written from within record ${record.block} on`;
    }
  } finally {
    closeSync(fd);
  }
}
