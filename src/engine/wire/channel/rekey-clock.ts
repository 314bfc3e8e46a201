/** When a direction changes its key. Source: `docs/protocol.md`, section "Frames". */
import type { CipherState } from '../noise/index.ts';

/** Bytes of text after which a key is replaced. */
export const REKEY_BYTES: number = 2 ** 30;
/** Frames after which a key is replaced. */
export const REKEY_FRAMES: number = 2 ** 20;

/** Counts what a key has sealed. Both ends count the same frames, so they change in step without a word. */
export class RekeyClock {
  readonly #cipher: CipherState;
  #bytes = 0;
  #frames = 0;

  constructor(cipher: CipherState) {
    this.#cipher = cipher;
  }

  /** Called after each frame with the bytes of its text. */
  tick(bytes: number): void {
    this.#bytes += bytes;
    this.#frames += 1;
    if (this.#bytes < REKEY_BYTES && this.#frames < REKEY_FRAMES) return;
    this.#cipher.rekey();
    this.#bytes = 0;
    this.#frames = 0;
  }
}
