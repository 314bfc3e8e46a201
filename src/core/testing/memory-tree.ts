/** A FileTree made of plain objects, for tests: what a tree holds is written down, and it can fail on purpose. */
import { checkRange, type BlockSource, type Extent } from '../block-source.ts';
import { compareBytes } from '../bytes.ts';
import { NotFoundError, ToolError } from '../errors.ts';
import type { DirectoryEntry, FileTree, NodeId, NodeStat, NodeType, TreeSupports } from '../file-tree.ts';

/** One inode; the same object under two names is a hard link. Content must be zero inside `holes`. */
export interface MemoryNode {
  readonly type: NodeType;
  /** Replaces facts that are made up otherwise. */
  stat?: Partial<NodeStat>;
  content?: Uint8Array;
  /** Offset and length of each hole, ascending. */
  holes?: readonly (readonly [number, number])[];
  target?: Uint8Array;
  attributes?: ReadonlyMap<string, Uint8Array>;
  /** By name; a name is a latin-1 text, one letter for each byte. */
  children?: ReadonlyMap<string, MemoryNode>;
  /** Opening fails, listing fails, or reading at or behind this offset does. */
  fault?: 'open' | 'list' | number;
}

/** A file. */
export function fileNode(content: Uint8Array, more: Partial<MemoryNode> = {}): MemoryNode {
  return { type: 'file', content, ...more };
}

/** A directory. */
export function directoryNode(children: Readonly<Record<string, MemoryNode>> | ReadonlyMap<string, MemoryNode>, more: Partial<MemoryNode> = {}): MemoryNode {
  return { type: 'directory', children: children instanceof Map ? children : new Map(Object.entries(children)), ...more };
}

/** Ids follow the order of the first walk. The nodes may be changed between two trees, not under one. */
export class MemoryTree implements FileTree {
  readonly format = 'memory';
  readonly supports: TreeSupports;
  readonly rootId: NodeId;
  readonly #nodes: MemoryNode[] = [];
  readonly #ids = new Map<MemoryNode, NodeId>();
  readonly #links = new Map<MemoryNode, number>();

  constructor(root: MemoryNode, options: { readonly sorted?: boolean } = {}) {
    this.supports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 1, sorted: options.sorted ?? true };
    this.rootId = this.#enter(root);
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const child = this.#node(directory).children?.get(Buffer.from(name).toString('latin1'));
    return child === undefined ? undefined : this.#ids.get(child);
  }

  async stat(id: NodeId): Promise<NodeStat> {
    const node = this.#node(id);
    const time = { seconds: 1_600_000_000 + id, nanoseconds: id };
    return {
      type: node.type, size: node.content?.length ?? node.target?.length ?? 0, mode: node.type === 'directory' ? 0o755 : 0o644, uid: 1000, gid: 100,
      modified: time, changed: time, inode: id + 1, device: 7, links: this.#links.get(node) ?? 1, ...node.stat,
    };
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const node = this.#node(directory);
    if (node.fault === 'list') throw new ToolError('List directory: EIO', { errno: 'EIO' });
    const rows = [...node.children ?? []].map(([name, child]) => ({ name: new Uint8Array(Buffer.from(name, 'latin1')), id: this.#ids.get(child) as NodeId }));
    if (this.supports.sorted) rows.sort((a, b) => compareBytes(a.name, b.name));
    for (let i = 0; i < rows.length; i += 100) yield rows.slice(i, i + 100);
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const node = this.#node(id);
    if (node.type !== 'file' || stream !== undefined) throw new NotFoundError(`Open '${stream ?? node.type}': it is no file`);
    if (node.fault === 'open') throw new ToolError('Open file: EACCES', { errno: 'EACCES' });
    return new NodeSource(node);
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const { target } = this.#node(id);
    if (target === undefined) throw new NotFoundError('Read link: it is none');
    return target;
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#node(id).attributes ?? new Map();
  }

  async close(): Promise<void> {}

  #node(id: NodeId): MemoryNode {
    const node = this.#nodes[id];
    if (node === undefined) throw new NotFoundError(`Find node '${id}'`);
    return node;
  }

  #enter(node: MemoryNode): NodeId {
    this.#links.set(node, (this.#links.get(node) ?? 0) + 1);
    const known = this.#ids.get(node);
    if (known !== undefined) return known;
    const id = this.#nodes.push(node) - 1 as NodeId;
    this.#ids.set(node, id);
    for (const child of node.children?.values() ?? []) this.#enter(child);
    return id;
  }
}

class NodeSource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly #node: MemoryNode;

  constructor(node: MemoryNode) {
    this.#node = node;
    this.size = node.content?.length ?? 0;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    checkRange(this, offset, target.length, 'memory file');
    const { fault } = this.#node;
    if (typeof fault === 'number' && offset + target.length > fault) throw new ToolError(`Read file at ${fault}: EIO`, { errno: 'EIO' });
    target.set((this.#node.content as Uint8Array).subarray(offset, offset + target.length));
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'memory file extents');
    const end = offset + length;
    let at = offset;
    for (const [start, size] of this.#node.holes ?? []) {
      const from = Math.max(at, start);
      const to = Math.min(end, start + size);
      if (from >= to) continue;
      if (from > at) yield { offset: at, length: from - at, kind: 'data' };
      yield { offset: from, length: to - from, kind: 'hole' };
      at = to;
    }
    if (at < end) yield { offset: at, length: end - at, kind: 'data' };
  }

  async close(): Promise<void> {}
}
