/**
 * `feed`: writes a stored volume into the FIFO for a restore, one block with one write and only into an empty pipe: the storage daemon takes what one read gives
 * for a block, and fails when that is a part of it.
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
/** How often a reader may close the FIFO early, as the storage daemon does when it only looks. */
const READERS_MAX = 20;

/**
 * Writes the whole volume to whoever reads the FIFO; a reader that closes early gets it from the start when it comes again. Resolves when all was written.
 * @throws {ToolError} nobody reads to the end.
 */
export async function feedVolume(fifo: string, volume: StoredVolume): Promise<void> {
  checkFifo(fifo);
  for (let readers = 0; readers < READERS_MAX; readers += 1) {
    if (await feedReader(fifo, volume)) return;
  }
  throw new ToolError(`Feed volume '${volume.facts.name}' to '${fifo}': '${READERS_MAX}' readers closed it before the end`, { path: fifo });
}

/** @returns whether the reader took everything. */
async function feedReader(fifo: string, volume: StoredVolume): Promise<boolean> {
  const handle = await fs.promises.open(fifo, 'w');
  let buffer = new Uint8Array(PIECE_BYTES);
  try {
    for (let at = 0; at < volume.size;) {
      const size = await blockBytes(volume, at);
      if (size > buffer.length) buffer = new Uint8Array(size);
      makeRoom(handle.fd, size);
      const piece = buffer.subarray(0, size);
      await volume.readInto(at, piece, { sequential: true });
      if (!await emptied(handle.fd)) return false;
      for (let done = 0; done < size;) done += (await handle.write(piece, done, size - done, null)).bytesWritten;
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
