/** Frames out: head, ciphertext, tag. A writer lives for one direction of one connection; its nonces are those of its CipherState. */
import assert from 'node:assert';
import { TAG_BYTES, type CipherState } from '../noise/index.ts';
import { MESSAGE_BYTES_MAX } from './channel.ts';
import { frameKinds, HEAD_BYTES, writeHead, type FrameKind } from './frame.layout.ts';
import { RekeyClock } from './rekey-clock.ts';

/** Frames up to this are put together in one buffer: a copy costs less than a vectored write. */
const JOINED_BYTES_MAX = 16 << 10;
/** Bytes given to OpenSSL at once: what it gives back is still in the processor's cache when the kernel copies it. */
const SLICE_BYTES = 64 << 10;

/** Seals frames in the order in which the peer reads them. */
export class FrameWriter {
  readonly #cipher: CipherState;
  readonly #clock: RekeyClock;

  constructor(cipher: CipherState) {
    this.#cipher = cipher;
    this.#clock = new RekeyClock(cipher);
  }

  /** Buffers of one frame, fresh ones, to be written back to back. `parts` are read now and not kept. */
  seal(kind: FrameKind, parts: readonly Uint8Array[]): readonly Uint8Array[] {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    assert(kind === frameKinds.message ? length >= 1 && length <= MESSAGE_BYTES_MAX : length === 0, `a message has 1…${MESSAGE_BYTES_MAX} bytes`);
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    writeHead(head, kind, length);
    const sealer = this.#cipher.sealer(head);
    const sealed: Buffer[] = [head];
    for (const part of parts) {
      for (let at = 0; at < part.length; at += SLICE_BYTES) sealed.push(sealer.update(part.subarray(at, at + SLICE_BYTES)));
    }
    sealer.final();
    sealed.push(sealer.getAuthTag());
    this.#clock.tick(length);
    return length <= JOINED_BYTES_MAX ? [Buffer.concat(sealed, HEAD_BYTES + length + TAG_BYTES)] : sealed;
  }
}
