/**
 * The one piece of memory that all threads see: a shared WebAssembly memory, so that the chunker kernel runs on the very bytes
 * that were read, workers hash and compress them in place, and no data is ever posted between threads.
 *
 * Pages count towards the process's memory only once touched, so blocks may be laid out generously.
 */
import assert from 'node:assert';
import { wasm, type WasmMemory } from './wasm.ts';

const PAGE_BYTES = 65_536;

/** A fixed-size region of the arena. `bytes` is a view of shared memory: never keep it past `release`. */
export interface Block {
  readonly index: number;
  /** Offset in the arena, in bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A number of equal blocks handed out one by one; `acquire` waits until one is free, in order of asking. */
export class BlockPool {
  readonly blockBytes: number;
  readonly #free: Block[] = [];
  readonly #waiting: ((block: Block) => void)[] = [];
  readonly #count: number;

  constructor(arena: Arena, blockBytes: number, count: number) {
    this.blockBytes = blockBytes;
    this.#count = count;
    for (let index = 0; index < count; index += 1) {
      const offset = arena.reserve(blockBytes);
      this.#free.push({ index, offset, bytes: arena.view(offset, blockBytes) });
    }
  }

  /** A free block at once, or undefined. Never overtakes someone who waits. */
  tryAcquire(): Block | undefined {
    return this.#waiting.length > 0 ? undefined : this.#free.pop();
  }

  acquire(): Promise<Block> {
    const block = this.#free.pop();
    if (block !== undefined) return Promise.resolve(block);
    return new Promise((resolve) => { this.#waiting.push(resolve); });
  }

  release(block: Block): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next(block);
      return;
    }
    assert(this.#free.length < this.#count, 'a block is released once');
    // Last in, first out: the block whose pages are still in the processor's cache goes next.
    this.#free.push(block);
  }
}

/** Shared memory of a fixed size, carved up once. */
export class Arena {
  readonly memory: WasmMemory;
  #next = 0;

  /** `bytes` is rounded up to whole pages of 64 KiB. */
  constructor(bytes: number) {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    this.memory = new wasm.Memory({ initial: pages, maximum: pages, shared: true });
  }

  /** Takes `bytes` for good; 64-byte aligned, so that neighbours share no cache line. */
  reserve(bytes: number): number {
    const offset = this.#next;
    this.#next += Math.ceil(bytes / 64) * 64;
    assert(this.#next <= this.memory.buffer.byteLength, 'the arena is laid out to fit');
    return offset;
  }

  view(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, offset, length);
  }
}
