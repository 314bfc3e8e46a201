/**
 * Grains of a sparse extent by its directory and tables: hosted sparse, stream-optimised and COWD have entries of 32 bits, SEsparse of 64.
 * Source: as `vmdk.layout.ts`.
 */
import { type BlockSource, FormatError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { checkEntry, TableCache } from '../../mapping/table-cache.ts';

const STRUCTURE = 'VMDK grain table';
const PART_BYTES = 32 << 10;

/** What a table entry stands for: not here, zeroes, or bytes of the file. */
export type Grain = { readonly kind: 'parent' | 'zero' | 'hole' } | { readonly kind: 'data'; readonly at: number };

/** How an extent is laid out. */
export interface GrainLayout {
  readonly grainBytes: number;
  readonly entriesPerTable: number;
  readonly entryBytes: 4 | 8;
  /** Offset in bytes of each grain table; 0 where there is none. */
  readonly tables: Float64Array;
  /** No grain begins before this offset. */
  readonly overheadBytes: number;
  /** Decodes the entry at byte `at`. @throws {FormatError} */
  grainAt(view: DataView, at: number): Grain;
  /** Unpacks the grain at `at` of a compressed extent; `lba` is the sector that it must be of. */
  unpack?(at: number, lba: number): Promise<Uint8Array>;
}

/** The map of one extent, from its own beginning. */
export class GrainMap implements BlockMap {
  readonly #file: BlockSource;
  readonly #layout: GrainLayout;
  readonly #cache: TableCache;
  readonly #partBytes: number;
  readonly #coverage: number;

  constructor(file: BlockSource, layout: GrainLayout, tableBytes: number) {
    this.#file = file;
    this.#layout = layout;
    this.#partBytes = Math.min(PART_BYTES, layout.entriesPerTable * layout.entryBytes);
    this.#coverage = layout.grainBytes * layout.entriesPerTable;
    this.#cache = new TableCache(file, { partBytes: this.#partBytes, budget: tableBytes, structure: STRUCTURE });
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const { tables, grainBytes, entryBytes } = this.#layout;
    const index = Math.floor(offset / this.#coverage);
    const table = tables[index] ?? 0;
    const within = offset - index * this.#coverage;
    if (table === 0) {
      let next = index + 1;
      while (next < tables.length && tables[next] === 0 && next * this.#coverage - offset < lengthMax) next += 1;
      return { kind: 'parent', length: Math.min(lengthMax, next * this.#coverage - offset) };
    }
    const at = Math.floor(within / grainBytes) * entryBytes;
    const partAt = at - at % this.#partBytes;
    const found = this.#cache.get(table + partAt);
    if (found instanceof Promise) return found.then((view) => this.#inPart(view, at - partAt, offset, lengthMax));
    return this.#inPart(found, at - partAt, offset, lengthMax);
  }

  #inPart(view: DataView, at: number, offset: number, lengthMax: number): Run {
    const { grainBytes, entryBytes, unpack } = this.#layout;
    const skip = offset % grainBytes;
    const first = this.#grain(view, at);
    let length = grainBytes - skip;
    if (first.kind === 'data' && unpack !== undefined) {
      return { kind: 'packed', length: Math.min(length, lengthMax), skip, load: () => unpack(first.at, (offset - skip) / 512) };
    }
    for (let next = at + entryBytes; length < lengthMax && next + entryBytes <= view.byteLength; next += entryBytes) {
      const following = this.#grain(view, next);
      if (following.kind !== first.kind || (first.kind === 'data' && (following as { readonly at: number }).at !== first.at + skip + length)) break;
      length += grainBytes;
    }
    length = Math.min(length, lengthMax);
    return first.kind === 'data' ? { kind: 'data', length, file: this.#file, at: first.at + skip } : { kind: first.kind, length };
  }

  #grain(view: DataView, at: number): Grain {
    checkEntry(view, at, this.#layout.entryBytes, STRUCTURE);
    const grain = this.#layout.grainAt(view, at);
    if (grain.kind === 'data' && (grain.at < this.#layout.overheadBytes || grain.at >= this.#file.size)) {
      throw new FormatError('Map VMDK grain', { structure: STRUCTURE, field: 'entry', found: grain.at, expected: `${this.#layout.overheadBytes} to ${this.#file.size - 1}: behind the metadata and in the file` });
    }
    return grain;
  }
}
