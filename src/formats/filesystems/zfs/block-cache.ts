/** Blocks in memory, unpacked, within a budget of bytes; one that is being read is waited for by all who want it. */
import { equalBytes } from '../../../core/index.ts';

interface Held {
  /** The whole pointer: another pointer to the same place may mean another block. */
  readonly pointer: Uint8Array;
  readonly block: Promise<Uint8Array>;
  bytes: number;
}

/** A cache by place; the ones used last stay. */
export class BlockCache {
  readonly #budget: number;
  readonly #held = new Map<number, Held>();
  #bytes = 0;

  /** `budget` in bytes; the last block is always kept. */
  constructor(budget: number) {
    this.#budget = budget;
  }

  /** The block of `pointer` at `place`; `load` reads it when it is not here. The bytes must not be changed. */
  get(place: number, pointer: Uint8Array, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const known = this.#held.get(place);
    if (known !== undefined && equalBytes(known.pointer, pointer)) {
      this.#held.delete(place);
      this.#held.set(place, known);
      return known.block;
    }
    if (known !== undefined) this.#drop(place, known);
    const held: Held = { pointer: pointer.slice(), block: load(), bytes: 0 };
    this.#held.set(place, held);
    held.block.then((block) => {
      if (this.#held.get(place) !== held) return;
      held.bytes = block.length;
      this.#bytes += block.length;
      this.#shrink();
    }, () => {
      if (this.#held.get(place) === held) this.#held.delete(place);
    });
    return held.block;
  }

  #drop(place: number, held: Held): void {
    this.#held.delete(place);
    this.#bytes -= held.bytes;
  }

  #shrink(): void {
    for (const [place, held] of this.#held) {
      if (this.#bytes <= this.#budget || this.#held.size <= 1) return;
      // One that is still being read has no bytes yet: to drop it would gain nothing.
      if (held.bytes > 0) this.#drop(place, held);
    }
  }
}
