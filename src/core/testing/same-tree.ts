/** Whether two trees hold the same: names, facts, content, links, attributes. */
import assert from 'node:assert';
import { readRange } from '../block-source.ts';
import { equalBytes, joinPath, textOf } from '../bytes.ts';
import type { FileTree, NodeId, NodeStat } from '../file-tree.ts';

interface Row {
  readonly path: Uint8Array;
  readonly id: NodeId;
}

async function walk(tree: FileTree): Promise<readonly Row[]> {
  const rows: Row[] = [{ path: new Uint8Array(0), id: tree.rootId }];
  for (let next = 0; next < rows.length; next += 1) {
    const { id, path } = rows[next] as Row;
    if ((await tree.stat(id)).type !== 'directory') continue;
    for await (const page of tree.list(id)) for (const entry of page) rows.push({ path: joinPath(path, entry.name), id: entry.id });
  }
  return rows.sort((a, b) => Buffer.compare(a.path, b.path));
}

/** Link counts of directories are a matter of the filesystem. */
function factsOf(stat: NodeStat): object {
  return { ...stat, links: stat.type === 'directory' ? 1 : stat.links };
}

async function contentOf(tree: FileTree, id: NodeId): Promise<Uint8Array> {
  const source = await tree.open(id);
  try {
    return await readRange(source, 0, source.size);
  } finally {
    await source.close();
  }
}

/** For each path the first path with the same id. */
function firstNames(rows: readonly Row[]): readonly string[] {
  const first = new Map<NodeId, string>();
  return rows.map(({ id, path }) => {
    const name = Buffer.from(path).toString('latin1');
    if (!first.has(id)) first.set(id, name);
    return first.get(id) as string;
  });
}

/** Compares every byte and every fact of `found` with `expected`. @throws {AssertionError} naming the path. */
export async function assertSameTree(found: FileTree, expected: FileTree): Promise<void> {
  const [left, right] = [await walk(found), await walk(expected)];
  assert.deepStrictEqual(left.map(({ path }) => textOf(path)), right.map(({ path }) => textOf(path)), 'names');
  assert.deepStrictEqual(firstNames(left), firstNames(right), 'hard links');
  for (const [i, { path, id }] of left.entries()) {
    const other = (right[i] as Row).id;
    const stat = await expected.stat(other);
    const name = textOf(path);
    assert.deepStrictEqual(factsOf(await found.stat(id)), factsOf(stat), `facts of '${name}'`);
    if (stat.type === 'file') assert.ok(equalBytes(await contentOf(found, id), await contentOf(expected, other)), `content of '${name}'`);
    if (stat.type === 'symlink') assert.ok(equalBytes(await found.readLink(id), await expected.readLink(other)), `target of '${name}'`);
    const plain = async (tree: FileTree, node: NodeId): Promise<object> => [...await tree.attributes(node)].map(([key, value]) => [key, Buffer.from(value).toString('hex')]);
    assert.deepStrictEqual(await plain(found, id), await plain(expected, other), `attributes of '${name}'`);
  }
}
