/** Compares a file tree with a manifest of the tree that was backed up: one JSON object per path, as `lab/README.md` describes. */
import { createHash } from 'node:crypto';
import { type BlockSource, type FileTree, HoldfastError, joinPath, lookupPath, type NodeId, type NodeStat, textOf, utf8 } from '../src/core/index.ts';

/** One line of a manifest; sizes of directories and link counts are those of the place of origin. */
export interface ManifestLine {
  readonly path: string;
  readonly path_b64?: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'chr' | 'blk' | 'sock';
  readonly size: number;
  /** Octal, as in `0o644`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly mtime_ns: number;
  readonly ino: number;
  readonly md5?: string;
  readonly target?: string;
  readonly rdev?: readonly [number, number];
  readonly xattr?: Readonly<Record<string, string>>;
}

/** One departure from the manifest. */
export interface Difference {
  readonly path: string;
  readonly what: string;
  readonly found: string;
  readonly expected: string;
}

/** What a comparison leaves out, and what it may tolerate. */
export interface CompareOptions {
  /** Compare extended attributes and ACLs (the job stored them). Default true. */
  readonly attributes?: boolean;
  /** Require names of one inode to be one node (the job stored hard links). Default true. */
  readonly hardLinks?: boolean;
  /** Entries whose absence is expected, by path. */
  readonly absent?: ReadonlySet<string>;
  /** Entries that may exist beside the manifest, by path: deleted ones that a plain incremental chain brings back. */
  readonly extra?: ReadonlySet<string>;
}

const typeNames: Readonly<Record<ManifestLine['type'], NodeStat['type']>> = {
  file: 'file', dir: 'directory', symlink: 'symlink', fifo: 'fifo', chr: 'character', blk: 'block', sock: 'socket',
};

/** Reads a manifest file's text. */
export function parseManifest(text: string): readonly ManifestLine[] {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as ManifestLine);
}

/** The path's bytes. */
export function manifestPath(line: ManifestLine): Uint8Array {
  return line.path_b64 === undefined ? utf8(line.path) : new Uint8Array(Buffer.from(line.path_b64, 'base64'));
}

/** Bytes of a text in which Python put undecodable bytes as lone surrogates U+DC80 … U+DCFF. */
export function surrogateBytes(text: string): Uint8Array {
  const parts = [...text].map((letter) => {
    const code = letter.codePointAt(0) ?? 0;
    return code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(letter, 'utf8');
  });
  return Buffer.concat(parts);
}

/** MD5 of a whole source, read in 1 MiB pieces. */
export async function md5Of(source: BlockSource): Promise<string> {
  const hash = createHash('md5');
  const buffer = new Uint8Array(Math.min(source.size, 1 << 20));
  for (let offset = 0; offset < source.size; offset += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, source.size - offset));
    await source.readInto(offset, part, { sequential: true });
    hash.update(part);
  }
  return hash.digest('hex');
}

class Comparison {
  readonly differences: Difference[] = [];
  readonly #tree: FileTree;
  readonly #options: CompareOptions;
  readonly #inodes = new Map<number, NodeId>();

  constructor(tree: FileTree, options: CompareOptions) {
    this.#tree = tree;
    this.#options = options;
  }

  expect(path: string, what: string, found: unknown, expected: unknown): void {
    if (found !== expected) this.differences.push({ path, what, found: String(found), expected: String(expected) });
  }

