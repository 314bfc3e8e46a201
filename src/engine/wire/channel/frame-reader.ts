/**
 * Frames in, decrypted as their bytes arrive. Memory grows with the bytes that arrived, never with a length that was announced. Nothing of a text is
 * handed out before its tag was right.
 */
import { TAG_BYTES, type CipherState } from '../noise/index.ts';
import { faultError } from './channel.ts';
import { HEAD_BYTES, readHead, type FrameKind } from './frame.layout.ts';
import type { Inbound } from './inbound.ts';
import { RekeyClock } from './rekey-clock.ts';

const EMPTY = new Uint8Array(0);
/** A frame that is growing gets room for this many bytes at least. */
const GROWTH_BYTES_MIN = 128 << 10;

/** A frame that was authenticated. */
export interface Frame {
  readonly kind: FrameKind;
  /** Valid until the next frame is read. */
  readonly text: Uint8Array;
}

/** A frame of which the head was read. */
interface Progress {
  readonly kind: FrameKind;
  readonly length: number;
  readonly opener: ReturnType<CipherState['opener']>;
  /** Bytes of text that were decrypted. */
  done: number;
  text: Uint8Array;
  readonly tag: Uint8Array;
  tagDone: number;
}

/** Opens the frames of one direction of one connection, in the order in which the peer sealed them. */
export class FrameReader {
  readonly #cipher: CipherState;
  readonly #clock: RekeyClock;
  readonly #head = new Uint8Array(HEAD_BYTES);
  #headDone = 0;
  #progress: Progress | undefined;
  #buffer = EMPTY;

  constructor(cipher: CipherState) {
    this.#cipher = cipher;
    this.#clock = new RekeyClock(cipher);
  }

  /** Whether bytes of a frame that is not whole were read. */
  get within(): boolean {
    return this.#headDone > 0;
  }

  /**
   * The next frame as far as it has arrived; undefined when more must come first.
   * @throws {ProtocolError} `malformed` or `forged`; then no later call may be made.
   */
  next(inbound: Inbound): Frame | undefined {
    const progress = this.#progress ?? this.#begin(inbound);
    if (progress === undefined) return undefined;
    while (progress.done < progress.length) {
      const piece = inbound.take(progress.length - progress.done);
      if (piece === undefined) return undefined;
      this.#open(progress, piece);
    }
    while (progress.tagDone < TAG_BYTES) {
      const piece = inbound.take(TAG_BYTES - progress.tagDone);
      if (piece === undefined) return undefined;
      progress.tag.set(piece, progress.tagDone);
      progress.tagDone += piece.length;
    }
    return this.#finish(progress);
  }

  /** Gives back the memory of long messages; the last text stays valid. */
  shrink(): void {
    if (this.#progress === undefined) this.#buffer = EMPTY;
  }

  #begin(inbound: Inbound): Progress | undefined {
    while (this.#headDone < HEAD_BYTES) {
      const piece = inbound.take(HEAD_BYTES - this.#headDone);
      if (piece === undefined) return undefined;
      this.#head.set(piece, this.#headDone);
      this.#headDone += piece.length;
    }
    const head = readHead(this.#head);
    if (head === undefined) throw faultError('malformed', `Receive a frame: its head is '${Buffer.from(this.#head).toString('hex')}', which no frame begins with`);
    this.#progress = { ...head, opener: this.#cipher.opener(this.#head), done: 0, text: EMPTY, tag: new Uint8Array(TAG_BYTES), tagDone: 0 };
    return this.#progress;
  }

  #open(progress: Progress, piece: Uint8Array): void {
    const opened = progress.opener.update(piece);
    const end = progress.done + opened.length;
    if (end === opened.length && end === progress.length) {
      progress.text = opened; // the frame arrived in one piece
    } else {
      if (this.#buffer.length < end) this.#grow(progress, end);
      this.#buffer.set(opened, progress.done);
      progress.text = this.#buffer;
    }
    progress.done = end;
  }

  #grow(progress: Progress, end: number): void {
    const grown = new Uint8Array(Math.min(progress.length, Math.max(end, 2 * this.#buffer.length, GROWTH_BYTES_MIN)));
    grown.set(this.#buffer.subarray(0, progress.done));
    this.#buffer = grown;
  }

  #finish(progress: Progress): Frame {
    this.#progress = undefined;
    this.#headDone = 0;
    progress.opener.setAuthTag(progress.tag);
    try {
      progress.opener.final();
    } catch { // its only reason: the tag does not match
      progress.text.fill(0);
      throw faultError('forged', 'Receive a frame: it does not authenticate, so it was changed, repeated or put out of order on the way');
    }
    this.#clock.tick(progress.length);
    return { kind: progress.kind, text: progress.text.subarray(0, progress.length) };
  }
}
