/** The device as the log changes it, in memory: pages that were changed, and which basic blocks of them. */
import { type BlockSource, FormatError, LimitError, type Limits } from '../../../../core/index.ts';
import type { Patch } from '../../../mapping/patched-source.ts';
import type { Changes } from '../metadata.ts';
import { BASIC_BLOCK } from '../xfs.layout.ts';

const PAGE = 4096;

/** Changes of one replay. */
export class LogOverlay implements Changes {
  readonly #source: BlockSource;
  readonly #pagesMax: number;
  readonly #limits: Limits;
  readonly #pages = new Map<number, Uint8Array>();
  readonly #touched = new Set<number>();

  constructor(source: BlockSource, limits: Limits) {
    this.#source = source;
    this.#limits = limits;
    this.#pagesMax = Math.floor(limits.filesystemJournalBytesMax / PAGE);
  }

  touches(at: number, length: number): boolean {
    if (this.#touched.size === 0) return false;
    for (let block = Math.floor(at / BASIC_BLOCK); block * BASIC_BLOCK < at + length; block += 1) if (this.#touched.has(block)) return true;
    return false;
  }

  async #page(number: number): Promise<Uint8Array> {
    const known = this.#pages.get(number);
    if (known !== undefined) return known;
    if (this.#pages.size >= this.#pagesMax) throw new LimitError('filesystemJournalBytesMax', (this.#pages.size + 1) * PAGE, this.#limits.filesystemJournalBytesMax, 'XFS log: blocks that it changes');
    const page = new Uint8Array(Math.min(PAGE, this.#source.size - number * PAGE));
    await this.#source.readInto(number * PAGE, page);
    this.#pages.set(number, page);
    return page;
  }

  #check(at: number, length: number): void {
    if (!Number.isSafeInteger(at) || at < 0 || length < 0 || at + length > this.#source.size) {
      throw new FormatError('Replay XFS log', { structure: 'item', field: 'blkno', found: at / BASIC_BLOCK, expected: `${length} bytes before the end '${this.#source.size}' of the device` });
    }
  }

  /** Bytes as they are now. @throws {FormatError} when they are not on the device. */
  async read(at: number, length: number): Promise<Uint8Array> {
    this.#check(at, length);
    const bytes = new Uint8Array(length);
    await this.#source.readInto(at, bytes);
    for (let number = Math.floor(at / PAGE); number * PAGE < at + length; number += 1) {
      const page = this.#pages.get(number);
      if (page === undefined) continue;
      const from = Math.max(at, number * PAGE);
      const to = Math.min(at + length, number * PAGE + page.length);
      bytes.set(page.subarray(from - number * PAGE, to - number * PAGE), from - at);
    }
    return bytes;
  }

  /** Replaces bytes; the basic blocks that they are in count as touched. @throws {FormatError} @throws {LimitError} */
  async write(at: number, bytes: Uint8Array): Promise<void> {
    this.#check(at, bytes.length);
    for (let done = 0; done < bytes.length;) {
      const number = Math.floor((at + done) / PAGE);
      const page = await this.#page(number);
      const inPage = at + done - number * PAGE;
      const part = bytes.subarray(done, done + page.length - inPage);
      page.set(part, inPage);
      done += part.length;
    }
    for (let block = Math.floor(at / BASIC_BLOCK); block * BASIC_BLOCK < at + bytes.length; block += 1) this.#touched.add(block);
  }

  /** What was changed; empty when nothing was. The last pages come first: a list that is built from its end is cheap to sort in. */
  patches(): readonly Patch[] {
    const numbers = [...this.#pages.keys()].sort((a, b) => b - a);
    return numbers.map((number) => {
      const bytes = this.#pages.get(number) as Uint8Array;
      return { offset: number * PAGE, length: bytes.length, bytes };
    });
  }
}
