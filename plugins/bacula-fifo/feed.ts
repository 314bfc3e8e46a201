/**
 * `feed`: writes a stored volume into the FIFO for a restore, one block with one write and only into an empty pipe.
 *
 * From a FIFO the storage daemon reads until the buffer of its device is full (9.6.7 and 15.0.3; src/stored/block.c), takes the first block for all of it, and seeks back, which no FIFO can: what follows a
 * block that is shorter than the others is lost to it, and such blocks are in every larger job, wherever the head of a record does not fit. So they are fed with zeroes behind them.
 */
import * as fs from 'node:fs';
import { ToolError } from '../../src/core/index.ts';
import type { StoredVolume } from '../../src/services/volumes/index.ts';
import { checkFifo } from './fifo-reader.ts';
import { emptied, makeRoom } from './pipe.ts';

/** Bacula's default block; what is no block is fed in such pieces. */
const PIECE_BYTES = 64_512;
/** Head of a block up to its length. */
const HEAD_BYTES = 24;
const BLOCK_BYTES_MAX = 20_000_000;
/** Blocks among which one fills the device's buffer but for less than the head of a record, unless the volume ends before. */
const BLOCKS_LOOKED_AT = 256;
/** Devices should have block sizes of whole such units: the storage daemon warns of others (src/stored/dev.c). */
const UNIT_BYTES = 1024;
/** A block is left shorter than the buffer where the head of a record, of these bytes, finds no room. */
const RECORD_HEAD_BYTES = 12;
/** How often a reader may close the FIFO early, as the storage daemon does when it only looks. */
const READERS_MAX = 20;

/**
 * Writes the whole volume to whoever reads the FIFO; a reader that closes early gets it from the start when it comes again. Resolves when all was written.
 * @throws {ToolError} nobody reads to the end.
 */
export async function feedVolume(fifo: string, volume: StoredVolume): Promise<void> {
  checkFifo(fifo);
  const bufferBytes = await deviceBuffer(volume);
  for (let readers = 0; readers < READERS_MAX; readers += 1) {
    if (await feedReader(fifo, volume, bufferBytes)) return;
  }
  throw new ToolError(`Feed volume '${volume.facts.name}' to '${fifo}': '${READERS_MAX}' readers closed it before the end`, { path: fifo });
}

/**
 * Bytes of the buffer of the device that wrote the volume: what several blocks fill to the last byte, whatever number that is. In a short job none may, and the longest is rounded up;
 * so it is where records of one size, as zeroes are when they are compressed, leave the same few bytes free in every block.
 */
async function deviceBuffer(volume: StoredVolume): Promise<number> {
  let [longest, times] = [0, 0];
  for (let at = 0, blocks = 0; at < volume.size && blocks < BLOCKS_LOOKED_AT; blocks += 1) {
    const size = await blockBytes(volume, at);
    if (size > longest) [longest, times] = [size, 0];
    if (size === longest) times += 1;
    at += size;
  }
  const rounded = Math.ceil(longest / UNIT_BYTES) * UNIT_BYTES;
  return times > 1 && rounded - longest >= RECORD_HEAD_BYTES ? longest : rounded;
}

/** @returns whether the reader took everything. */
async function feedReader(fifo: string, volume: StoredVolume, bufferBytes: number): Promise<boolean> {
  const handle = await fs.promises.open(fifo, 'w');
  let buffer = new Uint8Array();
  try {
    for (let at = 0; at < volume.size;) {
      const size = await blockBytes(volume, at);
      const isLast = at + size === volume.size;
      const length = isLast ? size : Math.max(size, bufferBytes);
      if (length > buffer.length) {
        buffer = new Uint8Array(length);
        makeRoom(handle.fd, length);
      }
      await volume.readInto(at, buffer.subarray(0, size), { sequential: true });
      buffer.fill(0, size, length);
      if (!await emptied(handle.fd)) return false;
      for (let done = 0; done < length;) done += (await handle.write(buffer, done, length - done, null)).bytesWritten;
      at += size;
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return false;
    throw error;
  } finally {
    await handle.close();
  }
}

/** Bytes of the block at `at`, as its head says; of a piece where no block begins. */
async function blockBytes(volume: StoredVolume, at: number): Promise<number> {
  const rest = volume.size - at;
  if (rest <= HEAD_BYTES) return rest;
  const head = new Uint8Array(HEAD_BYTES);
  await volume.readInto(at, head, { sequential: true });
  const size = new DataView(head.buffer).getUint32(4);
  return size > HEAD_BYTES && size <= BLOCK_BYTES_MAX ? Math.min(size, rest) : Math.min(PIECE_BYTES, rest);
}
