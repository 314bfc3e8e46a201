/** A channel after its handshake. */
import assert from 'node:assert';
import { AbortedError, type World } from '../../../core/index.ts';
import { TAG_BYTES, type HandshakeResult } from '../noise/index.ts';
import { faultError, type Channel, type ChannelCounts, type Peer } from './channel.ts';
import { FrameReader, type Frame } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { frameKinds, HEAD_BYTES, type FrameKind } from './frame.layout.ts';
import type { Transport } from './transport.ts';

/** Pauses of a live channel, milliseconds. */
export interface Pace {
  readonly world: Pick<World, 'sleep'>;
  readonly keepAliveMs: number;
  readonly silenceMs: number;
}

/** Milliseconds that a peer has to close after we said the end. */
const LINGER_MS = 5_000;
/** A reason, so that none is made: a DOMException costs more than a key agreement. */
const CLOSED = 'closed';
const NOTHING: readonly Uint8Array[] = [];

/** Messages over a transport under the keys of a handshake. It owns the transport. */
export class FramedChannel implements Channel {
  readonly peer: Peer;
  readonly #transport: Transport;
  readonly #writer: FrameWriter;
  readonly #reader: FrameReader;
  readonly #pace: Pace;
  /** The last send that waits for its turn; undefined when none does. */
  #lastTurn: Promise<void> | undefined;
  #ending = false;
  #endSaid = false;
  #drained: Promise<void> | undefined;
  #peerEnded = false;
  #receiving = false;
  #sentLately = false;
  #destroyed: Error | undefined;

  constructor(peer: Peer, transport: Transport, keys: Pick<HandshakeResult, 'send' | 'receive'>, pace: Pace) {
    this.peer = peer;
    this.#transport = transport;
    this.#writer = new FrameWriter(keys.send);
    this.#reader = new FrameReader(keys.receive);
    this.#pace = pace;
  }

