/** Searching and walking one B-tree. Time is bounded: levels fall by one from block to block, and keys only rise along a walk. */
import { FormatError, IntegrityError } from '../../../core/index.ts';
import { compareKeys, type Item, type Key, keyText, type TreeNode } from './node.ts';
import type { NodePlace, NodeStore } from './node-store.ts';

/** Items of one object and type, from offset `first` to `last`, both included; an offset of −1 is the highest. */
export interface ItemRange {
  readonly objectid: number;
  readonly type: number;
  readonly first: number;
  readonly last: number;
  /** Begins with the last item at or before `first`, if there is one. */
  readonly floor?: boolean;
  /** Goes on behind blocks that are damaged, and throws what was wrong with the first of them at the end. */
  readonly salvage?: boolean;
}

/** Items in the order of their keys. */
export interface ItemTree {
  /** The item with exactly this key; without a promise when its blocks are in memory. */
  find(key: Key): Item | undefined | Promise<Item | undefined>;
  /** The last item at or before `key` that has its object and type. */
  floor(key: Key): Promise<Item | undefined>;
  /** Not empty pages, of at most one leaf each. */
  pages(range: ItemRange): AsyncIterable<readonly Item[]>;
}

/** Where a tree begins. */
export interface TreeRoot extends NodePlace {
  /** The tree's id, which its blocks name as their owner. */
  readonly tree: number;
}

interface Step {
  readonly node: TreeNode;
  slot: number;
}

/** Where a walk is: the blocks from the root down, each with the slot that is taken. */
interface Walk {
  readonly path: Step[];
  readonly salvage: boolean;
  lost?: FormatError | IntegrityError;
}

function sameKind(item: Key, key: Key): boolean {
  return item.objectid === key.objectid && item.type === key.type;
}

/** A tree on disk. */
export class DiskTree implements ItemTree {
  readonly #store: NodeStore;
  readonly #root: TreeRoot;

  constructor(store: NodeStore, root: TreeRoot) {
    this.#store = store;
    this.#root = root;
  }

  find(key: Key): Item | undefined | Promise<Item | undefined> {
    const leaf = this.#leafFor(key);
    return leaf instanceof Promise ? leaf.then((node) => exact(node, key)) : exact(leaf, key);
  }

  async floor(key: Key): Promise<Item | undefined> {
    const leaf = await this.#leafFor(key);
    const slot = leaf === undefined ? -1 : leaf.slotAtOrBefore(key);
    const item = slot < 0 ? undefined : leaf?.item(slot);
    return item !== undefined && sameKind(item, key) ? item : undefined;
  }

  pages({ objectid, type, first, last, floor, salvage }: ItemRange): AsyncIterable<readonly Item[]> {
    return this.scan({ objectid, type, offset: first }, { objectid, type, offset: last }, { floor, salvage });
  }

  /** As `pages`, from any key to any other. @throws {FormatError} when keys don't rise. */
  async *scan(from: Key, to: Key, { floor, salvage }: { readonly floor?: boolean | undefined; readonly salvage?: boolean | undefined } = {}): AsyncIterable<readonly Item[]> {
    const walk: Walk = { path: [], salvage: salvage === true };
    await this.#descend(walk, from);
    yield* this.#pagesOf(walk, from, to, floor === true);
    if (walk.lost !== undefined) throw walk.lost;
  }

