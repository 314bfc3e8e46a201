/** Objects read in slabs of whole blocks, with what cannot be read marked instead of thrown: a bad sector costs its block, not the object. */
import { NotFoundError, ToolError, type ObjectReader, type ObjectStore } from '../../core/index.ts';
import { BLOCK_BYTES } from './geometry.ts';

const SLAB_BYTES = 1 << 20;

/** Part of an object. */
export interface Region {
  readonly offset: number;
  readonly size: number;
}

/** Some blocks of a region, the last of which may be shorter. Valid until the next slab is asked for. */
export interface Slab {
  /** Number of the first block within the region. */
  readonly first: number;
  /** Bytes as read; zeros where nothing could be read. */
  readonly bytes: Uint8Array;
  /** For each block 1 when it could not be read whole: bad sector, or behind the end. */
  readonly lost: Uint8Array;
}

/** Stands for an object that is absent: reads as empty. */
export const absentObject: ObjectReader = Object.freeze({
  size: 0,
  readInto: () => Promise.reject(new RangeError('Read object: it is absent')),
  close: () => Promise.resolve(),
});

/** Opens an object, or answers {@link absentObject}. */
export async function openIfPresent(objects: Pick<ObjectStore, 'open'>, name: string): Promise<ObjectReader> {
  try {
    return await objects.open(name);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    return absentObject;
  }
}

/** Fills `target` and says whether that was possible. @throws {NotFoundError} removed meanwhile. */
export async function tryRead(reader: ObjectReader, offset: number, target: Uint8Array): Promise<boolean> {
  if (offset + target.length > reader.size) return false;
  try {
    await reader.readInto(offset, target);
    return true;
  } catch (error) {
    if (error instanceof ToolError || error instanceof RangeError) return false;
    throw error;
  }
}

async function fill(reader: ObjectReader, offset: number, { bytes, lost }: Slab): Promise<void> {
  if (await tryRead(reader, offset, bytes)) return;
  bytes.fill(0);
  for (let i = 0; i < lost.length; i += 1) {
    const block = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
    if (await tryRead(reader, offset + i * BLOCK_BYTES, block)) continue;
    block.fill(0);
    lost[i] = 1;
  }
}

/** All of a region, front to back, whether it is there or not. */
export async function* slabsOf(reader: ObjectReader, { offset, size }: Region): AsyncGenerator<Slab> {
  const buffer = new Uint8Array(Math.min(SLAB_BYTES, size));
  for (let start = 0; start < size; start += SLAB_BYTES) {
    const bytes = buffer.subarray(0, Math.min(SLAB_BYTES, size - start));
    const slab = { first: start / BLOCK_BYTES, bytes, lost: new Uint8Array(Math.ceil(bytes.length / BLOCK_BYTES)) };
    await fill(reader, offset + start, slab);
    yield slab;
  }
}
