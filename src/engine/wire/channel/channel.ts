/**
 * An encrypted, authenticated connection that carries messages: what a {@link Channel} is, who its ends are, and what they bring.
 * Bytes: `docs/protocol.md`, sections "Handshake" and "Frames".
 */
import { ProtocolError, type World } from '../../../core/index.ts';
import type { KeyPair } from '../noise/index.ts';

/** Bytes of the longest message. */
export const MESSAGE_BYTES_MAX: number = 1 << 20;

/** Who is at the other end, proven. Names come from the server's own files, never from the peer. */
export type Peer =
  | { readonly kind: 'server' }
  | { readonly kind: 'site'; readonly domain: string }
  | { readonly kind: 'host'; readonly domain: string; readonly name: string; readonly publicKey: Uint8Array };

/** What a client proves itself with. Buffers are only read, and must stay as they are until the channel is there. */
export type ClientCredentials =
  | { readonly kind: 'site'; readonly key: Uint8Array }
  | { readonly kind: 'host'; readonly identity: KeyPair; readonly psk: Uint8Array; readonly serverKey: Uint8Array };

/** The key that all clients of a site share; each opens one domain. */
export interface SiteKey {
  readonly domain: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** A host that may connect with its own key. */
export interface EnrolledHost {
  readonly name: string;
  readonly domain: string;
  readonly publicKey: Uint8Array;
  /** 32 bytes, shared with this host only. */
  readonly psk: Uint8Array;
}

/** What a server knows its clients by. */
export interface ServerCredentials {
  /** Tried in order; none when only enrolled hosts may connect. */
  readonly siteKeys: readonly SiteKey[];
  /** The server's static key; without it no enrolled host can connect. */
  readonly identity: KeyPair | undefined;
  /** Asked at each handshake, so that a host which is revoked is refused from then on; undefined for unknown and revoked hosts. */
  findHost(publicKey: Uint8Array): Promise<EnrolledHost | undefined>;
}

/** How a channel behaves. */
export interface ChannelOptions {
  readonly world: Pick<World, 'sleep'>;
  /** Milliseconds for the whole handshake. Default 10,000. */
  readonly handshakeMs?: number;
  /** Milliseconds without a frame of ours after which an empty one is sent. Default 15,000. */
  readonly keepAliveMs?: number;
  /** Milliseconds without a byte of the peer, while one waits for it, after which it counts as lost. Default 60,000. */
  readonly silenceMs?: number;
  /** Drops the connection with an AbortedError, during the handshake and after. */
  readonly signal?: AbortSignal;
}

/** Bytes on the socket since it was handed over, handshake and framing included. */
export interface ChannelCounts {
  readonly sent: number;
  readonly received: number;
}

/** One end of a connection. One `receive` at a time; `send` may be called at any time and keeps the order of calls. */
export interface Channel {
  readonly peer: Peer;
  readonly counts: ChannelCounts;
  /**
   * Sends one message of 1…{@link MESSAGE_BYTES_MAX} bytes: `parts` back to back. Resolves when the transport has room for the next one; then the caller
   * may change the buffers. @throws {ProtocolError} the connection is lost. @throws {AbortedError} it was destroyed.
   */
  send(...parts: readonly Uint8Array[]): Promise<void>;
  /**
   * The next message, in one or more pieces; undefined after the peer's authenticated end. The buffers are the caller's.
   * @throws {ProtocolError} cut, changed on the way, too long, silent: see {@link channelFault}. @throws {AbortedError} it was destroyed.
   */
  receive(): Promise<readonly Uint8Array[] | undefined>;
  /**
   * Sends the authenticated end. Resolves when the transport took it; never rejects, as a lost connection is closed already. Messages that the peer still
   * sends go to a `receive` that waits; without one they are dropped. The connection closes when the peer has said its end too, or after five seconds.
   */
  end(): Promise<void>;
  /** Drops the connection at once: the peer sees it cut. Whoever waits here gets `error`, or an AbortedError. */
  destroy(error?: Error): void;
}

/**
 * Why a channel failed: `cut` the connection ended without an authenticated end; `forged` a frame does not authenticate (changed, repeated, out of order);
 * `malformed` a frame that nobody of ours sends; `silent` nothing came in time; `refused` the keys do not match, or the peer speaks another version;
 * `foreign` the peer speaks another protocol.
 */
export type ChannelFault = 'cut' | 'forged' | 'malformed' | 'silent' | 'refused' | 'foreign';

/** An error of a channel; `message` says what was done and found. */
export function faultError(fault: ChannelFault, message: string, cause?: unknown): ProtocolError {
  return new ProtocolError(message, { fault }, cause);
}

const faults: ReadonlySet<unknown> = new Set<ChannelFault>(['cut', 'forged', 'malformed', 'silent', 'refused', 'foreign']);

/** Why the channel failed that threw this error; undefined for errors that no channel threw. */
export function channelFault(error: unknown): ChannelFault | undefined {
  const fault = error instanceof ProtocolError ? error.data['fault'] : undefined;
  return faults.has(fault) ? fault as ChannelFault : undefined;
}
