/** Small files of a guest by path. Links are followed inside the guest's own tree, as its kernel would; nothing leads out of it. */
import { equalBytes, LimitError, NotFoundError, readRange, splitPath, textOf, utf8, type FileTree, type NodeId } from '../../core/index.ts';

/** Links on one path, as many as Linux follows. */
const LINKS_MAX = 40;

/** Bytes of a file that is read whole. */
const FILE_BYTES_MAX = 64 << 10;

/** How names are compared. */
export interface NameRule {
  /** For Windows, where `System32` and `system32` are one. */
  readonly ignoreCase?: boolean;
}

async function childOf(tree: FileTree, directory: NodeId, name: Uint8Array, { ignoreCase = false }: NameRule): Promise<NodeId | undefined> {
  if ((await tree.stat(directory)).type !== 'directory') return undefined;
  const exact = await tree.lookup(directory, name);
  if (exact !== undefined || !ignoreCase) return exact;
  const wanted = textOf(name).toLowerCase();
  for await (const page of tree.list(directory)) {
    for (const entry of page) if (textOf(entry.name).toLowerCase() === wanted) return entry.id;
  }
  return undefined;
}

/** The node at a path from the root; undefined when a part is absent. @throws {LimitError} links lead to links without end. */
export async function findInGuest(tree: FileTree, path: string, rule: NameRule = {}): Promise<NodeId | undefined> {
  let way: NodeId[] = [tree.rootId];
  let ahead = splitPath(utf8(path));
  for (let links = 0; ;) {
    const [part, ...rest] = ahead;
    const here = way.at(-1) ?? tree.rootId;
    if (part === undefined) return here;
    ahead = rest;
    if (equalBytes(part, utf8('.'))) continue;
    if (equalBytes(part, utf8('..'))) {
      if (way.length > 1) way.pop();
      continue;
    }
    const child = await childOf(tree, here, part, rule);
    if (child === undefined) return undefined;
    if ((await tree.stat(child)).type !== 'symlink') {
      way.push(child);
      continue;
    }
    links += 1;
    if (links > LINKS_MAX) throw new LimitError('symbolic links', links, LINKS_MAX, `'${path}' of a guest`);
    const target = await tree.readLink(child);
    if (target[0] === 0x2f) way = [tree.rootId];
    ahead = [...splitPath(target), ...ahead];
  }
}

/** A file as text; undefined when there is none at the path. @throws {LimitError} it is larger than 64 KiB. @throws what the tree throws. */
export async function textInGuest(tree: FileTree, path: string): Promise<string | undefined> {
  const id = await findInGuest(tree, path);
  if (id === undefined) return undefined;
  const { type, size } = await tree.stat(id);
  if (type !== 'file') throw new NotFoundError(`Read '${path}' of a guest: it is a ${type}, expected a file`, { path });
  if (size > FILE_BYTES_MAX) throw new LimitError('bytes of a file', size, FILE_BYTES_MAX, `'${path}' of a guest`);
  const source = await tree.open(id);
  try {
    return textOf(await readRange(source, 0, source.size));
  } finally {
    await source.close();
  }
}
