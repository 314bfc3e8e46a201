/** Two streams in memory that are each other's far ends, for tests that stand in the middle. */
import { Duplex } from 'node:stream';

/** What happens to bytes on their way: pieces that arrive instead. */
export type Tamper = (chunk: Buffer) => readonly Uint8Array[];

class End extends Duplex {
  other: End | undefined;
  readonly #tamper: Tamper;
  #flowing: (() => void) | undefined;

  constructor(tamper: Tamper) {
    super({ allowHalfOpen: false });
    this.#tamper = tamper;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    let wanted = true;
    for (const piece of this.#tamper(chunk)) wanted = this.other?.push(Buffer.from(piece)) ?? true;
    if (wanted) setImmediate(done);
    else if (this.other !== undefined) this.other.#flowing = done;
  }

  override _read(): void {
    const resume = this.#flowing;
    this.#flowing = undefined;
    if (resume !== undefined) setImmediate(resume);
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { other } = this;
    // As a socket that is reset: what is on its way still arrives.
    setImmediate(() => { if (other !== undefined && !other.destroyed && !other.readableEnded) other.push(null); });
    done(error);
  }
}

const unchanged: Tamper = (chunk) => [chunk];

/** Client's end and server's end; `toServer` and `toClient` stand between them. */
export function duplexPair(toServer: Tamper = unchanged, toClient: Tamper = unchanged): readonly [Duplex, Duplex] {
  const [client, server] = [new End(toServer), new End(toClient)];
  client.other = server;
  server.other = client;
  return [client, server];
}
