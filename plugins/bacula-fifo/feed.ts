/** `feed`: writes a stored volume into the FIFO for a restore. */
import * as fs from 'node:fs';
import { ToolError } from '../../src/core/index.ts';
import type { StoredVolume } from '../../src/services/volumes/index.ts';
import { checkFifo } from './fifo-reader.ts';

const PIECE_BYTES = 1 << 20;
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
  const buffer = new Uint8Array(PIECE_BYTES);
  try {
    for (let at = 0; at < volume.size;) {
      const piece = buffer.subarray(0, Math.min(buffer.length, volume.size - at));
      await volume.readInto(at, piece, { sequential: true });
      for (let done = 0; done < piece.length;) done += (await handle.write(piece, done, piece.length - done, null)).bytesWritten;
      at += piece.length;
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return false;
    throw error;
  } finally {
    await handle.close();
  }
}
