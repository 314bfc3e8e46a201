/** A tree with items put in, changed and taken away in memory: what replaying a log leaves. */
import { checkLimit, type Limits } from '../../../core/index.ts';
import { compareKeys, type Item, itemOf, type Key } from './node.ts';
import type { ItemRange, ItemTree } from './tree.ts';
import { compareWide } from './wide.ts';

/** What stands at a key now; without an item, nothing. */
interface Change {
  readonly key: Key;
  readonly item: Item | undefined;
}

const PAGE_ITEMS = 1024;
/** Bytes that a change takes besides those of its item. */
const CHANGE_BYTES = 200;

/** The tree. It may be changed while its pages are walked: changes ahead are seen. */
export class ReplayedTree implements ItemTree {
  readonly #base: ItemTree;
  readonly #limits: Limits;
  /** By object, in the order of keys. */
  readonly #changes = new Map<number, Change[]>();
  #bytes = 0;

  constructor(base: ItemTree, limits: Limits) {
    this.#base = base;
    this.#limits = limits;
  }

  /** Puts an item in, or replaces it; `bytes` must not change afterwards. @throws {LimitError} */
  put(key: Key, bytes: Uint8Array): void {
    this.#change(key, itemOf(key, bytes), bytes.length);
  }

  /** Takes an item away. @throws {LimitError} */
  delete(key: Key): void {
    this.#change(key, undefined, 0);
  }

  #change({ objectid, type, offset }: Key, item: Item | undefined, bytes: number): void {
    this.#bytes += CHANGE_BYTES + bytes;
    checkLimit(this.#limits, 'filesystemJournalBytesMax', this.#bytes, 'btrfs log');
    const change: Change = { key: { objectid, type, offset }, item };
    const list = this.#changes.get(objectid);
    if (list === undefined) {
      this.#changes.set(objectid, [change]);
      return;
    }
    const index = firstFrom(list, change.key);
    const known = list[index];
    list.splice(index, known !== undefined && compareKeys(known.key, change.key) === 0 ? 1 : 0, change);
  }

  find(key: Key): Item | undefined | Promise<Item | undefined> {
    const list = this.#changes.get(key.objectid);
    const change = list?.[firstFrom(list, key)];
    return change !== undefined && compareKeys(change.key, key) === 0 ? change.item : this.#base.find(key);
  }

  async floor(key: Key): Promise<Item | undefined> {
    const list = this.#changes.get(key.objectid);
    if (list === undefined) return this.#base.floor(key);
    for (let wanted = key; ;) {
      const below = await this.#base.floor(wanted);
      const index = firstFrom(list, wanted);
      const at = list[index];
      const change = at !== undefined && compareKeys(at.key, wanted) === 0 ? at : list[index - 1];
      if (change?.key.type !== key.type || (below !== undefined && compareWide(below.offset, change.key.offset) > 0)) return below;
      if (change.item !== undefined || change.key.offset === 0) return change.item;
      wanted = { ...key, offset: change.key.offset - 1 };
    }
  }

  async *pages(range: ItemRange): AsyncIterable<readonly Item[]> {
    const { objectid, type, last } = range;
    const list = this.#changes.get(objectid);
    if (list === undefined) {
      yield* this.#base.pages(range);
      return;
    }
    let first = range.first;
    if (range.floor === true) first = (await this.floor({ objectid, type, offset: first }))?.offset ?? first;
    for await (const page of this.#base.pages({ objectid, type, first, last, salvage: range.salvage === true })) {
      const end = (page.at(-1) as Item).offset;
      yield* inPages(merged(page, list, { objectid, type, first, last: end }));
      if (end === -1) return;
      first = end + 1;
    }
    yield* inPages(merged([], list, { objectid, type, first, last }));
  }
}

/** Index of the first change at or behind `key`. */
function firstFrom(list: readonly Change[], key: Key): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys((list[middle] as Change).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The items of `page` in `range` with the changes in it. */
function merged(page: readonly Item[], list: readonly Change[], { objectid, type, first, last }: ItemRange): readonly Item[] {
  const items: Item[] = [];
  const end = { objectid, type, offset: last };
  let at = firstFrom(list, { objectid, type, offset: first });
  const next = (): Change | undefined => {
    const change = list[at];
    return change !== undefined && compareKeys(change.key, end) <= 0 ? change : undefined;
  };
  for (const item of page) {
    for (let change = next(); change !== undefined && compareKeys(change.key, item) < 0; change = next()) {
      if (change.item !== undefined) items.push(change.item);
      at += 1;
    }
    const change = next();
    if (change === undefined || compareKeys(change.key, item) !== 0) items.push(item);
    else if (change.item !== undefined) items.push(change.item);
    if (change !== undefined && compareKeys(change.key, item) === 0) at += 1;
  }
  for (let change = next(); change !== undefined; change = next()) {
    if (change.item !== undefined) items.push(change.item);
    at += 1;
  }
  return items;
}

function* inPages(items: readonly Item[]): Iterable<readonly Item[]> {
  for (let at = 0; at < items.length; at += PAGE_ITEMS) yield items.slice(at, at + PAGE_ITEMS);
}
