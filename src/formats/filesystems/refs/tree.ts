/** Walks ReFS's trees: leaves in order, each page once. */
import { checkLimit, FormatError, type Limits } from '../../../core/index.ts';
import { RefsNode } from './node.ts';
import type { PageReader } from './page-reader.ts';
import { readReference, type PageReference } from './reference.ts';

/** A leaf, and the first physical cluster of its page; 0 for a node within a value. */
export interface Leaf {
  readonly node: RefsNode;
  readonly place: number;
}

/** What a walk needs. */
export interface TreeWalk {
  readonly pages: PageReader;
  readonly limits: Limits;
  /** Clusters are not virtual: the table of containers itself. */
  readonly physical?: boolean;
}

const BYTES_PER_VISIT = 64;

/**
 * Leaves below a node that is within a value or a page that was read, in order.
 * @throws {FormatError} when a page is met twice or levels do not go down. @throws {LimitError} when there are too many.
 */
export async function* leavesBelow(root: Leaf, walk: TreeWalk, visited: Set<number> = new Set()): AsyncIterable<Leaf> {
  checkLimit(walk.limits, 'filesystemDepthMax', root.node.level, 'level of a ReFS tree');
  if (root.node.level === 0) {
    yield root;
    return;
  }
  for (let i = 0; i < root.node.count; i += 1) {
    const reference = readReference(root.node.row(i).value, 0, `ReFS tree, level ${root.node.level}, row ${i}`);
    const leaf = await readLeaf(reference, walk, visited);
    if (leaf.node.level !== root.node.level - 1) throw new FormatError('Walk ReFS tree', { structure: reference.where, field: 'Level', found: leaf.node.level, expected: root.node.level - 1 });
    yield* leavesBelow(leaf, walk, visited);
  }
}

async function readLeaf(reference: PageReference, { pages, limits, physical = false }: TreeWalk, visited: Set<number>): Promise<Leaf> {
  const place = pages.placeOf(reference, physical);
  if (visited.has(place)) throw new FormatError('Walk ReFS tree', { structure: reference.where, field: 'cluster', found: place, expected: 'a page that the tree does not have yet' });
  visited.add(place);
  checkLimit(limits, 'filesystemListBytesMax', visited.size * BYTES_PER_VISIT, 'pages of a ReFS tree');
  return { node: RefsNode.ofPage(await pages.read(reference, physical), reference.where), place };
}

/** All leaves of a tree in order. */
export async function* leavesOf(reference: PageReference, walk: TreeWalk): AsyncIterable<Leaf> {
  const visited = new Set<number>();
  yield* leavesBelow(await readLeaf(reference, walk, visited), walk, visited);
}
