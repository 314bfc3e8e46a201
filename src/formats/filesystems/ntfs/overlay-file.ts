/**
 * Files that Windows' overlay filter (WOF) compressed in place: chunks in the stream `WofCompressedData`, of which the content is empty.
 * Source: Microsoft `wofapi.h` documentation (WOF_EXTERNAL_INFO, FILE_PROVIDER_EXTERNAL_INFO_V1); the chunk table is the one of WIM resources,
 * Microsoft "Windows Imaging File Format (WIM)" white paper, without the chunk sizes being bounded by 2^32 alone.
 */
import { type BlockSource, FormatError, UnsupportedError } from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import { UnitCache } from '../../mapping/unit-cache.ts';
import { decodeLzx } from './lzx.ts';
import type { ReparsePoint } from './reparse.ts';
import { decodeXpress } from './xpress.ts';

/** The stream that holds the chunks. */
export const OVERLAY_STREAM = 'WofCompressedData';
const STRUCTURE = 'WOF compressed file';
const PROVIDER = { wim: 1, file: 2 } as const;
const TABLE_PART_BYTES = 8 << 10;
const CACHE_BYTES = 256 << 10;
/** Places are 64 bits wide in files larger than this. */
const NARROW_MAX = 0xffff_ffff;

interface Algorithm {
  readonly chunkBytes: number;
  decode(input: Uint8Array, output: Uint8Array): void;
}

/** By the number in the reparse point. */
const algorithms: readonly Algorithm[] = [
  { chunkBytes: 4 << 10, decode: decodeXpress }, { chunkBytes: 32 << 10, decode: decodeLzx }, { chunkBytes: 8 << 10, decode: decodeXpress }, { chunkBytes: 16 << 10, decode: decodeXpress },
];

function algorithmOf({ data }: ReparsePoint): Algorithm {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 8 || view.getUint32(0, true) !== 1) throw new FormatError('Open file', { structure: 'WOF reparse point', field: 'Version', found: data.length, expected: 'version 1' });
  const provider = view.getUint32(4, true);
  if (provider === PROVIDER.wim) throw new UnsupportedError('Open file: its content is in a WIM file beside it (WIMBoot)', { feature: 'WIMBoot' });
  const algorithm = data.length < 16 || provider !== PROVIDER.file || view.getUint32(8, true) !== 1 ? undefined : algorithms[view.getUint32(12, true)];
  if (algorithm === undefined) throw new UnsupportedError(`Open file: provider '${provider}' of its compression is unknown`, { feature: 'WOF' });
  return algorithm;
}

/** The chunks of one file. */
class ChunkMap implements BlockMap {
  readonly #packed: BlockSource;
  readonly #algorithm: Algorithm;
  readonly #size: number;
  readonly #chunks: number;
  readonly #entryBytes: number;
  readonly #table: TableCache;
  readonly #cache: UnitCache;

  constructor(packed: BlockSource, algorithm: Algorithm, size: number) {
    this.#packed = packed;
    this.#algorithm = algorithm;
    this.#size = size;
    this.#chunks = Math.ceil(size / algorithm.chunkBytes);
    this.#entryBytes = size > NARROW_MAX ? 8 : 4;
    this.#table = new TableCache(packed, { partBytes: TABLE_PART_BYTES, budget: CACHE_BYTES, structure: STRUCTURE });
    this.#cache = new UnitCache(algorithm.chunkBytes, CACHE_BYTES);
  }

  runAt(offset: number, lengthMax: number): Run {
    const { chunkBytes } = this.#algorithm;
    const chunk = Math.floor(offset / chunkBytes);
    const skip = offset - chunk * chunkBytes;
    return { kind: 'packed', length: Math.min(lengthMax, chunkBytes - skip), skip, load: () => this.#cache.get(chunk, () => this.#unpack(chunk)) };
  }

  /** Where a chunk begins, from the end of the table; the first has no entry. */
  async #startOf(chunk: number): Promise<number> {
    const tableBytes = (this.#chunks - 1) * this.#entryBytes;
    if (chunk === 0) return 0;
    if (chunk === this.#chunks) return this.#packed.size - tableBytes;
    const at = (chunk - 1) * this.#entryBytes;
    const view = await this.#table.get(Math.floor(at / TABLE_PART_BYTES) * TABLE_PART_BYTES);
    const within = at % TABLE_PART_BYTES;
    if (within + this.#entryBytes > view.byteLength) throw new FormatError('Read compressed file', { structure: STRUCTURE, field: 'table', offset: at, found: this.#packed.size, expected: `a table of ${tableBytes} bytes` });
    return view.getUint32(within, true) + (this.#entryBytes === 8 ? view.getUint32(within + 4, true) * 0x1_0000_0000 : 0);
  }

  async #unpack(chunk: number): Promise<Uint8Array> {
    const { chunkBytes, decode } = this.#algorithm;
    const start = await this.#startOf(chunk);
    const end = await this.#startOf(chunk + 1);
    const base = (this.#chunks - 1) * this.#entryBytes;
    const output = new Uint8Array(Math.min(chunkBytes, this.#size - chunk * chunkBytes));
    if (start >= end || end - start > output.length || base + end > this.#packed.size) {
      throw new FormatError('Read compressed file', { structure: STRUCTURE, field: `chunk ${chunk}`, offset: base + start, found: end - start, expected: `1 to ${output.length} bytes in a stream of ${this.#packed.size}` });
    }
    const input = new Uint8Array(end - start);
    await this.#packed.readInto(base + start, input);
    if (input.length === output.length) return input;
    decode(input, output);
    return output;
  }
}

/** The content of a file of `size` bytes, given its chunk stream. @throws {FormatError} @throws {UnsupportedError} naming the provider. */
export function openOverlayFile(packed: BlockSource, reparse: ReparsePoint, size: number): BlockSource {
  const map = new ChunkMap(packed, algorithmOf(reparse), size);
  return new MappedSource(size, packed.sectorSize, { what: 'compressed file', map, owned: [packed], place: { structure: STRUCTURE, field: 'table' } });
}
