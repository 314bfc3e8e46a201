/** What is compared of a tree's entries, as texts: the common ground of manifests and of two trees. */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { HoldfastError, joinPath, textOf, type BlockSource, type FileTree, type NodeId, type NodeStat, type Timestamp } from '../../src/core/index.ts';

/** Facts that a comparison can leave out. `links` is the count (of files), `first name` the first path of the same inode. */
export type FactName = 'size' | 'mode' | 'uid' | 'gid' | 'modified' | 'accessed' | 'changed' | 'created' | 'links' | 'directory links' | 'inode'
  | 'first name' | 'rdev' | 'target' | 'content' | 'attributes';

/** What a comparison leaves out. By default everything is compared that both sides know. */
export interface CompareOptions {
  /** Facts that the filesystem, or the driver that it is compared with, doesn't have. */
  readonly omit?: readonly FactName[];
  /** Times are compared in this unit, rounded down; 1 by default: 100 for NTFS, 2e9 for FAT. */
  readonly timestampNanoseconds?: number;
  /** True leaves an entry out, with all below it. The path is relative, `.` for the root; bytes that are no UTF-8 as U+FFFD. */
  readonly ignore?: (path: string) => boolean;
  /** False leaves an extended attribute out. */
  readonly attribute?: (name: string) => boolean;
}

/** Facts of one entry by name; `attribute NAME` for each extended attribute. */
export type EntryFacts = Map<string, string>;

/** Facts by path; the key is the path's bytes as Latin-1, '' for the root. */
export type TreeFacts = Map<string, EntryFacts>;

/** Facts that are compared only when both sides have them. */
const optional = new Set(['accessed', 'changed', 'created', 'inode', 'links', 'directory links', 'first name']);
const PIECE_BYTES = 1 << 20;
const BLOCK_BYTES = 4096;
/** Larger files are compared by the blocks that are not empty: they are sparse, or nobody would wait for them. */
const WHOLE_BYTES_MAX = 256 << 20;

/** Nanoseconds since 1970 in decimal, rounded down to the options' unit. */
export function timeText({ seconds, nanoseconds }: Timestamp, options: CompareOptions): string {
  const unit = BigInt(options.timestampNanoseconds ?? 1);
  const exact = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  return String(exact - ((exact % unit) + unit) % unit);
}

/** The path that `ignore` and reports get. */
export function shownPath(key: string): string {
  return key === '' ? '.' : textOf(Buffer.from(key, 'latin1'));
}

/** SHA-256 of the content; on the way, what `extents` calls empty must be so. */
async function digestOf(source: BlockSource): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(Math.min(source.size, PIECE_BYTES));
  for (let at = 0; at < source.size; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, source.size - at));
    await source.readInto(at, piece, { sequential: true });
    let end = at;
    for await (const { offset, length, kind } of source.extents(at, piece.length)) {
      assert.strictEqual(offset, end, 'extents follow each other');
      end += length;
      if (kind !== 'data' && piece.subarray(offset - at, end - at).some((byte) => byte !== 0)) return `extents: ${kind} at ${offset}+${length} has data`;
    }
    if (end !== at + piece.length) return `extents of ${at}+${piece.length} end at ${end}`;
    hash.update(piece);
  }
  return hash.digest('hex');
}

/** A digest over the blocks that are not empty, and their places: equal for equal content, whatever the extents are. */
async function sparseDigestOf(source: BlockSource): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(PIECE_BYTES);
  const empty = Buffer.alloc(BLOCK_BYTES);
  let done = 0;
  for await (const { offset, length, kind } of source.extents(0, source.size)) {
    if (kind !== 'data') continue;
    const end = Math.min(source.size, Math.ceil((offset + length) / BLOCK_BYTES) * BLOCK_BYTES);
    for (let at = Math.max(done, Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES); at < end; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, end - at));
      await source.readInto(at, piece);
      for (let from = 0; from < piece.length; from += BLOCK_BYTES) {
        const block = piece.subarray(from, from + BLOCK_BYTES);
        if (!block.equals(empty.subarray(0, block.length))) hash.update(`${at + from}:`).update(block);
      }
    }
    done = Math.max(done, end);
  }
  return `blocks ${hash.digest('hex')}`;
}

async function contentFact(tree: FileTree, id: NodeId, whole: boolean): Promise<string> {
  const source = await tree.open(id);
  try {
    return await (whole || source.size <= WHOLE_BYTES_MAX ? digestOf(source) : sparseDigestOf(source));
  } finally {
    await source.close();
  }
}

function statFacts(stat: NodeStat, options: CompareOptions, facts: EntryFacts): void {
  if (stat.type === 'file') facts.set('size', String(stat.size));
  facts.set('mode', `0o${stat.mode.toString(8)}`);
  facts.set('uid', String(stat.uid));
  facts.set('gid', String(stat.gid));
  for (const name of ['modified', 'accessed', 'changed', 'created'] as const) {
    const time = stat[name];
    if (time !== undefined) facts.set(name, timeText(time, options));
  }
  facts.set(stat.type === 'directory' ? 'directory links' : 'links', String(stat.links));
  if (stat.inode !== undefined) facts.set('inode', String(stat.inode));
  if (stat.type === 'character' || stat.type === 'block') facts.set('rdev', `${stat.deviceMajor}:${stat.deviceMinor}`);
}

