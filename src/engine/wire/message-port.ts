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
    const first = this.#split(frame);
    if (!first.more) return first;
    let length = 0;
    for (let part = first; ;) {
      this.#append(part.body, length);
      length += part.body.length;
      if (!part.more) return { kind: first.kind, request: first.request, body: this.#take(length) };
      const next = await this.#channel.receive();
      if (next === undefined) throw new ProtocolError(`Receive message ${first.request}: the connection ended within it`);
      part = this.#split(next);
      if (part.kind !== first.kind || part.request !== first.request) {
        throw new ProtocolError(`Receive message ${first.request} of kind '${first.kind}': message ${part.request} of kind '${part.kind}' is inside it`);
      }
      if (length + part.body.length > this.#bytesMax(first.kind)) throw tooLong(first.kind, length + part.body.length);
    }
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

  #split(frame: Uint8Array): Message & { readonly more: boolean } {
    if (frame.length < messageHead.size) throw new ProtocolError(`Receive message: it has '${frame.length}' bytes, a head has '${messageHead.size}'`);
    const { kind, flags, zero, request } = messageHead.view(frame);
    const body = frame.subarray(messageHead.size);
    const bytesMax = this.#bytesMax(kind);
    if (bytesMax < 0) throw new ProtocolError(`Receive message ${request}: no message of kind '${kind}' is expected here`);
    if ((flags & ~MORE) !== 0 || zero !== 0) throw new ProtocolError(`Receive message ${request}: it has flags '${flags}' and '${zero}' where this version has none`);
    if (flags === MORE && body.length === 0) throw new ProtocolError(`Receive message ${request}: a part of it is empty`);
    if (body.length > bytesMax) throw tooLong(kind, body.length);
    return { kind, request, body, more: flags === MORE };
  }

  #append(part: Uint8Array, at: number): void {
    if (at + part.length > this.#body.length) {
      const grown = new Uint8Array(Math.max(this.#body.length * 2, at + part.length, PART_BYTES * 2));
      grown.set(this.#body.subarray(0, at));
      this.#body = grown;
    }
    this.#body.set(part, at);
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
