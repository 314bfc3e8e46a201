/**
 * What every FileTree must do. An integrator calls the suite in a test file:
 * `fileTreeSuite('MyTree', async () => ({ tree: new MyTree(…), expected: [{ path, type: 'file', content }], cleanup }))`.
 * The tree should have some of everything that it supports, and directories with more entries than a page.
 */
import assert from 'node:assert';
import { after, before, describe, it } from 'node:test';
import { readRange } from '../block-source.ts';
import { compareBytes, equalBytes, joinPath, textOf, utf8 } from '../bytes.ts';
import { HoldfastError } from '../errors.ts';
import type { DirectoryEntry, FileTree, NodeId, NodeStat } from '../file-tree.ts';
import { lookupPath } from '../tree-walk.ts';

/** What the maker of the tree knows about one path; only what is given is compared. */
export interface ExpectedNode {
  /** From the root, without a leading slash. */
  readonly path: Uint8Array;
  readonly stat?: Partial<NodeStat>;
  readonly content?: Uint8Array;
  readonly target?: Uint8Array;
  readonly attributes?: ReadonlyMap<string, Uint8Array>;
  /** Another name of the same file: compared where the tree supports hard links. */
  readonly sameAs?: Uint8Array;
}

/** One tree under test. `expected` need not name everything. */
export interface FileTreeCase {
  readonly tree: FileTree;
  readonly expected: readonly ExpectedNode[];
  /** Called after `tree.close()`. */
  cleanup(): Promise<void>;
}

interface Found {
  readonly path: Uint8Array;
  readonly parent: NodeId;
  readonly entry: DirectoryEntry;
  readonly stat: NodeStat;
}

const PAGE_ENTRIES_MAX = 8192;

/** Registers the suite with `node:test`; `make` is called once. The whole tree is walked: keep it at a few 10,000 entries. */
export function fileTreeSuite(name: string, make: () => Promise<FileTreeCase>): void {
  describe(`FileTree: ${name}`, () => {
    let made: FileTreeCase;
    let tree: FileTree;
    let all: readonly Found[];
    before(async () => {
      made = await make();
      tree = made.tree;
      all = await walk(tree);
    });
    after(async () => {
      await tree.close();
      await made.cleanup();
    });

    it('has a directory as its root', async () => {
      assert.strictEqual((await tree.stat(tree.rootId)).type, 'directory');
    });

    it('lists legal names once, sorted where it says so, in bounded pages', () => checkNames(tree, all));

    it('gives the same ids again', async () => {
      const again = await walk(tree);
      assert.deepStrictEqual(again.map(({ entry }) => entry.id), all.map(({ entry }) => entry.id));
    });

    it('finds each name that it lists, and tells the same about it', async () => {
      for (const { path, parent, entry, stat } of all) {
        assert.strictEqual(await tree.lookup(parent, entry.name), entry.id, `lookup '${textOf(path)}'`);
        if (entry.stat !== undefined) assert.deepStrictEqual(entry.stat, stat, `stat in the listing of '${textOf(path)}'`);
      }
    });

    it('tells the same names and types in the same pages to those who want nothing else', () => checkTypes(tree, all));

    it('does not find what is not there', async () => {
      const strange = ['', '.', '..', '/', 'a/b', 'no such name 5f1d', 'x'.repeat(300), 'nul\0'];
      for (const absent of strange) assert.strictEqual(await tree.lookup(tree.rootId, utf8(absent)), undefined, `lookup '${absent}'`);
    });

    it('has sane metadata', () => {
      for (const { path, stat } of all) checkStat(textOf(path), stat);
    });

    it('opens each file with the size of its stat and reads it to the end', async () => {
      for (const { path, entry, stat } of all) {
        if (stat.type !== 'file') continue;
        const source = await tree.open(entry.id);
        assert.strictEqual(source.size, stat.size, `size of '${textOf(path)}'`);
        await readRange(source, Math.max(0, source.size - 4096), Math.min(4096, source.size));
        await source.close();
      }
    });

    it('refuses to open what is no file, and unknown streams', async () => {
      await assert.rejects(opened(tree, tree.rootId), HoldfastError);
      const file = all.find(({ stat }) => stat.type === 'file');
      if (file !== undefined) await assert.rejects(opened(tree, file.entry.id, 'no such stream 5f1d'), HoldfastError);
    });

    it('gives files with several names one id', () => checkLinks(tree, all));

    it('reads attributes of every entry', () => checkAttributeNames(tree, all));

    it('holds what its maker put in', async () => {
      for (const node of made.expected) await checkExpected(tree, node);
    });
  });
}

async function opened(tree: FileTree, id: NodeId, stream?: string): Promise<void> {
  await (await tree.open(id, stream)).close();
}

async function walk(tree: FileTree): Promise<readonly Found[]> {
  const found: Found[] = [];
  const queue: { readonly id: NodeId; readonly path: Uint8Array }[] = [{ id: tree.rootId, path: new Uint8Array(0) }];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for await (const page of tree.list(next.id)) {
      assert.ok(page.length <= PAGE_ENTRIES_MAX, 'a page is bounded');
      for (const entry of page) {
        const path = joinPath(next.path, entry.name);
        const stat = await tree.stat(entry.id);
        found.push({ path, parent: next.id, entry, stat });
        if (stat.type === 'directory') queue.push({ id: entry.id, path });
      }
    }
  }
  return found;
}