async function deeperFacts(tree: FileTree, id: NodeId, type: NodeStat['type'], { options, whole, facts }: { readonly options: CompareOptions; readonly whole: boolean; readonly facts: EntryFacts }): Promise<void> {
  const omit = new Set(options.omit);
  if (type === 'symlink' && !omit.has('target')) facts.set('target', Buffer.from(await tree.readLink(id)).toString('hex'));
  if (type === 'file' && !omit.has('content')) facts.set('content', await contentFact(tree, id, whole));
  if (omit.has('attributes')) return;
  for (const [name, value] of await tree.attributes(id)) {
    if (options.attribute?.(name) !== false) facts.set(`attribute ${name}`, Buffer.from(value).toString('base64'));
  }
}

/** What goes wrong becomes a fact, so that it shows as a difference. */
async function guarded(facts: EntryFacts, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HoldfastError || error instanceof assert.AssertionError)) throw error;
    facts.set('readable', `${error.name}: ${error.message}`);
  }
}

/** One walk over a tree. */
class Survey {
  readonly facts: TreeFacts = new Map();
  readonly #tree: FileTree;
  readonly #options: CompareOptions;
  readonly #whole: boolean;
  readonly #firstNames = new Map<NodeId, string>();
  readonly #content = new Map<NodeId, EntryFacts>();

  constructor(tree: FileTree, options: CompareOptions, whole: boolean) {
    this.#tree = tree;
    this.#options = options;
    this.#whole = whole;
  }

  async entry(id: NodeId, path: Uint8Array, listed: NodeStat | undefined): Promise<void> {
    const key = Buffer.from(path).toString('latin1');
    if (this.#options.ignore?.(shownPath(key)) === true) return;
    const facts: EntryFacts = new Map();
    if (this.facts.has(key)) facts.set('listed', 'twice');
    this.facts.set(key, facts);
    await guarded(facts, async () => {
      const stat = await this.#tree.stat(id);
      facts.set('type', stat.type);
      if (listed !== undefined) assert.deepStrictEqual(listed, stat, 'the stat in a listing is that of `stat`');
      statFacts(stat, this.#options, facts);
      if (stat.type !== 'directory') this.#noteFirstName(id, key);
      await this.#deeper(id, stat, facts);
      if (stat.type === 'directory') await this.#below(id, path);
    });
  }

  /** Read once for all names of an inode. */
  async #deeper(id: NodeId, stat: NodeStat, facts: EntryFacts): Promise<void> {
    let deeper = this.#content.get(id);
    if (deeper === undefined) {
      deeper = new Map();
      if (stat.type !== 'directory' && stat.links > 1) this.#content.set(id, deeper);
      const found = deeper;
      await guarded(found, () => deeperFacts(this.#tree, id, stat.type, { options: this.#options, whole: this.#whole, facts: found }));
    }
    for (const [name, value] of deeper) facts.set(name, value);
  }

  async #below(id: NodeId, path: Uint8Array): Promise<void> {
    const children: { readonly id: NodeId; readonly name: Uint8Array; readonly stat?: NodeStat }[] = [];
    // Names may be views on memory of the tree.
    for await (const page of this.#tree.list(id)) for (const entry of page) children.push({ ...entry, name: Uint8Array.from(entry.name) });
    for (const child of children) {
      await this.entry(child.id, joinPath(path, child.name), child.stat);
      assert.strictEqual(await this.#tree.lookup(id, child.name), child.id, `lookup of '${textOf(child.name)}' gives the id of the listing`);
    }
  }

  #noteFirstName(id: NodeId, key: string): void {
    const first = this.#firstNames.get(id);
    if (first === undefined || key < first) this.#firstNames.set(id, key);
    this.facts.get(key)?.set('first name', String(id));
  }

  /** Replaces ids, which mean nothing to others, by names. */
  settle(): TreeFacts {
    for (const facts of this.facts.values()) {
      const id = facts.get('first name');
      if (id !== undefined) facts.set('first name', shownPath(this.#firstNames.get(Number(id) as NodeId) ?? '?'));
    }
    return this.facts;
  }
}

/**
 * Reads a whole tree: every name, fact, byte and attribute. `whole`: the content of every file is one SHA-256, else files of more than
 * 256 MiB have a digest of the blocks that are not empty. What cannot be read is the fact `readable`.
 */
export async function surveyTree(tree: FileTree, options: CompareOptions, whole: boolean): Promise<TreeFacts> {
  const survey = new Survey(tree, options, whole);
  await survey.entry(tree.rootId, new Uint8Array(0), undefined);
  return survey.settle();
}

/** Every difference as a line of text: path, fact, found, expected. */
export function differencesOf(found: TreeFacts, expected: TreeFacts, options: CompareOptions): readonly string[] {
  const omit = new Set<string>(options.omit);
  const lines: string[] = [];
  for (const [key, facts] of expected) {
    const path = JSON.stringify(shownPath(key));
    const seen = found.get(key);
    if (seen === undefined) {
      lines.push(`${path}: absent`);
      continue;
    }
    for (const name of new Set([...facts.keys(), ...seen.keys()])) {
      const [left, right] = [seen.get(name), facts.get(name)];
      if (omit.has(name) || left === right || (optional.has(name) && (left === undefined || right === undefined))) continue;
      lines.push(`${path}: ${name} is '${cut(left)}', expected '${cut(right)}'`);
    }
  }
  for (const [key, facts] of found) if (!expected.has(key)) lines.push(`${JSON.stringify(shownPath(key))}: present, a ${facts.get('type')}, expected none`);
  return lines;
}

function cut(text: string | undefined): string {
  if (text === undefined) return 'absent';
  return text.length > 200 ? `${text.slice(0, 200)}… of ${text.length}` : text;
}
