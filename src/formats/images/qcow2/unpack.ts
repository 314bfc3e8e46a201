/** Compressed clusters of qcow2: raw deflate or Zstandard, each cluster for itself. Source: QEMU documentation, `docs/interop/qcow2.txt`, "Compressed Clusters Descriptor". */
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { type BlockSource, FormatError, HoldfastError, readRange } from '../../../core/index.ts';
import { decodeZstd, zstdFrames } from '../../compression/index.ts';
import type { ImageOpenContext } from '../image.ts';
import { UnitCache } from '../../mapping/unit-cache.ts';

const inflate = promisify(inflateRaw);

/** Gives the cluster whose compressed bytes are at `place`; at most `bytes` of them belong to it, some may not. */
export type UnpackCluster = (place: number, bytes: number) => Promise<Uint8Array>;

function fault(place: number, found: string | number, expected: string, cause?: unknown): FormatError {
  return new FormatError('Unpack qcow2 cluster', { structure: 'qcow2 compressed cluster', field: 'data', offset: place, found, expected }, cause);
}

async function inflated(input: Uint8Array, clusterBytes: number, place: number): Promise<Uint8Array> {
  try {
    return await inflate(input, { maxOutputLength: clusterBytes });
  } catch (error) {
    throw fault(place, (error as NodeJS.ErrnoException).code ?? 'unknown', `a deflate stream of ${clusterBytes} bytes`, error);
  }
}

type FastUnzstd = ImageOpenContext['unzstd'];

/** By the caller's decoder; undefined when that refuses: the other one then says what is wrong, or knows better. */
function unzstdFast(input: Uint8Array, clusterBytes: number, fast: NonNullable<FastUnzstd>): Uint8Array | undefined {
  try {
    const [frame = input] = zstdFrames(input, 1);
    const unit = new Uint8Array(clusterBytes);
    fast(frame, unit);
    return unit;
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return undefined;
  }
}

function unzstd(input: Uint8Array, clusterBytes: number, place: number): Uint8Array {
  try {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (const frame of zstdFrames(input, clusterBytes)) {
      const part = decodeZstd(frame, clusterBytes - bytes);
      parts.push(part);
      bytes += part.length;
      if (bytes === clusterBytes) break;
    }
    return parts.length === 1 ? parts[0] as Uint8Array : Buffer.concat(parts);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    throw fault(place, error.message, `a Zstandard frame of ${clusterBytes} bytes`, error);
  }
}

/** An unpacker that remembers the clusters it gave last. */
export function clusterUnpacker(file: BlockSource, clusterBytes: number, options: { readonly compression: 'zlib' | 'zstd'; readonly budget: number; readonly fast: FastUnzstd }): UnpackCluster {
  const cache = new UnitCache(clusterBytes, options.budget);
  const load = async (place: number, bytes: number): Promise<Uint8Array> => {
    const input = await readRange(file, place, bytes);
    const fast = options.compression === 'zstd' && options.fast !== undefined ? unzstdFast(input, clusterBytes, options.fast) : undefined;
    const unit = fast ?? (options.compression === 'zlib' ? await inflated(input, clusterBytes, place) : unzstd(input, clusterBytes, place));
    if (unit.length !== clusterBytes) throw fault(place, unit.length, `${clusterBytes} bytes`);
    return unit;
  };
  return (place, bytes) => cache.get(place, () => load(place, bytes));
}