  async *#pagesOf(walk: Walk, from: Key, to: Key, floor: boolean): AsyncIterable<readonly Item[]> {
    let previous: Key | undefined;
    for (let leaf = await this.#leafOf(walk); leaf !== undefined; walk.path.pop(), leaf = await this.#leafOf(walk)) {
      const { node, slot } = leaf;
      if (previous !== undefined && node.count > 0 && node.compare(0, previous) <= 0) {
        throw new FormatError('Walk btrfs tree', { structure: 'btrfs_leaf', field: 'key', offset: node.logical, found: keyText(node.key(0)), expected: `more than ${keyText(previous)}` });
      }
      const page: Item[] = [];
      let at = Math.max(0, slot);
      for (; at < node.count && node.compare(at, to) <= 0; at += 1) {
        const item = node.item(at);
        if (compareKeys(item, from) >= 0 || (floor && sameKind(item, from))) page.push(item);
      }
      if (page.length > 0) yield page;
      if (at < node.count) return;
      if (node.count > 0) previous = node.key(node.count - 1);
    }
  }

  #leafFor(key: Key): TreeNode | undefined | Promise<TreeNode | undefined> {
    return this.#onward(this.#store.get(this.#root, this.#root.tree), key);
  }

  #onward(from: TreeNode | Promise<TreeNode>, key: Key): TreeNode | undefined | Promise<TreeNode | undefined> {
    let node = from;
    for (;;) {
      if (node instanceof Promise) return node.then((loaded) => this.#onward(loaded, key));
      if (node.level === 0) return node;
      const slot = node.slotAtOrBefore(key);
      if (slot < 0) return undefined;
      node = this.#child(node, slot);
    }
  }

  #child(node: TreeNode, slot: number): TreeNode | Promise<TreeNode> {
    const { logical, generation } = node.child(slot);
    const child = this.#store.get({ logical, generation, level: node.level - 1 }, this.#root.tree);
    return child instanceof Promise ? child.then((loaded) => firstKeyed(loaded, node, slot)) : firstKeyed(child, node, slot);
  }

  /** Fills the path down to the leaf where `from` is or would be; slots are those at or before it, or 0. */
  async #descend(walk: Walk, from: Key): Promise<void> {
    let node: TreeNode | undefined = await this.#store.get(this.#root, this.#root.tree);
    while (node !== undefined) {
      const slot = Math.max(0, node.slotAtOrBefore(from));
      walk.path.push({ node, slot });
      node = node.level === 0 ? undefined : await this.#childOf(walk, node, slot);
    }
  }

  /** The leaf that the path leads to, else the next one behind it; undefined at the end of the tree. */
  async #leafOf(walk: Walk): Promise<Step | undefined> {
    const { path } = walk;
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      if (step.node.level === 0) return step;
      step.slot += 1;
      if (step.slot >= step.node.count) {
        path.pop();
        continue;
      }
      let node = await this.#childOf(walk, step.node, step.slot);
      while (node !== undefined) {
        path.push({ node, slot: 0 });
        node = node.level === 0 ? undefined : await this.#childOf(walk, node, 0);
      }
    }
    return undefined;
  }

  /** A child; undefined when it is damaged and the walk goes on all the same. */
  async #childOf(walk: Walk, node: TreeNode, slot: number): Promise<TreeNode | undefined> {
    try {
      return await this.#child(node, slot);
    } catch (error) {
      if (!walk.salvage || !(error instanceof FormatError || error instanceof IntegrityError)) throw error;
      walk.lost ??= error;
      return undefined;
    }
  }
}

function exact(leaf: TreeNode | undefined, key: Key): Item | undefined {
  if (leaf === undefined) return undefined;
  const slot = leaf.slotAtOrBefore(key);
  return slot >= 0 && leaf.compare(slot, key) === 0 ? leaf.item(slot) : undefined;
}

/** A block may stand only where its first key says: so no block can be met twice in one walk. */
function firstKeyed(child: TreeNode, parent: TreeNode, slot: number): TreeNode {
  if (child.count === 0 || child.compare(0, parent.key(slot)) !== 0) {
    throw new FormatError('Read btrfs tree block', {
      structure: child.level === 0 ? 'btrfs_leaf' : 'btrfs_node', field: 'first key', offset: child.logical,
      found: child.count === 0 ? 'none' : keyText(child.key(0)), expected: keyText(parent.key(slot)),
    });
  }
  return child;
}
