/** Bytes into a stream, in order, with back-pressure and a way to learn that the connection is lost. */
import type { Duplex } from 'node:stream';

/** Bytes that may wait in the stream while the next frame is made: one frame on its way to the kernel, one in the making. */
const WAITING_BYTES_MAX = 1 << 20;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The writable side of a stream. */
export class Outbound {
  readonly #duplex: Duplex;
  #sent = 0;
  #waiting = 0;
  #failure: (() => Error) | undefined;
  #waiters: Waiter[] = [];

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
  }

  /** Bytes that were given to the stream so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Whether more may be written now. */
  get hasRoom(): boolean {
    return this.#waiting <= WAITING_BYTES_MAX;
  }

  /** Resolves when more may be written. Rejects with what {@link fail} gave. */
  room(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure());
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve, reject) => { this.#waiters.push({ resolve, reject }); });
  }

  /** Writes buffers back to back; they must not change any more. @throws what {@link fail} gave. */
  write(buffers: readonly Uint8Array[]): void {
    if (this.#failure !== undefined) throw this.#failure();
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    this.#sent += length;
    this.#waiting += length;
    if (buffers.length > 1) this.#duplex.cork();
    for (const [i, buffer] of buffers.entries()) {
      this.#duplex.write(buffer, i === buffers.length - 1 ? () => { this.#taken(length); } : undefined);
    }
    if (buffers.length > 1) this.#duplex.uncork();
  }

  /** The connection is lost: whoever waits learns why. */
  fail(reason: () => Error): void {
    this.#failure ??= reason;
    for (const waiter of this.#takeWaiters()) waiter.reject(this.#failure());
  }

  #taken(length: number): void {
    this.#waiting -= length;
    if (this.hasRoom) for (const waiter of this.#takeWaiters()) waiter.resolve();
  }

  #takeWaiters(): readonly Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }
}
