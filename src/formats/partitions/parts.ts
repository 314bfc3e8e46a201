/** What all tables of volumes share: windows onto a disk, concatenations, and the table itself. */
import { type BlockSource, FormatError, type ProbeVerdict, readRange, HoldfastError, type TreeProblem } from '../../core/index.ts';
import { MappedSource } from '../mapping/mapped-source.ts';
import { pieceAt } from '../mapping/piece-search.ts';
import type { BlockMap, Run } from '../mapping/run.ts';
import type { Volume, VolumeTable, VolumeTableFacts } from './volume-table.ts';

/** One run of bytes of a volume: `length` bytes from `at` of `file`; without a file, zeroes. */
export interface Piece {
  readonly length: number;
  readonly file?: BlockSource;
  readonly at: number;
}

/** Pieces that follow each other. */
export class PieceMap implements BlockMap {
  readonly #pieces: readonly Piece[];
  readonly #starts: readonly number[];

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
    let at = 0;
    this.#starts = pieces.map(({ length }) => (at += length) - length);
  }

  runAt(offset: number, lengthMax: number): Run {
    const index = pieceAt(this.#starts, offset);
    const piece = this.#pieces[index] as Piece;
    const inside = offset - (this.#starts[index] as number);
    const length = Math.min(lengthMax, piece.length - inside);
    if (piece.file === undefined) return { kind: 'hole', length };
    return { kind: 'data', length, file: piece.file, at: piece.at + inside };
  }
}

/** Pieces one behind the other as a source that owns none of them. `what` names it in errors. */
export function joined(pieces: readonly Piece[], sectorSize: number, what: string): BlockSource {
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  return new MappedSource(size, sectorSize, { what, map: new PieceMap(pieces), owned: [], place: { structure: what, field: 'offset' } });
}

/** Part of a disk as a source that does not own the disk. */
export function windowOf(file: BlockSource, at: number, length: number, sectorSize: number = file.sectorSize): BlockSource {
  return joined([{ file, at, length }], sectorSize, 'volume');
}

/** What a table consists of. */
export interface TableParts {
  readonly facts: VolumeTableFacts;
  readonly volumes: readonly Volume[];
  readonly sources: readonly BlockSource[];
  readonly problems: readonly TreeProblem[];
}

/** A table that owns `sources`. */
export function tableOf({ facts, volumes, sources, problems }: TableParts): VolumeTable {
  return {
    facts,
    volumes,
    problems: () => problems,
    async close() {
      let failure: unknown;
      for (const source of sources) {
        try {
          await source.close();
        } catch (error) {
          failure ??= error;
        }
      }
      if (failure !== undefined) throw failure;
    },
  };
}

/** Whether `text` is at `offset`; false where the source ends before. */
export async function hasMagic(source: BlockSource, offset: number, text: string): Promise<boolean> {
  const magic = Buffer.from(text, 'latin1');
  if (offset < 0 || source.size < offset + magic.length) return false;
  const found = await readableRange(source, offset, magic.length);
  return found !== undefined && magic.equals(found);
}

/** Reads a structure that must be there whole. @throws {FormatError} naming it when the source ends before. */
export async function readStructure(source: BlockSource, offset: number, length: number, structure: string): Promise<Uint8Array> {
  if (offset < 0 || offset + length > source.size) {
    throw new FormatError(`Read ${structure}`, { structure, field: 'offset', found: offset, expected: `at most ${source.size - length}: the disk ends there` });
  }
  return readRange(source, offset, length);
}

/** A probe's answer for something whose magic number matched and whose head could not be used. Failures of the disk are thrown on. */
export function damagedVerdict(error: unknown): ProbeVerdict {
  if (error instanceof HoldfastError && ['FORMAT', 'LIMIT', 'INTEGRITY', 'UNSUPPORTED'].includes(error.code)) return { match: 'damaged', reason: error.message };
  throw error;
}

/** The only disk of a table that does not join several. @throws {FormatError} */
export function onlySource(sources: readonly BlockSource[], what: string): BlockSource {
  const [source] = sources;
  if (source === undefined || sources.length > 1) throw new FormatError(`Open ${what}`, { structure: what, field: 'disks', found: sources.length, expected: 1 });
  return source;
}

/** NUL-terminated text. */
export function textUntilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}

/** Bytes of a disk; undefined where they cannot be read: the lost end of an image must not cost what is in front of it. */
export async function readableRange(disk: BlockSource, at: number, length: number): Promise<Uint8Array | undefined> {
  try {
    return await readRange(disk, at, length);
  } catch (error) {
    if (error instanceof HoldfastError) return undefined;
    throw error;
  }
}
