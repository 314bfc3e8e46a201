/** Bytes of a stream as they arrive, with back-pressure: what nobody takes stays with the peer. */
import type { Duplex } from 'node:stream';

/** Bytes kept here before the stream is paused. */
const WAITING_BYTES_MAX = 256 << 10;

/** The readable side of a stream. One taker. */
export class Inbound {
  readonly #duplex: Duplex;
  readonly #chunks: Uint8Array[] = [];
  #waiting = 0;
  #received = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  /** Begins to read at once. `onEnd` is called once when the peer ended its side, after all bytes were queued. */
  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    duplex.on('data', (chunk: Uint8Array) => { this.#arrived(chunk); });
    duplex.on('end', () => { this.end(); });
  }

  /** Bytes that arrived so far. */
  get received(): number {
    return this.#received;
  }

  /** Whether no byte will follow those that wait here. */
  get ended(): boolean {
    return this.#ended;
  }

  /** At most `most` of the bytes that wait, a view that stays valid; undefined when none do. */
  take(most: number): Uint8Array | undefined {
    const [first] = this.#chunks;
    if (first === undefined) return undefined;
    const taken = first.length <= most ? first : first.subarray(0, most);
    if (taken === first) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(most);
    this.#waiting -= taken.length;
    if (this.#duplex.isPaused() && this.#waiting < WAITING_BYTES_MAX / 2) this.#duplex.resume();
    return taken;
  }

  /** Resolves when bytes wait, or the stream has ended. */
  wait(): Promise<void> {
    if (this.#chunks.length > 0 || this.#ended) return Promise.resolve();
    return new Promise((resolve) => { this.#wake = resolve; });
  }

  /** No byte will follow: the peer said so, or the connection is lost. */
  end(): void {
    this.#ended = true;
    this.#wakeUp();
  }

  #arrived(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#ended) return;
    this.#received += chunk.length;
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting >= WAITING_BYTES_MAX) this.#duplex.pause();
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
