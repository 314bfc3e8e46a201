/** Walks a sorted stream record by record. */
import { IntegrityError } from '../../core/index.ts';
import { comparerOf, viewOf, type RecordComparer, type RecordPage, type SortedStream } from './record-page.ts';

/** At one record at a time, in ascending order of their first bytes; `nextPage` comes first. */
export class KeyCursor {
  readonly #pages: AsyncIterator<RecordPage>;
  readonly #recordBytes: number;
  readonly #prefixBytes: number;
  readonly #compare: RecordComparer;
  readonly #before: DataView;
  #hasBefore = false;
  readonly #side: string;
  #at = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  isAtEnd = false;
  /** Of the page. */
  count = 0;
  view: DataView = viewOf(new Uint8Array(0));

  /** `side` names the stream in errors. */
  constructor({ pages, recordBytes }: SortedStream, prefixBytes: number, side: string) {
    this.#side = side;
    this.#pages = pages[Symbol.asyncIterator]();
    this.#recordBytes = recordBytes;
    this.#prefixBytes = prefixBytes;
    this.#compare = comparerOf(prefixBytes);
    this.#before = new DataView(new ArrayBuffer(prefixBytes));
  }

  /** Negative, 0 or positive: the current key against the prefix at `at` of `rows`. */
  compare(rows: DataView, at: number): number {
    return this.#compare(this.view, this.#at * this.#recordBytes, rows, at);
  }

  /** The same against the current record of another cursor. */
  compareWith(other: KeyCursor): number {
    return this.compare(other.view, other.#at * other.#recordBytes);
  }

  /** The current record; valid until the next page. */
  get record(): Uint8Array {
    return this.#bytes.subarray(this.#at * this.#recordBytes, (this.#at + 1) * this.#recordBytes);
  }

  /** Goes to the next key. @returns false when a page must be awaited for that. */
  step(): boolean {
    const before = this.#at * this.#recordBytes;
    this.#at += 1;
    if (this.#at >= this.count) return false;
    if (this.#compare(this.view, before, this.view, before + this.#recordBytes) > 0) throw outOfOrder(this.#side);
    return true;
  }

  /** Goes to the first record of the next page, or to the end. @throws {IntegrityError} out of order. */
  async nextPage(): Promise<void> {
    if (this.count > 0) {
      for (let i = 0; i < this.#prefixBytes; i += 4) this.#before.setUint32(i, this.view.getUint32((this.count - 1) * this.#recordBytes + i));
      this.#hasBefore = true;
    }
    do {
      const next = await this.#pages.next();
      this.isAtEnd = next.done === true;
      if (next.done === true) return;
      this.#bytes = next.value.bytes;
      this.view = viewOf(next.value.bytes);
      this.count = next.value.count;
      this.#at = 0;
    } while (this.count === 0);
    if (this.#hasBefore && this.#compare(this.#before, 0, this.view, 0) > 0) throw outOfOrder(this.#side);
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }
}

/** A stream out of order would make keys look absent that are there: for garbage collection that is loss of data. */
export function outOfOrder(side: string): IntegrityError {
  return new IntegrityError(`Join sorted streams: the ${side} are not in ascending order`);
}
