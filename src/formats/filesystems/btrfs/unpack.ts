/** Compressed extents, each of at most 128 KiB. Source: btrfs documentation, "Compression"; kernel `fs/btrfs/lzo.c` (comment on its framing). */
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { FormatError, HoldfastError, UnsupportedError } from '../../../core/index.ts';
import { decodeLzo1x, decodeZstd, zstdFrames } from '../../compression/index.ts';
import type { FilesystemContext } from '../filesystem.ts';

const inflateAsync = promisify(inflate);

/** Bytes that a compressed extent may unpack to. */
export const PACKED_EXTENT_BYTES_MAX: number = 128 << 10;

/** How the bytes of an extent are compressed. */
export type Compression = 'zlib' | 'lzo' | 'zstd';

/** What unpacking needs besides the bytes. */
export interface UnpackOptions {
  readonly sectorBytes: number;
  readonly fast: FilesystemContext['unzstd'];
}

/** The name of compression type `type`. @throws {UnsupportedError} */
export function compressionOf(type: number): Compression | undefined {
  if (type === 0) return undefined;
  const name = (['zlib', 'lzo', 'zstd'] as const)[type - 1];
  if (name === undefined) throw new UnsupportedError(`Read btrfs extent: compression '${type}' is not known`, { compression: type });
  return name;
}

function fault(compression: string, seen: { readonly field: string; readonly found: string | number; readonly expected: string }, cause?: unknown): FormatError {
  return new FormatError('Unpack btrfs extent', { structure: `btrfs ${compression} extent`, ...seen }, cause);
}

async function unzlib(packed: Uint8Array, bytes: number): Promise<Uint8Array> {
  try {
    return await inflateAsync(packed, { maxOutputLength: bytes });
  } catch (error) {
    throw fault('zlib', { field: 'data', found: (error as NodeJS.ErrnoException).code ?? 'unknown', expected: `a zlib stream of ${bytes} bytes` }, error);
  }
}

/** A total length, then segments of one sector each with their length; a length never stands across two sectors. */
function unlzo(packed: Uint8Array, bytes: number, sectorBytes: number): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const total = packed.length < 4 ? 0 : view.getUint32(0, true);
  if (total < 4 || total > packed.length) throw fault('lzo', { field: 'length', found: total, expected: `4 to ${packed.length}` });
  const unpacked = new Uint8Array(bytes);
  let filled = 0;
  for (let at = 4; at < total && filled < bytes;) {
    const left = sectorBytes - at % sectorBytes;
    if (left < 4) {
      at += left;
      continue;
    }
    const length = at + 4 > total ? -1 : view.getUint32(at, true);
    if (length < 0 || at + 4 + length > total) throw fault('lzo', { field: 'segment length', found: length, expected: `at most ${total - at - 4}` });
    filled += decodeLzo1x(packed.subarray(at + 4, at + 4 + length), unpacked.subarray(filled, Math.min(bytes, filled + sectorBytes)));
    at += 4 + length;
  }
  return unpacked.subarray(0, filled);
}

/** Bytes that a frame says it holds; undefined when it does not say. Source: RFC 8878, section 3.1.1.1. */
function contentBytes(frame: Uint8Array): number | undefined {
  const descriptor = frame[4] as number;
  const single = (descriptor & 0x20) !== 0;
  const width = descriptor >> 6 === 0 ? (single ? 1 : 0) : 1 << (descriptor >> 6);
  if (width === 0) return undefined;
  const at = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number);
  let bytes = width === 2 ? 256 : 0;
  for (let i = 0; i < width; i += 1) bytes += (frame[at + i] ?? 0) * 2 ** (8 * i);
  return bytes;
}

function unzstdFast(frame: Uint8Array, bytes: number, fast: NonNullable<UnpackOptions['fast']>): Uint8Array | undefined {
  const content = contentBytes(frame);
  if (content === undefined || content > bytes) return undefined;
  try {
    const unit = new Uint8Array(content);
    fast(frame, unit);
    return unit;
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return undefined;
  }
}

function unzstd(packed: Uint8Array, bytes: number, fast: UnpackOptions['fast']): Uint8Array {
  try {
    const [frame = packed] = zstdFrames(packed, 1);
    return (fast === undefined ? undefined : unzstdFast(frame, bytes, fast)) ?? decodeZstd(frame, bytes);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    throw fault('zstd', { field: 'data', found: error.message, expected: `a Zstandard frame of ${bytes} bytes` }, error);
  }
}

/**
 * Unpacks an extent to exactly `bytes`. The compressed bytes may be followed by padding; what is packed may end inside of the last sector, for the
 * file ended there: zeroes follow it.
 * @throws {FormatError}
 */
export async function unpackExtent(compression: Compression, packed: Uint8Array, bytes: number, options: UnpackOptions): Promise<Uint8Array> {
  const found = compression === 'zlib' ? await unzlib(packed, bytes) : compression === 'lzo' ? unlzo(packed, bytes, options.sectorBytes) : unzstd(packed, bytes, options.fast);
  if (found.length === bytes) return found;
  if (bytes - found.length >= options.sectorBytes) throw fault(compression, { field: 'data', found: found.length, expected: `${bytes} bytes, but for the end of the last sector` });
  const unit = new Uint8Array(bytes);
  unit.set(found);
  return unit;
}
