/**
 * Several trees as one, each mounted at a path: the sources of one backup, the jobs of a volume set, the snapshots of a
 * repository. Directories that more than one tree has are merged; any other name that two trees claim is refused.
 *
 * Ids: `local * (members + 1) + member`, so hard links inside a member stay equal; 0 is the number of the union's own
 * directories. Ids too large for that are numbered from 2^52 on, in a table.
 */
import { NotFoundError, UsageError, compareBytes, splitPath, textOf } from '../../core/index.ts';
import type { BlockSource, DirectoryEntry, FileTree, NodeId, NodeStat, TreeSupports } from '../../core/index.ts';

/** What a member brings once it is open. */
export interface OpenMember {
  readonly tree: FileTree;
  /** The node that appears at the mount path. */
  readonly id: NodeId;
  /** Nodes that lend their metadata to the directories above, from the root down; may be shorter than the path. */
  readonly ancestors?: readonly NodeId[];
  /** Called when the union closes; without it the tree stays the caller's. */
  close?(): Promise<void>;
}

/** One mounted tree. */
export interface UnionMember {
  /** `/`-separated; empty for the root. */
  readonly at: Uint8Array;
  /** Metadata known without opening; then `open` waits until somebody looks inside. */
  readonly stat?: NodeStat;
  /** What errors call it. */
  readonly source?: string;
  /** Called at most once. */
  open(): Promise<OpenMember>;
}

interface Part {
  readonly member: number;
  readonly id: NodeId;
}

/** A directory of the union itself. */
class Directory {
  readonly id: NodeId;
  readonly path: string;
  /** The member for which it was made. */
  readonly maker: number;
  stat: NodeStat | undefined;
  /** Whose metadata this directory shows. */
  owner: Part | undefined;
  /** Members whose directory is (also) here. */
  readonly parts: Part[] = [];
  /** Members mounted here that are not open yet. */
  readonly waiting: number[] = [];
  /** By the Latin-1 image of the name: an own directory, or a single file that is mounted here. */
  readonly children: Map<string, Directory | Part> = new Map<string, Directory | Part>();

  constructor(id: NodeId, path: string, maker: number) {
    this.id = id;
    this.path = path;
    this.maker = maker;
  }
}

const pageEntries = 1_000;
/** Computed ids end and table ids begin here. */
const tableBase = 2 ** 52;
const supportsUnknown: TreeSupports = {
  hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 1, sorted: false,
};
const emptyStat: NodeStat = { type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, modified: { seconds: 0, nanoseconds: 0 }, links: 1, placeholder: true };

function keyOf(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
}

/** Build with {@link unionTree}. */
class UnionTree implements FileTree {
  readonly format = 'union';
  readonly rootId: NodeId = 0 as NodeId;
  supports: TreeSupports = supportsUnknown;
  readonly #members: readonly UnionMember[];
  readonly #open: (Promise<OpenMember> | undefined)[] = [];
  readonly #directories: Directory[] = [];
  readonly #stride: number;
  readonly #table: Part[] = [];
  readonly #tableIds: readonly Map<NodeId, NodeId>[];

  constructor(members: readonly UnionMember[]) {
    this.#members = members;
    this.#stride = members.length + 1;
    this.#tableIds = members.map(() => new Map<NodeId, NodeId>());
    this.#newDirectory('', 0);
  }