  get counts(): ChannelCounts {
    return { sent: this.#transport.outbound.sent, received: this.#transport.inbound.received };
  }

  /** A client's first frame: it has the keys, and does not only repeat what another one said. */
  sendProof(): void {
    this.#write(frameKinds.keepAlive, NOTHING);
  }

  /** Waits for {@link sendProof} of the client. @throws {ProtocolError} */
  async receiveProof(): Promise<void> {
    const frame = await this.#nextFrame();
    if (frame?.kind !== frameKinds.keepAlive) throw this.#fail(faultError('malformed', 'Accept a channel: the client did not begin with an empty frame'));
  }

  /** Sends a frame when nothing was sent for a while, and gives up on a peer that is silent while somebody waits for it. Ends with the connection. */
  async watch(): Promise<void> {
    const { keepAliveMs, silenceMs } = this.#pace;
    let silent = 0;
    let received = 0;
    while (await this.#sleep(keepAliveMs)) {
      if (!this.#sentLately && !this.#ending && this.#transport.outbound.hasRoom) this.#write(frameKinds.keepAlive, NOTHING);
      this.#sentLately = false;
      // Within a frame, its peer's empty frames are no progress: a length that was changed on the way would be waited for for ever.
      const heard = this.counts.received - received > (this.#reader.within ? 2 * (HEAD_BYTES + TAG_BYTES) : 0);
      received = this.counts.received;
      silent = heard || !this.#receiving ? 0 : silent + keepAliveMs;
      if (silent >= silenceMs) this.#fail(faultError('silent', `Receive a frame: the peer was silent for '${silent}' milliseconds, allowed less than '${silenceMs}'`));
    }
  }

  send(...parts: readonly Uint8Array[]): Promise<void> {
    if (this.#ending) return Promise.reject(faultError('cut', 'Send a message: this end of the channel has said its end'));
    if (this.#lastTurn === undefined && this.#transport.outbound.hasRoom) return this.#sendNow(parts);
    const turn = this.#inTurn(this.#lastTurn, parts);
    const settled = turn.then(() => undefined, () => undefined); // who called learns of a failure; the next in the queue meets it itself
    this.#lastTurn = settled;
    void settled.then(() => { if (this.#lastTurn === settled) this.#lastTurn = undefined; });
    return turn;
  }

  async receive(): Promise<readonly Uint8Array[] | undefined> {
    assert(!this.#receiving, 'a channel has one receiver at a time');
    this.#receiving = true;
    try {
      await this.#drained;
      let frame = await this.#nextFrame();
      while (frame?.kind === frameKinds.keepAlive) frame = await this.#nextFrame();
      return frame?.text;
    } finally {
      this.#receiving = false;
    }
  }

  async end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    try {
      await this.#lastTurn;
      this.#write(frameKinds.end, NOTHING);
      this.#endSaid = true;
      if (this.#peerEnded) await this.#transport.end();
      else await this.#transport.outbound.room();
    } catch { // the connection is lost, so it is closed
      return;
    }
    void this.#linger();
    if (!this.#receiving) this.#drained = this.#drain();
  }

  destroy(error: Error = new AbortedError()): void {
    this.#fail(error);
  }

  async #inTurn(before: Promise<void> | undefined, parts: readonly Uint8Array[]): Promise<void> {
    await before;
    await this.#transport.outbound.room();
    await this.#sendNow(parts);
  }

  async #sendNow(parts: readonly Uint8Array[]): Promise<void> {
    this.#write(frameKinds.message, parts);
    if (!this.#transport.outbound.hasRoom) await this.#transport.outbound.room();
  }

  #write(kind: FrameKind, parts: readonly Uint8Array[]): void {
    this.#transport.outbound.write(this.#writer.seal(kind, parts));
    this.#sentLately = true;
  }

  /** The next frame; undefined after the peer's end. What had arrived before a connection was lost is handed out first. */
  async #nextFrame(): Promise<Frame | undefined> {
    const { inbound } = this.#transport;
    for (;;) {
      if (this.#destroyed !== undefined) throw this.#destroyed;
      if (this.#peerEnded) return undefined;
      const frame = this.#readFrame();
      if (frame?.kind === frameKinds.end) this.#takeEnd();
      else if (frame !== undefined) return frame;
      else if (inbound.ended) throw this.#fail(this.#transport.failure ?? faultError('cut', 'Receive a frame: the connection was cut before its authenticated end'));
      else await inbound.wait();
    }
  }

  /** Both ends have been said: nothing is left to wait for. Only then the stream is closed, as many streams cannot be open in one direction only. */
  #takeEnd(): void {
    this.#peerEnded = true;
    if (this.#endSaid) void this.#transport.end().catch(() => undefined); // lost, so closed
  }

  /** After our end, with no receiver: waits for the peer's; what it still sends is dropped. */
  async #drain(): Promise<void> {
    try {
      while (await this.#nextFrame() !== undefined);
    } catch { // the next receiver learns of it
    }
  }

  #readFrame(): Frame | undefined {
    try {
      return this.#reader.next(this.#transport.inbound);
    } catch (error) {
      throw this.#fail(error as Error);
    }
  }

  /** Drops the connection for a reason; the first one stays. */
  #fail(error: Error): Error {
    this.#destroyed ??= error;
    this.#transport.destroy(error);
    return this.#destroyed;
  }

  /** Gives the peer time to read our end, and to say its own. */
  async #linger(): Promise<void> {
    if (await this.#sleep(LINGER_MS)) this.#fail(faultError('silent', `Close a channel: the peer did not close for '${LINGER_MS}' milliseconds`));
  }

  /** False when the connection is closed before the time is over. */
  async #sleep(milliseconds: number): Promise<boolean> {
    const closing = new AbortController();
    const stopListening = this.#transport.onClosed(() => { closing.abort(CLOSED); });
    if (!closing.signal.aborted) await this.#pace.world.sleep(milliseconds, closing.signal);
    stopListening();
    return !closing.signal.aborted;
  }
}
