/** Walks a directory of the parent snapshot beside the one being stored, to find files that did not change. */
import { compareBytes, type NodeId, type NodeStat } from '../../core/index.ts';
import type { Entry } from '../snapshots/entry.ts';
import type { SnapshotTree } from '../snapshots/snapshot-tree.ts';

interface Row {
  readonly id: NodeId;
  readonly entry: Entry;
}

/** Names must be asked for in ascending order. */
export class ParentCursor {
  readonly tree: SnapshotTree;
  readonly #pages: AsyncIterator<readonly Row[]>;
  #page: readonly Row[] = [];
  #at = 0;
  #ended = false;

  constructor(tree: SnapshotTree, directory: NodeId) {
    this.tree = tree;
    this.#pages = tree.entries(directory)[Symbol.asyncIterator]();
  }

  /** The parent's entry of that name; a promise only where a page has to be read. */
  find(name: Uint8Array): Row | undefined | Promise<Row | undefined> {
    while (this.#at < this.#page.length) {
      const row = this.#page[this.#at] as Row;
      const order = compareBytes(row.entry.name, name);
      if (order === 0) return row;
      if (order > 0) return undefined;
      this.#at += 1;
    }
    return this.#ended ? undefined : this.#nextPage(name);
  }

  async #nextPage(name: Uint8Array): Promise<Row | undefined> {
    const next = await this.#pages.next();
    if (next.done === true) {
      this.#ended = true;
      this.#page = [];
    } else {
      this.#page = next.value;
    }
    this.#at = 0;
    return this.find(name);
  }
}

function sameTime(a: NodeStat['changed'], b: NodeStat['changed']): boolean {
  return a !== undefined && b !== undefined && a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

/**
 * Whether a file is surely the same as when it was stored: size, modification and change time and inode number. The change
 * time can't be set back by a user, and it moves with every change of content, metadata or attributes.
 */
export function isUnchanged(now: NodeStat, before: NodeStat): boolean {
  return now.type === 'file' && before.type === 'file' && now.size === before.size
    && now.inode !== undefined && now.inode === before.inode
    && sameTime(now.modified, before.modified) && sameTime(now.changed, before.changed);
}
