/** Walks a directory of the parent snapshot beside the one being stored, to find files that did not change. */
import { FormatError, type NodeStat } from '../../core/index.ts';
import type { ContentParts } from '../snapshots/content-reader.ts';
import { findLeaf, type Leaf } from '../snapshots/content-reader.ts';
import { decodeEntries, isLinkAt, isSameFile, nameAt, contentAt, type Entry } from '../snapshots/entry.ts';
import { REF_BYTES, isHole, refId, type Content } from '../snapshots/refs.ts';

/** An entry of the parent, still encoded; views are valid as long as anyone holds them. */
export interface ParentEntry {
  readonly name: Uint8Array;
  /** The whole encoded entry. */
  readonly bytes: Uint8Array;
  /** Whether it is one of several names of an inode: its number belongs to the parent's snapshot. */
  readonly isLink: boolean;
  /** Whether it is a file and surely the one that `stat` describes, and its chunks are still known. */
  isSame(stat: NodeStat): boolean | Promise<boolean>;
  decode(): Entry;
}

/** Names must be asked for in ascending order. */
export class ParentCursor {
  readonly #content: Content;
  readonly #parts: ContentParts;
  #leaf: Leaf | undefined;
  #nextRef = 0;
  #offset = 0;
  #page: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #ended = false;
  /** What a store that answers for whole pages says of this one. */
  #isIntact: boolean | undefined;

  /** `content` is that of a directory. */
  constructor(content: Content, parts: ContentParts) {
    this.#content = content;
    this.#parts = parts;
  }

  /** The parent's entry of that name; a promise only where a page has to be read. */
  find(name: Uint8Array): ParentEntry | undefined | Promise<ParentEntry | undefined> {
    while (this.#at < this.#page.length) {
      const end = this.#at + 4 + this.#view.getUint32(this.#at);
      const [start, length] = nameAt(this.#view, this.#at);
      if (end > this.#page.length || start + length > end) {
        throw new FormatError('Read directory page of the parent', { structure: 'entry', field: 'length', offset: this.#at, found: end, expected: `at most ${this.#page.length}` });
      }
      const order = this.#page.compare(name, 0, name.length, start, start + length);
      if (order > 0) return undefined;
      if (order === 0) return this.#entry(this.#at, end);
      this.#at = end;
    }
    return this.#ended ? undefined : this.#nextPage(name);
  }

  #entry(at: number, end: number): ParentEntry {
    const [page, view] = [this.#page, this.#view];
    const bytes = page.subarray(at, end);
    const [start, length] = nameAt(view, at);
    return {
      bytes, name: page.subarray(start, start + length), isLink: isLinkAt(view, at),
      isSame: (stat) => isSameFile(view, at, stat) && this.#isKnown(view, at),
      decode: () => decodeEntries(bytes, this.#parts.limits)[0] as Entry,
    };
  }

  /**
   * Whether no chunk of an entry is surely lost: after a container was deleted or damaged beyond use, files in it must be read again. The filter
   * answers for a hundredth of the index's price, and wrongly for one chunk in a thousand; `check` is what proves.
   */
  #isKnown(view: DataView, at: number): boolean | Promise<boolean> {
    if (this.#isIntact !== undefined) return this.#isIntact;
    const { depth, refs } = contentAt(view, at);
    return this.#areKnown(refs) && (depth === 0 || this.#arePagesKnown(depth, refs));
  }

  #areKnown(refs: Uint8Array): boolean {
    for (let i = 0; i < refs.length / REF_BYTES; i += 1) {
      if (!isHole(refs, i) && this.#parts.store.mayKnow?.(refId(refs, i)) === false) return false;
    }
    return true;
  }

  async #arePagesKnown(depth: number, refs: Uint8Array): Promise<boolean> {
    for (let i = 0; i < refs.length / REF_BYTES; i += 1) {
      const page = await this.#parts.metadata.get(refId(refs, i));
      if (!this.#areKnown(page) || (depth > 1 && !(await this.#arePagesKnown(depth - 1, page)))) return false;
    }
    return true;
  }

  async #nextPage(name: Uint8Array): Promise<ParentEntry | undefined> {
    if (this.#leaf === undefined || this.#nextRef >= this.#leaf.count) {
      this.#leaf = this.#content.refs.length === 0 ? undefined : await findLeaf(this.#content, this.#offset, this.#parts);
      this.#nextRef = 0;
      if (this.#leaf === undefined || this.#offset >= (this.#leaf.starts[this.#leaf.count] as number)) {
        this.#ended = true;
        return undefined;
      }
    }
    const id = refId(this.#leaf.refs, this.#nextRef);
    const bytes = await this.#parts.metadata.get(id);
    this.#isIntact = await this.#parts.store.isPageIntact?.(id);
    this.#nextRef += 1;
    this.#offset = this.#leaf.starts[this.#nextRef] as number;
    this.#page = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    return this.find(name);
  }
}
