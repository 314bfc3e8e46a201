/** A stream as both sides of a channel see it: bytes in, bytes out, and one reason when it is lost. */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AbortedError } from '../../../core/index.ts';
import { faultError } from './channel.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';

/** Owns a stream from the moment it is made: it reads at once, and takes all errors of the stream. */
export class Transport {
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  readonly #duplex: Duplex;
  readonly #closers = new Set<() => void>();
  #reason: (() => Error) | undefined;
  #failure: Error | undefined;

  constructor(duplex: Duplex, signal?: AbortSignal) {
    this.#duplex = duplex;
    // A TCP socket would hold small frames back until the peer has acknowledged the ones before: 40 ms each.
    if (duplex instanceof Socket) duplex.setNoDelay(true);
    this.inbound = new Inbound(duplex);
    this.outbound = new Outbound(duplex);
    const abort = (): void => { this.destroy(new AbortedError()); };
    duplex.on('error', (error: NodeJS.ErrnoException) => { this.#lost(error); });
    duplex.on('close', () => {
      signal?.removeEventListener('abort', abort);
      this.#lost();
    });
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    if (duplex.destroyed) this.#lost();
  }

  /** Why the connection is lost or closed; undefined while it is not, and when the peer only ended its side. */
  get failure(): Error | undefined {
    this.#failure ??= this.#reason?.(); // made when asked for: most connections end without a fault, and an error is costly
    return this.#failure;
  }

  /** Calls back once when nothing more can be sent or received, at once when that is so already. @returns a function that takes this back. */
  onClosed(callback: () => void): () => void {
    if (this.#reason !== undefined) callback();
    else this.#closers.add(callback);
    return () => { this.#closers.delete(callback); };
  }

  /** Ends our side; resolves when the stream has taken all that was written. Rejects when the connection is lost before. */
  end(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopListening = this.onClosed(() => { reject(this.failure ?? new AbortedError()); });
      this.#duplex.end(() => {
        stopListening();
        resolve();
      });
    });
  }

  /** Drops the connection. The first reason stays. */
  destroy(error: Error): void {
    this.#close(() => error);
    this.#duplex.destroy();
  }

  #lost(error?: NodeJS.ErrnoException): void {
    this.#close(() => faultError('cut', `Use a channel: the connection was cut${error?.code === undefined ? '' : `: ${error.code}`}`, error));
  }

  #close(reason: () => Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.outbound.fail(() => this.failure ?? new AbortedError());
    this.inbound.end();
    for (const callback of this.#closers) callback();
  }
}
