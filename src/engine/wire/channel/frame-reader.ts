/**
 * Frames in, decrypted as their bytes arrive. Memory grows with the bytes that arrived, never with a length that was announced. Nothing of a text is
 * handed out before its tag was right. Texts stay in the pieces that the cipher gave: putting them together would copy each byte once more.
 */
import { TAG_BYTES, type CipherState } from '../noise/index.ts';
import { faultError } from './channel.ts';
import { HEAD_BYTES, readHead, type FrameKind } from './frame.layout.ts';
import type { Inbound } from './inbound.ts';
import { RekeyClock } from './rekey-clock.ts';

/** Smaller pieces are put together in a buffer of {@link JOINED_BYTES}: a peer that sends byte by byte must not cost a buffer for each. */
const PIECE_BYTES_MIN = 8 << 10;
const JOINED_BYTES = 64 << 10;

/** A frame that was authenticated. */
export interface Frame {
  readonly kind: FrameKind;
  /** Pieces, one after another; none of an empty text. The receiver's own. */
  readonly text: readonly Uint8Array[];
}

/** A frame of which the head was read. */
interface Progress {
  readonly kind: FrameKind;
  readonly length: number;
  readonly opener: ReturnType<CipherState['opener']>;
  /** Bytes of text that were decrypted. */
  done: number;
  readonly text: Uint8Array[];
  /** The last piece, while there is room behind it. */
  joined: { readonly buffer: Uint8Array; length: number } | undefined;
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

  #begin(inbound: Inbound): Progress | undefined {
    while (this.#headDone < HEAD_BYTES) {
      const piece = inbound.take(HEAD_BYTES - this.#headDone);
      if (piece === undefined) return undefined;
      this.#head.set(piece, this.#headDone);
      this.#headDone += piece.length;
    }
    const head = readHead(this.#head);
    if (head === undefined) throw faultError('malformed', `Receive a frame: its head is '${Buffer.from(this.#head).toString('hex')}', which no frame begins with`);
    this.#progress = { ...head, opener: this.#cipher.opener(this.#head), done: 0, text: [], joined: undefined, tag: new Uint8Array(TAG_BYTES), tagDone: 0 };
    return this.#progress;
  }

  #open(progress: Progress, piece: Uint8Array): void {
    const opened = progress.opener.update(piece);
    progress.done += opened.length;
    let { joined } = progress;
    if (joined !== undefined && joined.buffer.length - joined.length >= opened.length) {
      progress.text.pop(); // it comes again, longer
    } else if (opened.length >= PIECE_BYTES_MIN || opened.length === progress.length) {
      progress.text.push(opened);
      progress.joined = undefined;
      return;
    } else {
      joined = { buffer: new Uint8Array(Math.min(JOINED_BYTES, progress.length - progress.done + opened.length)), length: 0 };
      progress.joined = joined;
    }
    joined.buffer.set(opened, joined.length);
    joined.length += opened.length;
    progress.text.push(joined.buffer.subarray(0, joined.length));
  }

  #finish(progress: Progress): Frame {
    this.#progress = undefined;
    this.#headDone = 0;
    progress.opener.setAuthTag(progress.tag);
    try {
      progress.opener.final();
    } catch { // its only reason: the tag does not match
      for (const piece of progress.text) piece.fill(0);
      throw faultError('forged', 'Receive a frame: it does not authenticate, so it was changed, repeated or put out of order on the way');
    }
    this.#clock.tick(progress.length);
    return { kind: progress.kind, text: progress.text };
  }
}
