/** Brings a directory from one state of the corpus to the next as programs would: writes in place, appends, renames, links, removes. */
import * as fs from 'node:fs';
import path from 'node:path';
import { directories } from './corpus.ts';
import { pieceSlices, sizeOf, slicePieces, type Piece } from './piece.ts';
import type { Corpus, CorpusFile } from './workshop.ts';

/** Modification time of a state in seconds; eighths are exact in every unit on the way to the disk. */
export function modifiedSeconds(touched: number, id = 0): number {
  return 1_750_000_000 + touched * 3600 + id % 8 / 8;
}

/** Whether a place that had data has none now: only a new file can show that. */
function losesData(before: readonly Piece[], after: readonly Piece[]): boolean {
  const data = (pieces: readonly Piece[]): number => pieces.filter((piece) => piece.kind !== 'hole').length;
  return after.some((piece) => piece.kind === 'hole') && data(after) < data(before);
}

/** Whether `before` holds the same bytes as `piece` at `at`. */
function holds(before: readonly Piece[], at: number, piece: Piece): boolean {
  const [old, ...more] = slicePieces(before, at, at + piece.length);
  return more.length === 0 && old?.kind === piece.kind && old.stream === piece.stream && old.from === piece.from && old.length === piece.length;
}

/** Writes only what differs, at its place. */
function writeContent(file: string, seed: number, before: readonly Piece[], after: readonly Piece[]): void {
  const fd = fs.openSync(file, 'r+');
  try {
    let at = 0;
    for (const piece of after) {
      if (piece.kind === 'hole' || holds(before, at, piece)) at += piece.length;
      else for (const slice of pieceSlices(seed, piece)) at += fs.writeSync(fd, slice, 0, slice.length, at);
    }
    fs.ftruncateSync(fd, at);
  } finally {
    fs.closeSync(fd);
  }
}

/** A corpus directory on disk. */
export class LiveDirectory {
  readonly #root: string;
  #state: Corpus | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the directory hold `after`; from nothing the first time, whatever was there. */
  become(after: Corpus): void {
    if (this.#state === undefined) fs.rmSync(this.#root, { recursive: true, force: true });
    for (const name of ['', ...directories]) fs.mkdirSync(this.#at(name), { recursive: true });
    const before = new Map((this.#state?.files ?? []).map((file) => [file.id, file]));
    const kept = new Set(after.files.filter((file) => !this.#mustBeNew(before.get(file.id), file)).map((file) => file.id));
    for (const file of before.values()) if (!kept.has(file.id)) for (const name of file.paths) fs.rmSync(this.#at(name));
    for (const file of after.files) {
      const old = before.get(file.id);
      if (old === file) continue;
      if (old !== undefined && kept.has(file.id)) this.#rename(old.paths, file.paths);
      else this.#create(file);
    }
    for (const file of after.files) {
      const old = before.get(file.id);
      if (old !== file) this.#write(file, old !== undefined && kept.has(file.id) ? old.pieces : [], after.seed);
    }
    this.#symlinks(after);
    // Writing into a directory changed its time.
    for (const name of ['', ...directories]) fs.utimesSync(this.#at(name), modifiedSeconds(after.cycle), modifiedSeconds(after.cycle));
    this.#state = after;
  }

  #mustBeNew(old: CorpusFile | undefined, file: CorpusFile): boolean {
    return old === undefined || losesData(old.pieces, file.pieces);
  }

  #at(name: string): string {
    return path.join(this.#root, name);
  }

  #create(file: CorpusFile): void {
    const [first = '', ...others] = file.paths;
    fs.writeFileSync(this.#at(first), '', { flag: 'wx' });
    for (const name of others) fs.linkSync(this.#at(first), this.#at(name));
  }

  #rename(before: readonly string[], after: readonly string[]): void {
    const gone = before.filter((name) => !after.includes(name));
    for (const name of after.filter((one) => !before.includes(one))) {
      const from = gone.pop();
      if (from === undefined) fs.linkSync(this.#at(before[0] ?? ''), this.#at(name));
      else fs.renameSync(this.#at(from), this.#at(name));
    }
    for (const name of gone) fs.rmSync(this.#at(name));
  }

  #write(file: CorpusFile, before: readonly Piece[], seed: number): void {
    const place = this.#at(file.paths[0] ?? '');
    // A file that nobody may write is still written by its owner, after a change of mode.
    fs.chmodSync(place, 0o600);
    if (before !== file.pieces) writeContent(place, seed, before, file.pieces);
    fs.chmodSync(place, file.mode);
    const seconds = modifiedSeconds(file.touched, file.id);
    fs.utimesSync(place, seconds, seconds);
    if (fs.statSync(place).size !== sizeOf(file.pieces)) throw new RangeError(`Write '${place}': its size is not that of the corpus`);
  }

  #symlinks(after: Corpus): void {
    for (const [name, target] of after.symlinks) {
      if (this.#state?.symlinks.get(name) === target) continue;
      fs.rmSync(this.#at(name), { force: true });
      fs.symlinkSync(target, this.#at(name));
    }
  }
}
