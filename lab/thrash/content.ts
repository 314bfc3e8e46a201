/** What a seed's tree holds: files from a small pool, so that processes share chunks and collectors always have something to do. */
import { createHash } from 'node:crypto';
import { readRange, textOf, type FileTree, type NodeId } from '../../src/core/index.ts';
import { directoryNode, fileNode, type MemoryNode } from '../../src/core/testing/memory-tree.ts';
import { seededBytes, seededRandom } from '../../src/core/testing/random.ts';

const POOL = 24;

/** The tree of a seed; always the same. What only this seed holds has a time of its own: two files of one size and one time at the same place are one file to a backup. */
export function treeOf(seed: number): MemoryNode {
  const next = seededRandom(seed);
  const time = { seconds: 1_500_000_000 + Math.floor(seed / 1e9), nanoseconds: seed % 1e9 };
  const children = new Map<string, MemoryNode>([['own', fileNode(seededBytes(5_000 + Math.floor(next() * 60_000), seed), { stat: { modified: time, changed: time } })]]);
  for (let i = 1 + Math.floor(next() * 6); i > 0; i -= 1) {
    const number = Math.floor(next() * POOL);
    children.set(`pool ${number}`, fileNode(seededBytes(20_000 + number * 17_000, 1_000_000 + number)));
  }
  return directoryNode(children);
}

/** MD5 over names and contents of the files at a tree's top. */
export async function md5Of(tree: FileTree): Promise<string> {
  const hash = createHash('md5');
  const rows: { readonly name: string; readonly id: NodeId }[] = [];
  for await (const page of tree.list(tree.rootId)) for (const { name, id } of page) rows.push({ name: textOf(name), id });
  for (const { name, id } of rows.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const source = await tree.open(id);
    try {
      hash.update(`${name}\0${source.size}\0`).update(await readRange(source, 0, source.size));
    } finally {
      await source.close();
    }
  }
  return hash.digest('hex');
}
