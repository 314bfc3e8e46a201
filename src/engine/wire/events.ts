/** What a wire server tells whoever runs it: all that logs and metrics need, so that they touch nothing of the engine. */
import type { ChannelFault, Peer } from './channel/index.ts';
import type { RequestName } from './message.layout.ts';


/** Events come in the order in which things happen on one connection. Seconds are of the clock of the server's World. */
export type WireEvent =
  /** The handshake succeeded and the peer's domain is served. `address` is what the server was told of the socket. */
  | { readonly kind: 'connected'; readonly connection: number; readonly domain: string; readonly peer: Peer; readonly address?: string }
  /** No connection came about: wrong keys, another protocol or version, no such domain, too many connections, draining. */
  | { readonly kind: 'refused'; readonly message: string; readonly fault?: ChannelFault; readonly address?: string }
  /** A connection is over. `clean`: the client said so; else `message` says what happened. `sent` and `received` are all bytes on its socket. */
  | { readonly kind: 'closed'; readonly connection: number; readonly domain: string; readonly peer: Peer; readonly clean: boolean; readonly message?: string; readonly seconds: number; readonly sent: number; readonly received: number }
  /** Bytes on the socket, framing included, since the last such event of the connection: their sum is what `closed` says. */
  | { readonly kind: 'traffic'; readonly connection: number; readonly domain: string; readonly sent: number; readonly received: number }
  /**
   * A request was answered; `code` is that of the error in the answer. `ids` were asked for or put, `known` of them were there already. `bytes` is raw
   * content that was put, `bytesNew` what of it was not there. `seconds` includes waiting for a turn.
   */
  | {
    readonly kind: 'request'; readonly connection: number; readonly domain: string; readonly request: RequestName; readonly seconds: number;
    readonly ids: number; readonly known: number; readonly bytes: number; readonly bytesNew: number; readonly code?: string;
  }
  /** Sessions: a backup began, lost its connection, came back, or ended without a snapshot (`why`). */
  | { readonly kind: 'begun' | 'detached' | 'attached'; readonly domain: string; readonly peer: Peer; readonly session: string }
  | { readonly kind: 'abandoned'; readonly domain: string; readonly peer: Peer; readonly session: string; readonly why: 'client' | 'timeout' | 'drain' | 'failure' }
  /** A snapshot was committed, and is durable. `bytes` and `bytesNew` are the client's counts. */
  | { readonly kind: 'committed'; readonly domain: string; readonly peer: Peer; readonly session: string; readonly seconds: number; readonly files: number; readonly bytes: number; readonly bytesNew: number }
  /** The repository of a domain failed for good (disk full, sync error): it answers errors until it is opened anew, which a restart of the process does. */
  | { readonly kind: 'failed'; readonly domain: string; readonly message: string };