function checkNames(tree: FileTree, all: readonly Found[]): void {
  const last = new Map<NodeId, Uint8Array>();
  const seen = new Set<string>();
  for (const { path, parent, entry } of all) {
    const { name } = entry;
    assert.ok(name.length > 0 && !name.includes(0) && !name.includes(0x2f), `name '${textOf(path)}'`);
    assert.ok(!['.', '..'].includes(textOf(name)), `name '${textOf(path)}'`);
    const key = `${parent}/${Buffer.from(name).toString('latin1')}`;
    assert.ok(!seen.has(key), `'${textOf(path)}' is listed once`);
    seen.add(key);
    const previous = last.get(parent);
    if (tree.supports.sorted && previous !== undefined) assert.ok(compareBytes(previous, name) < 0, `'${textOf(name)}' comes after '${textOf(previous)}'`);
    last.set(parent, name);
  }
}

async function pagesOf(pages: AsyncIterable<readonly DirectoryEntry[]>): Promise<readonly (readonly DirectoryEntry[])[]> {
  const found: (readonly DirectoryEntry[])[] = [];
  for await (const page of pages) found.push(page);
  return found;
}

async function checkTypes(tree: FileTree, all: readonly Found[]): Promise<void> {
  if (tree.names === undefined) return;
  const types = new Map(all.map(({ entry, stat }) => [entry.id, stat.type]));
  for (const id of [tree.rootId, ...all.filter(({ stat }) => stat.type === 'directory').map(({ entry }) => entry.id)]) {
    const listed = await pagesOf(tree.list(id));
    const named = await pagesOf(tree.names(id));
    assert.deepStrictEqual(named.map((page) => page.map(({ name, id: node }) => ({ name, id: node }))), listed.map((page) => page.map(({ name, id: node }) => ({ name, id: node }))));
    for (const { name, id: node, type } of named.flat()) if (type !== undefined) assert.strictEqual(type, types.get(node), `type of '${textOf(name)}'`);
  }
}

function checkStat(path: string, stat: NodeStat): void {
  assert.ok(Number.isSafeInteger(stat.size) && stat.size >= 0, `size of '${path}'`);
  assert.ok((stat.mode & ~0o7777) === 0, `mode of '${path}'`);
  assert.ok(stat.links >= 1, `links of '${path}'`);
  for (const time of [stat.modified, stat.accessed, stat.changed, stat.created]) {
    if (time === undefined) continue;
    assert.ok(Number.isSafeInteger(time.seconds) && Number.isInteger(time.nanoseconds), `times of '${path}'`);
    assert.ok(time.nanoseconds >= 0 && time.nanoseconds < 1_000_000_000, `times of '${path}'`);
  }
  if (stat.type === 'character' || stat.type === 'block') assert.ok(stat.deviceMajor !== undefined && stat.deviceMinor !== undefined, `device of '${path}'`);
}

/** Ids repeat only for files with several names, and never for directories. */
function checkLinks(tree: FileTree, all: readonly Found[]): void {
  const first = new Map<NodeId, Found>();
  for (const found of all) {
    const other = first.get(found.entry.id);
    if (other === undefined) {
      first.set(found.entry.id, found);
      continue;
    }
    assert.ok(tree.supports.hardLinks, 'ids repeat only where hard links are supported');
    assert.notStrictEqual(found.stat.type, 'directory', `'${textOf(found.path)}' and '${textOf(other.path)}' are one directory`);
    assert.ok(found.stat.links > 1, `links of '${textOf(found.path)}'`);
  }
}

async function checkAttributeNames(tree: FileTree, all: readonly Found[]): Promise<void> {
  for (const { path, entry } of all) {
    for (const attribute of (await tree.attributes(entry.id)).keys()) assert.match(attribute, /^[^\0]+$/, `attributes of '${textOf(path)}'`);
  }
}

async function checkExpected(tree: FileTree, node: ExpectedNode): Promise<void> {
  const text = textOf(node.path);
  const id = await lookupPath(tree, node.path);
  assert.ok(id !== undefined, `'${text}' exists`);
  const stat = await tree.stat(id);
  for (const [field, value] of Object.entries(node.stat ?? {})) assert.deepStrictEqual(stat[field as keyof NodeStat], value, `${field} of '${text}'`);
  if (node.content !== undefined) {
    const source = await tree.open(id);
    assert.ok(equalBytes(await readRange(source, 0, source.size), node.content), `content of '${text}'`);
    await source.close();
  }
  if (node.target !== undefined && tree.supports.symlinks) assert.deepStrictEqual(Buffer.from(await tree.readLink(id)), Buffer.from(node.target), `target of '${text}'`);
  if (node.attributes !== undefined && tree.supports.attributes) await checkAttributes(tree, id, node);
  if (node.sameAs !== undefined && tree.supports.hardLinks) {
    assert.strictEqual(await lookupPath(tree, node.sameAs), id, `'${text}' and '${textOf(node.sameAs)}' are one file`);
  }
}

async function checkAttributes(tree: FileTree, id: NodeId, node: ExpectedNode): Promise<void> {
  const found = await tree.attributes(id);
  for (const [attribute, value] of node.attributes ?? []) {
    const bytes = found.get(attribute);
    assert.ok(bytes !== undefined && equalBytes(bytes, value), `attribute '${attribute}' of '${textOf(node.path)}'`);
  }
}
