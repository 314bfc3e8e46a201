/** Messages over a channel: a body that is longer than a frame goes on in the next ones, which follow each other. */
import { ProtocolError } from '../../core/index.ts';
import { MESSAGE_BYTES_MAX, type Channel } from './channel/index.ts';
import { MORE, messageHead } from './message.layout.ts';

/** A whole message. */
export interface Message {
  readonly kind: number;
  readonly request: number;
  /** Valid until the next one is received. */
  readonly body: Uint8Array;
}

/** A message's frame, taken apart. */
interface Part {
  readonly kind: number;
  readonly request: number;
  readonly pieces: readonly Uint8Array[];
  /** Bytes of all pieces. */
  readonly length: number;
  readonly more: boolean;
}

const EMPTY = new Uint8Array(0);
/** Bytes of a body in one frame. */
const PART_BYTES: number = MESSAGE_BYTES_MAX - messageHead.size;
/** A larger buffer for bodies is not kept. */
const KEPT_BYTES = 4 << 20;

/** Sends and receives messages. One `receive` at a time; `send` at any time. */
export class MessagePort {
  readonly #channel: Channel;
  readonly #bytesMax: (kind: number) => number;
  #sent: Promise<void> = Promise.resolve();
  #body = new Uint8Array(0);

  /** `bytesMax` gives the bytes that a body may have, by kind; undefined kinds get -1. */
  constructor(channel: Channel, bytesMax: (kind: number) => number) {
    this.#channel = channel;
    this.#bytesMax = bytesMax;
  }

  /** Sends a message, `parts` back to back. Resolves when the transport took it; then the buffers may change. @throws as `Channel.send`. */
  send(kind: number, request: number, parts: readonly Uint8Array[]): Promise<void> {
    const sent = this.#sent.then(() => this.#send(kind, request, parts));
    this.#sent = sent.catch(() => undefined);
    return sent;
  }

  /**
   * The next message; undefined after the peer's end.
   * @throws {ProtocolError} a message that is cut, too long or of a kind that is not expected here.
   */
  async receive(): Promise<Message | undefined> {
    const frame = await this.#channel.receive();
    if (frame === undefined) return undefined;
    const { kind, request, ...first } = this.#split(frame);
    const [body = EMPTY, ...others] = first.pieces;
    if (!first.more && others.length === 0) return { kind, request, body };
    let length = this.#append(first.pieces, 0);
    for (let { more } = first; more;) {
      const next = await this.#channel.receive();
      if (next === undefined) throw new ProtocolError(`Receive message ${request}: the connection ended within it`);
      const part = this.#split(next);
      if (part.kind !== kind || part.request !== request) {
        throw new ProtocolError(`Receive message ${request} of kind '${kind}': message ${part.request} of kind '${part.kind}' is inside it`);
      }
      if (length + part.length > this.#bytesMax(kind)) throw tooLong(kind, length + part.length);
      length = this.#append(part.pieces, length);
      ({ more } = part);
    }
    return { kind, request, body: this.#take(length) };
  }

  async #send(kind: number, request: number, parts: readonly Uint8Array[]): Promise<void> {
    let pending: Uint8Array[] = [];
    let room = PART_BYTES;
    for (const part of parts) {
      let at = 0;
      while (part.length - at > room) {
        pending.push(part.subarray(at, at + room));
        at += room;
        await this.#channel.send(messageHead.encode({ kind, flags: MORE, zero: 0, request }), ...pending);
        pending = [];
        room = PART_BYTES;
      }
      pending.push(at === 0 ? part : part.subarray(at));
      room -= part.length - at;
    }
    await this.#channel.send(messageHead.encode({ kind, flags: 0, zero: 0, request }), ...pending);
  }

  /** The head, and the pieces behind it. */
  #split(frame: readonly Uint8Array[]): Part {
    const [piece = EMPTY, ...others] = frame;
    // Pieces are as long as the network cut them: a head may be in two.
    const first = piece.length < messageHead.size ? Buffer.concat(frame) : piece;
    if (first.length < messageHead.size) throw new ProtocolError(`Receive message: it has '${first.length}' bytes, a head has '${messageHead.size}'`);
    const { kind, flags, zero, request } = messageHead.view(first);
    const pieces = [first.subarray(messageHead.size), ...(first === piece ? others : [])];
    const length = pieces.reduce((sum, { length: bytes }) => sum + bytes, 0);
    const bytesMax = this.#bytesMax(kind);
    if (bytesMax < 0) throw new ProtocolError(`Receive message ${request}: no message of kind '${kind}' is expected here`);
    if ((flags & ~MORE) !== 0 || zero !== 0) throw new ProtocolError(`Receive message ${request}: it has flags '${flags}' and '${zero}' where this version has none`);
    if (flags === MORE && length === 0) throw new ProtocolError(`Receive message ${request}: a part of it is empty`);
    if (length > bytesMax) throw tooLong(kind, length);
    return { kind, request, pieces, length, more: flags === MORE };
  }

  /** @returns where the next pieces go. */
  #append(pieces: readonly Uint8Array[], start: number): number {
    const end = pieces.reduce((at, { length }) => at + length, start);
    if (end > this.#body.length) {
      const grown = new Uint8Array(Math.max(this.#body.length * 2, end, PART_BYTES * 2));
      grown.set(this.#body.subarray(0, start));
      this.#body = grown;
    }
    let at = start;
    for (const piece of pieces) {
      this.#body.set(piece, at);
      at += piece.length;
    }
    return end;
  }

  #take(length: number): Uint8Array {
    const body = this.#body.subarray(0, length);
    if (this.#body.length > KEPT_BYTES) this.#body = new Uint8Array(0);
    return body;
  }
}

function tooLong(kind: number, length: number): ProtocolError {
  return new ProtocolError(`Receive message of kind '${kind}': it has '${length}' bytes or more, which is too long`);
}
