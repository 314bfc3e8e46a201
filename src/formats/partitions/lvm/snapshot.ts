/**
 * Snapshots of the older kind: a store of chunks that were copied before the origin changed, with the list of them.
 * Source: Linux `drivers/md/dm-snap-persistent.c` ("On-disk format").
 */
import { type BlockSource, checkLimit, FormatError, IntegrityError, type Limits, UnsupportedError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { readStructure } from '../parts.ts';
import { SECTOR, SNAPSHOT_MAGIC, snapshotLayout } from './lvm.layout.ts';

/** Bytes of one exception: the chunk's old and new place. */
const EXCEPTION_BYTES = 16;

/** A chunk size at which one area of exceptions is still a small read. */
const CHUNK_BYTES_MAX = 16 << 20;

/** The exceptions, sorted by the origin's chunk. */
interface Exceptions {
  readonly chunkBytes: number;
  readonly old: Float64Array;
  readonly fresh: Float64Array;
}

async function readExceptions(store: BlockSource, limits: Limits): Promise<Exceptions> {
  const head = snapshotLayout.view(await readStructure(store, 0, snapshotLayout.size, snapshotLayout.name));
  const fault = (field: string, found: number, expected: string | number): FormatError => new FormatError('Open snapshot', { structure: snapshotLayout.name, field, found, expected });
  if (head.magic !== SNAPSHOT_MAGIC) throw fault('magic', head.magic, SNAPSHOT_MAGIC);
  if (head.valid !== 1) throw new IntegrityError('Open snapshot: it is marked as not valid; its store was full, most likely, and the origin has changed since', { structure: snapshotLayout.name, field: 'valid', found: head.valid });
  if (head.version !== 1) throw new UnsupportedError(`Open snapshot: version '${head.version}' of its store is not known`);
  const chunkBytes = head.chunk_size * SECTOR;
  if (head.chunk_size === 0 || (head.chunk_size & (head.chunk_size - 1)) !== 0 || chunkBytes > CHUNK_BYTES_MAX) throw fault('chunk_size', head.chunk_size, 'a power of two, at most 16 MiB');
  const perArea = chunkBytes / EXCEPTION_BYTES;
  const pairs: [number, number][] = [];
  for (let area = 0; ; area += 1) {
    const at = (1 + area * (perArea + 1)) * chunkBytes;
    if (at + chunkBytes > store.size) break;
    const bytes = await readStructure(store, at, chunkBytes, 'dm-snapshot area');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let ended = false;
    for (let i = 0; i < perArea && !ended; i += 1) {
      const old = view.getUint32(i * 16 + 4, true) * 2 ** 32 + view.getUint32(i * 16, true);
      const fresh = view.getUint32(i * 16 + 12, true) * 2 ** 32 + view.getUint32(i * 16 + 8, true);
      // Chunk 0 of the store is its header: no exception leads there.
      ended = fresh === 0;
      if (!ended) pairs.push([old, fresh]);
    }
    checkLimit(limits, 'filesystemListBytesMax', pairs.length * 64, 'exceptions of a snapshot');
    if (ended) break;
  }
  pairs.sort((a, b) => a[0] - b[0]);
  return { chunkBytes, old: Float64Array.from(pairs, ([old]) => old), fresh: Float64Array.from(pairs, ([, fresh]) => fresh) };
}

/** The map of a snapshot above its origin; both sources stay the caller's. @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} @throws {LimitError} */
export async function snapshotMap(origin: BlockSource, store: BlockSource, limits: Limits): Promise<BlockMap> {
  const { chunkBytes, old, fresh } = await readExceptions(store, limits);
  return {
    runAt(offset, lengthMax): Run {
      const chunk = Math.floor(offset / chunkBytes);
      let low = 0;
      let high = old.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((old[middle] as number) < chunk) low = middle + 1;
        else high = middle;
      }
      const next = low < old.length ? old[low] as number : Infinity;
      if (next !== chunk) return { kind: 'data', length: Math.min(lengthMax, next * chunkBytes - offset), file: origin, at: offset };
      const inChunk = offset - chunk * chunkBytes;
      return { kind: 'data', length: Math.min(lengthMax, chunkBytes - inChunk), file: store, at: (fresh[low] as number) * chunkBytes + inChunk };
    },
  };
}
