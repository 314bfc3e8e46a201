/** Compares a filesystem with the manifest beside its image: one JSON object per path, written from the kernel's mount of it. */
import { readFileSync } from 'node:fs';
import type { FileTree } from '../../src/core/index.ts';
import { surrogateBytes } from '../manifest.ts';
import { differencesOf, surveyTree, timeText, type CompareOptions, type EntryFacts, type TreeFacts } from './entry-facts.ts';

/** One line. Text holds bytes that are no UTF-8 as lone surrogates U+DC80…U+DCFF. */
interface Line {
  readonly path: string;
  readonly path_b64?: string;
  readonly path_hex?: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'chr' | 'blk' | 'socket';
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime_ns: string;
  readonly nlink: number;
  readonly ino: number;
  readonly size?: number;
  readonly sha256?: string;
  readonly target?: string;
  readonly rdev?: readonly [number, number];
  readonly xattrs?: Readonly<Record<string, string>>;
}

const types: Readonly<Record<Line['type'], string>> = {
  file: 'file', dir: 'directory', symlink: 'symlink', fifo: 'fifo', chr: 'character', blk: 'block', socket: 'socket',
};

function keyOf({ path, path_b64, path_hex }: Line): string {
  if (path_b64 !== undefined) return Buffer.from(path_b64, 'base64').toString('latin1');
  if (path_hex !== undefined) return Buffer.from(path_hex, 'hex').toString('latin1');
  return path === '.' ? '' : Buffer.from(surrogateBytes(path)).toString('latin1');
}

function timeOf(nanoseconds: string, options: CompareOptions): string {
  const exact = BigInt(nanoseconds);
  const rest = ((exact % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return timeText({ seconds: Number((exact - rest) / 1_000_000_000n), nanoseconds: Number(rest) }, options);
}

function factsOf(line: Line, options: CompareOptions): EntryFacts {
  const facts: EntryFacts = new Map([
    ['type', types[line.type]], ['mode', line.mode], ['uid', String(line.uid)], ['gid', String(line.gid)],
    ['modified', timeOf(line.mtime_ns, options)], [line.type === 'dir' ? 'directory links' : 'links', String(line.nlink)], ['inode', String(line.ino)],
  ]);
  if (line.size !== undefined) facts.set('size', String(line.size));
  if (line.sha256 !== undefined) facts.set('content', line.sha256);
  if (line.target !== undefined) facts.set('target', Buffer.from(surrogateBytes(line.target)).toString('hex'));
  if (line.rdev !== undefined) facts.set('rdev', line.rdev.join(':'));
  for (const [name, value] of Object.entries(line.xattrs ?? {})) {
    if (options.attribute?.(name) !== false) facts.set(`attribute ${name}`, value);
  }
  return facts;
}

/** Marks the names of one inode by the first of them, as `surveyTree` does. */
function markLinks(lines: readonly Line[], facts: TreeFacts): void {
  const first = new Map<number, string>();
  for (const line of lines) {
    const key = keyOf(line);
    const known = first.get(line.ino);
    if (known === undefined || key < known) first.set(line.ino, key);
  }
  for (const line of lines) {
    if (line.type === 'dir') continue;
    facts.get(keyOf(line))?.set('first name', Buffer.from(first.get(line.ino) as string, 'latin1').toString('utf8'));
  }
}

/** What the manifest at `path` says, as facts. */
export function readImageManifest(path: string, options: CompareOptions = {}): TreeFacts {
  const lines = readFileSync(path, 'utf8').split('\n').filter((text) => text !== '').map((text) => JSON.parse(text) as Line);
  const kept = lines.filter((line) => options.ignore?.(line.path) !== true);
  const facts: TreeFacts = new Map(kept.map((line) => [keyOf(line), factsOf(line, options)]));
  markLinks(kept, facts);
  return facts;
}

/** Every difference between an open filesystem and the manifest at `manifest`; none when all names, facts and bytes are equal. */
export async function differencesFromImageManifest(tree: FileTree, manifest: string, options: CompareOptions = {}): Promise<readonly string[]> {
  return differencesOf(await surveyTree(tree, options, true), readImageManifest(manifest, options), options);
}
