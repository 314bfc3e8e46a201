/** Makes one state of the corpus out of the one before: keeps what is untouched, counts what is new. */
import { seededRandom } from '../src/core/testing/random.ts';
import type { Piece, PieceKind } from './piece.ts';

/** A file with all its names; the same object from state to state as long as nothing about it changed. */
export interface CorpusFile {
  readonly id: number;
  /** Relative paths, `/`-separated; more than one: hard links. */
  readonly paths: readonly string[];
  readonly pieces: readonly Piece[];
  readonly mode: number;
  /** State in which it was last written or touched; gives its modification time. */
  readonly touched: number;
}

/** One state of the corpus. */
export interface Corpus {
  readonly seed: number;
  readonly cycle: number;
  readonly files: readonly CorpusFile[];
  /** Symbolic links: path to target. */
  readonly symlinks: ReadonlyMap<string, string>;
  /** Bytes of content that this state has and the one before had not. */
  readonly changedBytes: number;
}

/** Ids and streams of one state stay below this. */
const NUMBERS_PER_CYCLE = 1_000_000;

/** A state under construction. Files are found by their first path. */
export class Workshop {
  readonly symlinks: Map<string, string>;
  readonly #files: Map<string, CorpusFile>;
  readonly #seed: number;
  readonly #cycle: number;
  readonly #next: () => number;
  #changedBytes = 0;
  #numbers = 0;

  constructor(seed: number, cycle: number, before?: Corpus) {
    this.#seed = seed;
    this.#cycle = cycle;
    this.#next = seededRandom(seed ^ Math.imul(cycle + 1, 0x9e37_79b1));
    this.#files = new Map((before?.files ?? []).map((file) => [file.paths[0] ?? '', file]));
    this.symlinks = new Map(before?.symlinks);
  }

  /** An integer of 0…bound − 1. */
  below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }

  /** One of a list that is not empty. */
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** Content that was nowhere before. */
  fresh(kind: PieceKind, length: number): Piece {
    this.#changedBytes += length;
    return { kind, stream: this.#number(), from: 0, length };
  }

  /** First paths of all files below a folder, in a stable order. */
  under(folder: string): string[] {
    return [...this.#files.keys()].filter((path) => path.startsWith(`${folder}/`)).sort();
  }

  file(path: string): CorpusFile {
    const file = this.#files.get(path);
    if (file === undefined) throw new RangeError(`Find '${path}' in the corpus: no such file`);
    return file;
  }

  /** @returns a path in the folder that no state ever used. */
  newPath(folder: string, suffix: string): string {
    return `${folder}/${this.pick(['report', 'Übersicht', 'two words', 'notes'])}-${this.#cycle}-${this.#number() % NUMBERS_PER_CYCLE}${suffix}`;
  }

  create(path: string, pieces: readonly Piece[]): void {
    this.#files.set(path, { id: this.#number(), paths: [path], pieces, mode: this.pick([0o644, 0o600, 0o640, 0o755]), touched: this.#cycle });
  }

  /** Changes content, mode or names; without changes it touches the file. */
  change(path: string, changes: Partial<Pick<CorpusFile, 'paths' | 'pieces' | 'mode'>> = {}): void {
    const changed = { ...this.file(path), ...changes, touched: this.#cycle };
    this.#files.delete(path);
    this.#files.set(changed.paths[0] ?? path, changed);
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  finish(): Corpus {
    return { seed: this.#seed, cycle: this.#cycle, files: [...this.#files.values()], symlinks: this.symlinks, changedBytes: this.#changedBytes };
  }

  #number(): number {
    this.#numbers += 1;
    return this.#cycle * NUMBERS_PER_CYCLE + this.#numbers;
  }
}
