/**
 * What a restore must give: a table of every path with its digest, made from the corpus' description and never from the store or from a directory, kept
 * beside the store as one JSON object per line.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { directories } from './corpus.ts';
import { modifiedSeconds } from './live-directory.ts';
import { md5Of, occupiedBytesOf, sizeOf } from './piece.ts';
import type { Corpus, CorpusFile } from './workshop.ts';

/** One path. */
export interface ExpectedEntry {
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly mode?: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs?: number;
  readonly size?: number;
  readonly md5?: string;
  /** Equal for all names of one file. */
  readonly inode?: number;
  /** Bytes that it may occupy; fewer than `size` only for sparse files. */
  readonly occupied?: number;
  readonly target?: string;
}

/** What a comparison found. */
export interface Comparison {
  /** Names of regular files whose digest was compared. */
  readonly files: number;
  /** Bytes read for that. */
  readonly bytes: number;
  readonly differences: number;
  /** The first of them, for people. */
  readonly examples: readonly string[];
}

const EXAMPLES_MAX = 10;
/** A filesystem may allocate more than the data: metadata blocks, and whole blocks at the ends of each extent. */
const ALLOCATION_SLACK_BYTES = 512 * 1024;

const digests = new WeakMap<CorpusFile['pieces'], string>();

/** Digests of files that did not change are known from the state before. */
function digestOf(seed: number, { pieces }: CorpusFile): string {
  const known = digests.get(pieces) ?? md5Of(seed, pieces);
  digests.set(pieces, known);
  return known;
}

/** The table of a state, ordered by path. */
export function expectedOf(corpus: Corpus): readonly ExpectedEntry[] {
  const rows: ExpectedEntry[] = directories.map((name) => ({ path: name, type: 'directory', mode: 0o755, modifiedMs: modifiedSeconds(corpus.cycle) * 1000 }));
  for (const [name, target] of corpus.symlinks) rows.push({ path: name, type: 'symlink', target });
  for (const file of corpus.files) {
    const row = {
      type: 'file', mode: file.mode, modifiedMs: modifiedSeconds(file.touched, file.id) * 1000, size: sizeOf(file.pieces),
      md5: digestOf(corpus.seed, file), inode: file.id, occupied: occupiedBytesOf(file.pieces),
    } as const;
    for (const name of file.paths) rows.push({ path: name, ...row });
  }
  return rows.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Writes a table; a file that exists is replaced in one step. */
export function writeExpected(file: string, rows: readonly ExpectedEntry[]): void {
  fs.writeFileSync(`${file}.new`, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  fs.renameSync(`${file}.new`, file);
}

/** Reads a table back. @throws when there is none. */
export function readExpected(file: string): readonly ExpectedEntry[] {
  return fs.readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as ExpectedEntry);
}

function md5OfFile(file: string): string {
  const hash = createHash('md5');
  const buffer = Buffer.allocUnsafe(1 << 20);
  const fd = fs.openSync(file, 'r');
  try {
    for (let count = fs.readSync(fd, buffer); count > 0; count = fs.readSync(fd, buffer)) hash.update(buffer.subarray(0, count));
  } finally {
    fs.closeSync(fd);
  }
  return hash.digest('hex');
}

function typeOf(stat: fs.Stats): string {
  return stat.isSymbolicLink() ? 'symlink' : stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'other';
}

/** Aspects of one path that are not as expected. */
function* aspects(file: string, row: ExpectedEntry, stat: fs.Stats): Generator<string> {
  if (typeOf(stat) !== row.type) return yield `type '${typeOf(stat)}', expected '${row.type}'`;
  if (row.target !== undefined && fs.readlinkSync(file) !== row.target) yield `target '${fs.readlinkSync(file)}', expected '${row.target}'`;
  if (row.mode !== undefined && (stat.mode & 0o7777) !== row.mode) yield `mode '${(stat.mode & 0o7777).toString(8)}', expected '${row.mode.toString(8)}'`;
  if (row.modifiedMs !== undefined && stat.mtimeMs !== row.modifiedMs) yield `modified '${stat.mtimeMs}', expected '${row.modifiedMs}'`;
  if (row.type !== 'file') return;
  const allocated = stat.blocks * 512;
  const { size = 0, occupied = 0 } = row;
  if (stat.size !== size) yield `size '${stat.size}', expected '${size}'`;
  if (occupied < size && allocated > occupied + ALLOCATION_SLACK_BYTES) yield `'${allocated}' bytes allocated, expected '${occupied}'`;
  const md5 = md5OfFile(file);
  if (md5 !== row.md5) yield `md5 '${md5}', expected '${row.md5 ?? ''}'`;
}

/** Compares a directory with a table: every path of both, content, metadata, holes, and which names are one file. */
export function compareDirectory(root: string, rows: readonly ExpectedEntry[]): Comparison {
  let [files, bytes, differences] = [0, 0, 0];
  const examples: string[] = [];
  const note = (text: string): void => {
    differences += 1;
    if (examples.length < EXAMPLES_MAX) examples.push(text);
  };
  const [inodes, owners] = [new Map<number, number>(), new Map<number, number>()];
  for (const row of rows) {
    const file = path.join(root, row.path);
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined) {
      note(`${row.path}: missing`);
      continue;
    }
    for (const what of aspects(file, row, stat)) note(`${row.path}: ${what}`);
    if (row.inode === undefined) continue;
    files += 1;
    bytes += stat.size;
    if ((inodes.get(row.inode) ?? stat.ino) !== stat.ino) note(`${row.path}: not the same file as its other names`);
    if ((owners.get(stat.ino) ?? row.inode) !== row.inode) note(`${row.path}: one file with a name of another`);
    inodes.set(row.inode, stat.ino);
    owners.set(stat.ino, row.inode);
  }
  const known = new Set(rows.map((row) => row.path));
  for (const name of fs.readdirSync(root, { recursive: true }).map(String)) if (!known.has(name)) note(`${name}: not expected`);
  return { files, bytes, differences, examples };
}
