/** Compression of neighbouring chunks as a group against chunk by chunk: bytes and time for the same contents. */
import { CHUNKER_SCRATCH_BYTES, createChunker, defaultFastCdc } from '../../src/engine/chunking/index.ts';
import { createZstd } from '../../src/engine/compression/zstd.ts';
import { Arena } from '../../src/engine/workers/arena.ts';
import type { Pair } from './inputs.ts';

/** zstd's level in new repositories. */
const LEVEL = 3;
const REGION_BYTES: number = 8 << 20;

/** One size of group; 0 compresses each chunk alone. */
export interface GroupingRow {
  readonly data: string;
  readonly groupBytes: number;
  /** Stored bytes of raw bytes. */
  readonly share: number;
  /** Compressed, and decompressed again, in bytes of content a second of one core. */
  readonly compressPerSecond: number;
  readonly decompressPerSecond: number;
  /** To read one chunk at random: its group is decompressed whole. */
  readonly oneChunkMilliseconds: number;
}

/** Lengths of a content's chunks, cut as the engine does. */
export function chunkLengths(content: Uint8Array): readonly number[] {
  const arena = new Arena(REGION_BYTES + CHUNKER_SCRATCH_BYTES + 4_096);
  const scratch = arena.reserve(CHUNKER_SCRATCH_BYTES);
  const region = arena.reserve(REGION_BYTES);
  const chunker = createChunker(defaultFastCdc, { memory: arena.memory, scratch });
  const out = new Uint32Array(REGION_BYTES / 2048);
  const lengths: number[] = [];
  for (let at = 0; at < content.length;) {
    const length = Math.min(REGION_BYTES, content.length - at);
    arena.view(region, length).set(content.subarray(at, at + length));
    const count = chunker.cuts(region, length, at + length === content.length, out);
    for (let i = 0; i < count; i += 1) lengths.push((out[i] as number) - (i === 0 ? 0 : out[i - 1] as number));
    at += out[count - 1] as number;
  }
  return lengths;
}

/** Whole chunks as long as they fit, as the store collects them. */
function groupsOf(content: Uint8Array, lengths: readonly number[], groupBytes: number): readonly Uint8Array[] {
  const groups: Uint8Array[] = [];
  let [start, end] = [0, 0];
  for (const length of lengths) {
    if (end > start && end + length - start > groupBytes) {
      groups.push(content.subarray(start, end));
      start = end;
    }
    end += length;
  }
  groups.push(content.subarray(start, end));
  return groups;
}

function seconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

/** Each size of group over the first contents of a pair. */
export async function measureGrouping(pair: Pair, groupSizes: readonly number[]): Promise<readonly GroupingRow[]> {
  const zstd = await createZstd();
  const content = Buffer.concat(pair.before);
  const lengths = chunkLengths(content);
  return groupSizes.map((groupBytes) => {
    const groups = groupsOf(content, lengths, groupBytes);
    const raw = new Uint8Array(Math.max(...groups.map((group) => group.length)));
    const target = new Uint8Array(raw.length);
    let [bytes, compressing, decompressing] = [0, 0, 0];
    for (const group of groups) {
      const start = seconds();
      const length = zstd.compress(group, target.subarray(0, group.length), LEVEL);
      const compressed = seconds();
      if (length > 0) zstd.decompress(target.subarray(0, length), raw.subarray(0, group.length));
      decompressing += seconds() - compressed;
      compressing += compressed - start;
      bytes += length > 0 ? length : group.length;
    }
    return {
      data: pair.name, groupBytes, share: bytes / content.length, compressPerSecond: content.length / compressing,
      decompressPerSecond: content.length / decompressing, oneChunkMilliseconds: decompressing / groups.length * 1000,
    };
  });
}
