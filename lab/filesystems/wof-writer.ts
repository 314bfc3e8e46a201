/** Writes files as Windows' overlay filter keeps them, with the compressors of libwim: its decoders and ours have no common origin. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';
import { runTool } from '../images/tools.ts';

const LIBRARY = 'libwim.so.15';
const TAG = 0x8000_0017;
/** wimlib.h: WIMLIB_COMPRESSION_TYPE_XPRESS and _LZX. */
const TYPE = { xpress: 1, lzx: 2 } as const;
const LEVEL = 50;

/** By the number that the reparse point has. */
const algorithms = [
  { type: TYPE.xpress, chunkBytes: 4096 }, { type: TYPE.lzx, chunkBytes: 32_768 }, { type: TYPE.xpress, chunkBytes: 8192 }, { type: TYPE.xpress, chunkBytes: 16_384 },
] as const;

/** How many algorithms there are. */
export const WOF_ALGORITHMS: number = algorithms.length;

type Compress = (chunk: Buffer) => Buffer;

function loadCompressor(type: number, chunkBytes: number): Compress {
  const library = koffi.load(LIBRARY);
  const create = library.func('int wimlib_create_compressor(int, size_t, uint, _Out_ void **)') as (type: number, bytes: number, level: number, out: unknown[]) => number;
  const compress = library.func('size_t wimlib_compress(const uint8_t *, size_t, _Out_ uint8_t *, size_t, void *)') as (...parameters: readonly unknown[]) => number | bigint;
  const made: unknown[] = [null];
  if (create(type, chunkBytes, LEVEL, made) !== 0) throw new Error('wimlib_create_compressor failed');
  return (chunk) => {
    const target = Buffer.alloc(chunk.length);
    const bytes = Number(compress(chunk, chunk.length, target, chunk.length - 1, made[0]));
    return bytes === 0 ? chunk : target.subarray(0, bytes);
  };
}

/** Content as chunks behind the table of where they begin. */
export function packChunks(content: Buffer, algorithm: number): Buffer {
  const { type, chunkBytes } = algorithms[algorithm] as (typeof algorithms)[number];
  const compress = loadCompressor(type, chunkBytes);
  const chunks: Buffer[] = [];
  for (let at = 0; at < content.length; at += chunkBytes) chunks.push(compress(content.subarray(at, at + chunkBytes)));
  const table = Buffer.alloc(Math.max(0, chunks.length - 1) * 4);
  let end = 0;
  for (const [i, chunk] of chunks.slice(0, -1).entries()) {
    end += chunk.length;
    table.writeUInt32LE(end, 4 * i);
  }
  return Buffer.concat([table, ...chunks]);
}

/** Turns the plain file at `file`, in a mount of ntfs-3g with `streams_interface=windows`, into one that WOF compressed. */
export function overlayFile(file: string, algorithm: number): void {
  const content = readFileSync(file);
  writeFileSync(`${file}:WofCompressedData`, packChunks(content, algorithm));
  truncateSync(file, 0);
  truncateSync(file, content.length);
  const data = Buffer.alloc(24);
  data.writeUInt32LE(TAG, 0);
  data.writeUInt16LE(16, 4);
  for (const [i, value] of [1, 2, 1, algorithm].entries()) data.writeUInt32LE(value, 8 + 4 * i);
  runTool('.', 'setfattr', ['-n', 'system.ntfs_reparse_data', '-v', `0x${data.toString('hex')}`, file]);
}
