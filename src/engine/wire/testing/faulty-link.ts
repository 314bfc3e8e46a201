/** A TCP proxy on loopback that cuts, delays and corrupts connections at points that a seed decides. Everything it does is repeatable from the seed, but for the kernel's timing. */
import { once } from 'node:events';
import * as net from 'node:net';
import { nodeWorld } from '../../world/index.ts';

/** What happens to a connection. */
export type Fault = 'cut' | 'reset' | 'corrupt' | 'stall' | 'none';

/** How a link harms what passes. */
export interface LinkPlan {
  /** What happens to connection `number`, after how many bytes in both directions together. */
  next(number: number): { readonly fault: Fault; readonly afterBytes: number };
  /** Milliseconds that a stalled connection stands still before it is cut. Default 50. */
  readonly stallMs?: number;
}

/** See the file's header. */
export class FaultyLink {
  readonly #world = nodeWorld('.');
  readonly #listener: net.Server;
  readonly #sockets = new Set<net.Socket>();
  /** Connections so far. */
  connections = 0;
  /** Faults that came to pass, by kind. */
  readonly faults: Map<Fault, number> = new Map();
  /** Bytes that passed, by direction. */
  readonly passed: { toServer: number; toClient: number } = { toServer: 0, toClient: 0 };

  constructor(port: number, plan: LinkPlan) {
    this.#listener = net.createServer({ noDelay: true }, (client) => { this.#join(client, net.connect({ port, host: '127.0.0.1', noDelay: true }), plan); });
  }

  /** @returns the port of this host to connect to. */
  async listen(): Promise<number> {
    this.#listener.listen(0, '127.0.0.1');
    await once(this.#listener, 'listening');
    return (this.#listener.address() as net.AddressInfo).port;
  }

  /** Cuts all connections that there are now. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#listener.close();
    this.cutAll();
  }

  #join(client: net.Socket, server: net.Socket, plan: LinkPlan): void {
    const { fault, afterBytes } = plan.next(this.connections);
    this.connections += 1;
    const link = { fault, left: afterBytes, done: false };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        (socket === client ? server : client).destroy();
      });
    }
    const harm = (): void => {
      link.done = true;
      this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
      if (fault === 'reset') client.resetAndDestroy();
      else client.destroy();
      server.destroy();
    };
    const pass = (piece: Buffer, to: net.Socket, from: net.Socket): void => {
      if (link.done) return;
      if (to === server) this.passed.toServer += piece.length;
      else this.passed.toClient += piece.length;
      if (fault === 'none' || piece.length < link.left) {
        link.left -= piece.length;
        if (!to.write(piece)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        return;
      }
      if (fault === 'corrupt') {
        const at = Math.max(0, link.left - 1);
        piece[at] = (piece[at] as number) ^ 1 << (at & 7);
        link.left = Number.POSITIVE_INFINITY;
        this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
        to.write(piece);
        return;
      }
      to.write(piece.subarray(0, link.left));
      if (fault !== 'stall') harm();
      else {
        link.done = true;
        void this.#world.sleep(plan.stallMs ?? 50).then(harm);
      }
    };
    client.on('data', (piece) => { pass(piece, server, client); });
    server.on('data', (piece) => { pass(piece, client, server); });
    client.on('end', () => server.end());
    server.on('end', () => client.end());
  }
}
