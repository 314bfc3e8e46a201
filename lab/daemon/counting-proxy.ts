/** A proxy on loopback that counts what passes, and can make a connection slow or cut it: what the network does, seen from outside of both ends. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Transform, pipeline } from 'node:stream';
import { loopback } from '../loopback.ts';

/** See the file's header. */
export class CountingProxy {
  /** Bytes to the server and back, of all connections. */
  readonly counts: { up: number; down: number } = { up: 0, down: 0 };
  /** Bytes per second from clients; Infinity is no limit. */
  bytesPerSecond: number = Number.POSITIVE_INFINITY;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(target: number) {
    this.#server = createServer((client) => { this.#join(client, connect(target, loopback)); });
  }

  /** Listens on a free port. */
  static async start(target: number): Promise<CountingProxy> {
    const proxy = new CountingProxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, loopback, resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** All bytes so far. */
  get bytes(): number {
    return this.counts.up + this.counts.down;
  }

  /** Drops all connections, as a network does that breaks. @returns how many. */
  cut(): number {
    const count = this.#pairs.size;
    for (const [client, server] of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    return count;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }

  #join(client: Socket, server: Socket): void {
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const forget = (): void => { this.#pairs.delete(pair); };
    pipeline(client, this.#gauge('up'), server, forget);
    pipeline(server, this.#gauge('down'), client, forget);
  }

  #gauge(way: 'up' | 'down'): Transform {
    return new Transform({
      transform: (chunk: Buffer, _, done) => {
        this.counts[way] += chunk.length;
        const wait = way === 'up' ? chunk.length / this.bytesPerSecond * 1_000 : 0;
        if (wait < 1) done(null, chunk);
        else setTimeout(() => { done(null, chunk); }, wait);
      },
    });
  }
}
