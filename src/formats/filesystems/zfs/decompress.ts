/**
 * Compressed blocks. Source: OpenZFS `include/sys/zio_compress.h` (numbers), `module/zfs/{lz4_zfs,gzip,zle,lzjb}.c`,
 * `module/zstd/zfs_zstd.c` (header of a Zstandard block: size and version, both big-endian, then a frame without its magic number).
 */
import { FormatError, HoldfastError, UnsupportedError } from '../../../core/index.ts';
import { decodeZlib, decodeZstd } from '../../compression/index.ts';
import { decodeLz4 } from './lz4.ts';
import { decodeLzjb, decodeZle } from './lzjb.ts';
import { viewOf } from './words.ts';

/** `enum zio_compress`. */
export const compressions = { off: 2, lzjb: 3, empty: 4, gzip1: 5, gzip9: 13, zle: 14, lz4: 15, zstd: 16 } as const;

const ZSTD_HEAD_BYTES = 8;
const ZSTD_MAGIC_BYTES = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd);

/** A faster decoder of Zstandard frames; the one here has the last word on what it refuses. */
export type Unzstd = (frame: Uint8Array, target: Uint8Array) => void;

/** What stands behind a length of four bytes. */
function counted(input: Uint8Array, headBytes: number, structure: string): Uint8Array {
  if (input.length < headBytes) throw new FormatError('Decompress ZFS block', { structure, field: 'size', found: input.length, expected: `at least ${headBytes} bytes` });
  const length = viewOf(input).getUint32(0);
  if (length > input.length - headBytes) throw new FormatError('Decompress ZFS block', { structure, field: 'size', found: length, expected: `at most ${input.length - headBytes}` });
  return input.subarray(headBytes, headBytes + length);
}

function filled(output: Uint8Array, found: Uint8Array, structure: string): void {
  if (found.length !== output.length) throw new FormatError('Decompress ZFS block', { structure, field: 'size', found: found.length, expected: output.length });
  output.set(found);
}

function decompressZstd(input: Uint8Array, output: Uint8Array, fast: Unzstd | undefined): void {
  const body = counted(input, ZSTD_HEAD_BYTES, 'zfs_zstd');
  const frame = new Uint8Array(ZSTD_MAGIC_BYTES.length + body.length);
  frame.set(ZSTD_MAGIC_BYTES);
  frame.set(body, ZSTD_MAGIC_BYTES.length);
  if (fast !== undefined) {
    try {
      fast(frame, output);
      return;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  }
  filled(output, decodeZstd(frame, output.length), 'zfs_zstd');
}

/**
 * Expands a block into `output`, which is zeroes and must be filled.
 * @throws {FormatError} @throws {LimitError} @throws {UnsupportedError} a compression that is not known.
 */
export function decompress(compression: number, input: Uint8Array, output: Uint8Array, fast?: Unzstd): void {
  if (compression >= compressions.gzip1 && compression <= compressions.gzip9) {
    filled(output, decodeZlib(input, output.length), 'gzip');
    return;
  }
  switch (compression) {
    case compressions.empty: return;
    case compressions.lzjb: decodeLzjb(input, output); return;
    case compressions.zle: decodeZle(input, output); return;
    case compressions.lz4: decodeLz4(counted(input, 4, 'lz4'), output); return;
    case compressions.zstd: decompressZstd(input, output, fast); return;
    default: throw new UnsupportedError(`Decompress ZFS block: compression '${compression}' is not supported`, { compression });
  }
}
