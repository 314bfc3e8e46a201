/** Finding an entry of a tree by its path. */
import { splitPath } from './bytes.ts';
import type { FileTree, NodeId } from './file-tree.ts';

/** Resolves a path from the root without following symlinks; undefined when a part is absent. */
export async function lookupPath(tree: FileTree, path: Uint8Array): Promise<NodeId | undefined> {
  let id: NodeId | undefined = tree.rootId;
  for (const part of splitPath(path)) {
    if (id === undefined || (await tree.stat(id)).type !== 'directory') return undefined;
    id = await tree.lookup(id, part);
  }
  return id;
}
