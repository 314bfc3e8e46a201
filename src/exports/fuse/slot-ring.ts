/** Slots of shared memory between a thread that fills them and one that empties them, each in its own order. */

/** What both threads share. */
export interface SlotMemory {
  readonly data: SharedArrayBuffer;
  /** Per slot: 0 when free, else the bytes in it. */
  readonly lengths: SharedArrayBuffer;
}

/** Memory for `count` slots of `slotBytes`. */
export function makeSlotMemory(count: number, slotBytes: number): SlotMemory {
  return { data: new SharedArrayBuffer(count * slotBytes), lengths: new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT) };
}

/** One thread's view of the slots. */
export class SlotRing {
  readonly #lengths: Int32Array;
  readonly #slots: readonly Buffer[];
  #next = 0;

  constructor({ data, lengths }: SlotMemory) {
    this.#lengths = new Int32Array(lengths);
    const size = data.byteLength / this.#lengths.length;
    this.#slots = Array.from(this.#lengths, (_, i) => Buffer.from(data, i * size, size));
  }

  /** The whole slot. */
  bytes(slot: number): Buffer {
    return this.#slots[slot] as Buffer;
  }

  /** A slot that is free; blocks the thread until there is one. */
  waitForFree(): number {
    for (;;) {
      for (let tries = 0; tries < this.#lengths.length; tries += 1) {
        this.#next = (this.#next + 1) % this.#lengths.length;
        if (Atomics.load(this.#lengths, this.#next) === 0) return this.#next;
      }
      // All are in use: whichever is emptied first, the one waited for is emptied some time.
      Atomics.wait(this.#lengths, this.#next, Atomics.load(this.#lengths, this.#next) || -1);
    }
  }

  /** Says that a slot has `length` bytes, at least 1. */
  fill(slot: number, length: number): void {
    Atomics.store(this.#lengths, slot, length);
  }

  /** The bytes that were left in a slot. */
  filled(slot: number): Buffer {
    return this.bytes(slot).subarray(0, Atomics.load(this.#lengths, slot));
  }

  /** Gives a slot back. */
  free(slot: number): void {
    Atomics.store(this.#lengths, slot, 0);
    Atomics.notify(this.#lengths, slot);
  }
}