  /** Mounts every member; those without a known stat are opened now. If that is all of them, no two may claim a name. */
  async mount(): Promise<void> {
    for (const [index, member] of this.#members.entries()) {
      const names = splitPath(member.at);
      const opened = member.stat === undefined ? await this.#member(index) : undefined;
      const leaf = opened !== undefined && (await opened.tree.stat(opened.id)).type !== 'directory';
      const chain = this.#chain(leaf ? names.slice(0, -1) : names, index);
      for (const [depth, id] of (opened?.ancestors ?? []).entries()) {
        const directory = chain[depth];
        if (directory !== undefined) directory.owner ??= { member: index, id };
      }
      const last = chain.at(-1) as Directory;
      if (opened === undefined) {
        last.stat ??= member.stat;
        last.waiting.push(index);
      } else if (leaf) {
        const name = names.at(-1);
        const there = name === undefined ? last : last.children.get(keyOf(name));
        if (name === undefined || there !== undefined) throw this.#clash(last.path, name, index, there);
        last.children.set(keyOf(name), { member: index, id: opened.id });
      } else this.#addPart(last, { member: index, id: opened.id });
    }
    if (!this.#members.every((member) => member.stat === undefined)) return;
    this.supports = await this.#mergedSupports();
    await this.#compare(this.#directories[0] as Directory);
  }

  /** Looks into all directories that more than one member has. @throws {UsageError} for a name that is no directory in each of them. */
  async #compare(directory: Directory): Promise<void> {
    try {
      for await (const page of this.list(directory.id)) if (page.length === 0) break;
    } catch (error) {
      if (error instanceof UsageError) throw error;
      return; // what can't be listed is found again by whoever reads the tree, and told there
    }
    for (const child of directory.children.values()) if (child instanceof Directory) await this.#compare(child);
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const own = this.#own(directory);
    if (own === undefined) {
      const { tree, part } = await this.#inner(directory);
      const id = await tree.lookup(part.id, name);
      return id === undefined ? undefined : this.#wrap({ member: part.member, id });
    }
    const child = own.children.get(keyOf(name));
    const parts: Part[] = [];
    for (const part of await this.#parts(own)) {
      const id = await (await this.#member(part.member)).tree.lookup(part.id, name);
      if (id !== undefined) parts.push({ member: part.member, id });
    }
    return this.#resolve(own, name, child, parts);
  }

  async stat(id: NodeId): Promise<NodeStat> {
    const own = this.#own(id);
    if (own === undefined) {
      const { tree, part } = await this.#inner(id);
      return tree.stat(part.id);
    }
    if (own.stat !== undefined) return own.stat;
    return own.owner === undefined ? emptyStat : (await this.#member(own.owner.member)).tree.stat(own.owner.id);
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const own = this.#own(directory);
    if (own === undefined) {
      const { tree, part } = await this.#inner(directory);
      for await (const page of tree.list(part.id)) yield page.map((entry) => ({ ...entry, id: this.#wrap({ member: part.member, id: entry.id }) }));
      return;
    }
    const names = new Map<string, { name: Uint8Array; parts: Part[] }>();
    for (const key of own.children.keys()) names.set(key, { name: new Uint8Array(Buffer.from(key, 'latin1')), parts: [] });
    for (const part of await this.#parts(own)) {
      for await (const page of (await this.#member(part.member)).tree.list(part.id)) {
        for (const entry of page) {
          const key = keyOf(entry.name);
          const row = names.get(key) ?? { name: entry.name, parts: [] };
          row.parts.push({ member: part.member, id: entry.id });
          names.set(key, row);
        }
      }
    }
    const rows = [...names].sort((a, b) => compareBytes(a[1].name, b[1].name));
    for (let at = 0; at < rows.length; at += pageEntries) {
      const page: DirectoryEntry[] = [];
      for (const [key, row] of rows.slice(at, at + pageEntries)) {
        const id = await this.#resolve(own, row.name, own.children.get(key), row.parts);
        if (id !== undefined) page.push({ name: row.name, id });
      }
      yield page;
    }
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const { tree, part } = await this.#inner(id);
    return stream === undefined ? tree.open(part.id) : tree.open(part.id, stream);
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const { tree, part } = await this.#inner(id);
    return tree.readLink(part.id);
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const own = this.#own(id);
    const part = own === undefined ? this.#unwrap(id) : own.owner;
    return part === undefined ? new Map() : (await this.#member(part.member)).tree.attributes(part.id);
  }

  async close(): Promise<void> {
    for (const member of this.#open) {
      // A member that failed to open has told its caller already and holds nothing.
      const opened = await member?.catch(() => undefined);
      await opened?.close?.();
    }
  }

  #newDirectory(path: string, maker: number): Directory {
    const directory = new Directory((this.#directories.length * this.#stride) as NodeId, path, maker);
    this.#directories.push(directory);
    return directory;
  }

  /** The own directories along a path, made where absent; the first is the root. */
  #chain(names: readonly Uint8Array[], maker: number): Directory[] {
    const chain = [this.#directories[0] as Directory];
    for (const name of names) {
      const parent = chain.at(-1) as Directory;
      const found = parent.children.get(keyOf(name));
      if (found !== undefined && !(found instanceof Directory)) throw this.#clash(parent.path, name, maker, found);
      const child = found ?? this.#newDirectory(`${parent.path}/${textOf(name)}`, maker);
      parent.children.set(keyOf(name), child);
      chain.push(child);
    }
    return chain;
  }

  #addPart(directory: Directory, part: Part): void {
    directory.parts.push(part);
    directory.owner ??= part;
  }

  /** Opens what waits in a directory, then tells who is in it. */
  async #parts(directory: Directory): Promise<readonly Part[]> {
    while (directory.waiting.length > 0) {
      const member = directory.waiting[0] as number;
      const { id } = await this.#member(member);
      if (directory.waiting[0] === member) {
        directory.waiting.shift();
        this.#addPart(directory, { member, id });
      }
    }
    return directory.parts;
  }

  /** One name of an own directory: alone it passes through, several directories become one, anything else is a clash. */
  async #resolve(parent: Directory, name: Uint8Array, child: Directory | Part | undefined, parts: readonly Part[]): Promise<NodeId | undefined> {
    const [first] = parts;
    if (child === undefined && first === undefined) return undefined;
    if (child === undefined && first !== undefined && parts.length === 1) return this.#wrap(first);
    if (child !== undefined && !(child instanceof Directory)) {
      if (first !== undefined) throw this.#clash(parent.path, name, first.member, child);
      return this.#wrap(child);
    }
    for (const part of parts) {
      if ((await (await this.#member(part.member)).tree.stat(part.id)).type !== 'directory') throw this.#clash(parent.path, name, part.member, child ?? parts.find((one) => one !== part));
    }
    const merged = child ?? this.#newDirectory(`${parent.path}/${textOf(name)}`, first?.member ?? 0);
    parent.children.set(keyOf(name), merged);
    for (const part of parts) {
      if (!merged.parts.some((known) => known.member === part.member && known.id === part.id)) this.#addPart(merged, part);
    }
    return merged.id;
  }

  #clash(directory: string, name: Uint8Array | undefined, one: number, there: Directory | Part | undefined): UsageError {
    const other = there instanceof Directory ? there.maker : there?.member ?? one;
    const [first, second] = [Math.min(one, other), Math.max(one, other)].map((index) => this.#members[index]?.source ?? `source ${index + 1}`);
    const path = `${directory}/${name === undefined ? '' : textOf(name)}`;
    return new UsageError(`Join '${first}' and '${second}': both hold '${path}'; store them one by one`, { path, first, second });
  }

  #member(index: number): Promise<OpenMember> {
    return (this.#open[index] ??= (this.#members[index] as UnionMember).open());
  }

  #own(id: NodeId): Directory | undefined {
    return id < tableBase && id % this.#stride === 0 ? this.#directories[id / this.#stride] : undefined;
  }

  #wrap(part: Part): NodeId {
    const id = part.id * this.#stride + part.member + 1;
    if (id < tableBase) return id as NodeId;
    const ids = this.#tableIds[part.member] as Map<NodeId, NodeId>;
    const known = ids.get(part.id);
    if (known !== undefined) return known;
    const made = (tableBase + this.#table.length) as NodeId;
    this.#table.push(part);
    ids.set(part.id, made);
    return made;
  }

  #unwrap(id: NodeId): Part {
    const part = id < tableBase ? { member: (id % this.#stride) - 1, id: Math.floor(id / this.#stride) as NodeId } : this.#table[id - tableBase];
    if (part === undefined || part.member < 0) throw new NotFoundError(`Open node '${id}': a directory of the union has no content`);
    return part;
  }

  async #inner(id: NodeId): Promise<{ readonly tree: FileTree; readonly part: Part }> {
    const part = this.#unwrap(id);
    return { tree: (await this.#member(part.member)).tree, part };
  }

  async #mergedSupports(): Promise<TreeSupports> {
    const all = await Promise.all(this.#members.map(async (_, index) => (await this.#member(index)).tree.supports));
    return {
      hardLinks: all.some((one) => one.hardLinks),
      symlinks: all.some((one) => one.symlinks),
      devices: all.some((one) => one.devices),
      attributes: all.some((one) => one.attributes),
      timestampNanoseconds: Math.max(1, ...all.map((one) => one.timestampNanoseconds)),
      sorted: all.every((one) => one.sorted),
    };
  }
}

/**
 * Mounts trees into one. Closing the union calls `close` of the members that were opened.
 * @throws {UsageError} when two members claim the same name for anything but directories: now, or of members that are opened later when they are looked into.
 */
export async function unionTree(members: readonly UnionMember[]): Promise<FileTree> {
  const tree = new UnionTree(members);
  try {
    await tree.mount();
  } catch (error) {
    await tree.close();
    throw error;
  }
  return tree;
}