  async line(id: NodeId, line: ManifestLine): Promise<void> {
    const stat = await this.#tree.stat(id);
    const { path } = line;
    this.expect(path, 'type', stat.type, typeNames[line.type]);
    if (line.type === 'file' || line.type === 'symlink') this.expect(path, 'size', stat.size, line.size);
    this.expect(path, 'mode', `0o${stat.mode.toString(8)}`, line.mode);
    this.expect(path, 'uid', stat.uid, line.uid);
    this.expect(path, 'gid', stat.gid, line.gid);
    this.expect(path, 'mtime', stat.modified.seconds, line.mtime);
    if (this.#tree.supports.timestampNanoseconds === 1 && stat.modified.nanoseconds !== 0) {
      this.expect(path, 'mtime nanoseconds', stat.modified.nanoseconds, ((line.mtime_ns % 1e9) + 1e9) % 1e9);
    }
    if (line.rdev !== undefined) this.expect(path, 'rdev', `${stat.deviceMajor}:${stat.deviceMinor}`, line.rdev.join(':'));
    if (line.target !== undefined) this.expect(path, 'target', hex(await this.#tree.readLink(id)), hex(surrogateBytes(line.target)));
    if (line.md5 !== undefined && stat.type === 'file') this.expect(path, 'md5', await this.#md5(id), line.md5);
    if (this.#options.attributes !== false) await this.#attributes(id, line);
    if (this.#options.hardLinks !== false && line.type === 'file') this.#hardLink(id, line);
  }

  async #md5(id: NodeId): Promise<string> {
    const source = await this.#tree.open(id);
    try {
      return await md5Of(source);
    } finally {
      await source.close();
    }
  }

  async #attributes(id: NodeId, line: ManifestLine): Promise<void> {
    const found = await this.#tree.attributes(id);
    const expected = line.xattr ?? {};
    for (const name of new Set([...found.keys(), ...Object.keys(expected)])) {
      const value = found.get(name);
      this.expect(line.path, `attribute ${name}`, value === undefined ? 'absent' : Buffer.from(value).toString('base64'), expected[name] ?? 'absent');
    }
  }

  /** Lines of one inode must be one node, lines of different inodes different ones. */
  #hardLink(id: NodeId, line: ManifestLine): void {
    const known = this.#inodes.get(line.ino);
    if (known === undefined) this.#inodes.set(line.ino, id);
    else this.expect(line.path, 'node shared by hard links', id, known);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

async function* walk(tree: FileTree, id: NodeId, path: Uint8Array): AsyncGenerator<Uint8Array> {
  for await (const page of tree.list(id)) {
    for (const entry of page) {
      const child = joinPath(path, entry.name);
      yield child;
      if ((entry.stat ?? await tree.stat(entry.id)).type === 'directory') yield* walk(tree, entry.id, child);
    }
  }
}

/** Directory under which all lines of a manifest lie: the shortest path. */
export function manifestRoot(lines: readonly ManifestLine[]): Uint8Array {
  return lines.map(manifestPath).reduce((a, b) => (a.length <= b.length ? a : b));
}

/**
 * Compares everything below `rootPath` of a tree with a manifest whose paths begin with the manifest's own root. Sockets are
 * left out: Bacula does not save them. Content is read completely, so that a digest is verified by the tree as well.
 * @returns every difference; an entry that cannot be read is one.
 */
export async function compareTreeWithManifest(tree: FileTree, rootPath: Uint8Array, lines: readonly ManifestLine[], options: CompareOptions = {}): Promise<readonly Difference[]> {
  const comparison = new Comparison(tree, options);
  const from = manifestRoot(lines);
  const expected = new Set<string>();
  for (const line of lines) {
    if (line.type === 'sock') continue;
    const bytes = manifestPath(line);
    const relative = bytes.subarray(from.length);
    expected.add(hex(relative));
    const id = await lookupPath(tree, relative.length === 0 ? rootPath : joinPath(rootPath, relative.subarray(1)));
    if (id === undefined) {
      if (options.absent?.has(line.path) !== true) comparison.expect(line.path, 'entry', 'absent', 'present');
      continue;
    }
    try {
      await comparison.line(id, line);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      comparison.expect(line.path, 'readable', `${error.name}: ${error.message}`, 'yes');
    }
  }
  const root = await lookupPath(tree, rootPath);
  if (root === undefined) return comparison.differences;
  for await (const path of walk(tree, root, new Uint8Array())) {
    const shown = textOf(joinPath(from, path));
    if (!expected.has(`2f${hex(path)}`) && options.extra?.has(shown) !== true) {
      comparison.expect(shown, 'entry', 'present', 'absent');
    }
  }
  return comparison.differences;
}
