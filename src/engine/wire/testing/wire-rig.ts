/** A server and clients in one process, over duplexes or sockets, for tests and benchmarks. */
import { once } from 'node:events';
import * as net from 'node:net';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { World } from '../../../core/index.ts';
import { nodeWorld } from '../../world/index.ts';
import { RemoteRepository, type RemoteOptions } from '../../repository/remote-repository.ts';
import type { Repository } from '../../repository/repository.ts';
import { connectChannel } from '../channel/index.ts';
import type { WireEvent } from '../events.ts';
import { WireServer } from '../server.ts';

/** How a rig behaves. */
export interface RigOptions {
  readonly resumeMs?: number;
  readonly clientResumeMs?: number;
  readonly connectionsMax?: number;
  readonly workers?: number;
  /** Each byte of the site key. */
  readonly key?: number;
}

/** So that a frame whose length was changed on the way is given up soon. */
const PACE = { keepAliveMs: 300, silenceMs: 1_500 } as const;

/** One domain `'main'` behind a site key. */
export class WireRig {
  readonly server: WireServer;
  readonly events: WireEvent[] = [];
  readonly key: Uint8Array;
  /** Connections live in real time, whatever the repository lives in. */
  readonly #world: World = nodeWorld('.');
  readonly #options: RigOptions;
  #listener: net.Server | undefined;

  constructor(repository: Repository, options: RigOptions = {}) {
    this.#options = options;
    this.key = new Uint8Array(32).fill(options.key ?? 7);
    this.server = new WireServer({
      world: this.#world, domains: new Map([['main', repository]]), onEvent: (event) => { this.events.push(event); },
      credentials: { siteKeys: [{ domain: 'main', key: this.key }], identity: undefined, findHost: () => Promise.resolve(undefined) },
      channel: PACE,
      ...(options.resumeMs === undefined ? {} : { resumeMs: options.resumeMs }), ...(options.connectionsMax === undefined ? {} : { connectionsMax: options.connectionsMax }),
    });
  }

  /** One end of a new connection that the server serves. */
  duplex(): Duplex {
    const [client, server] = memoryPair();
    void this.server.accept(server);
    return client;
  }

  /** Opens a repository over connections that `dial` makes; by default in memory. */
  connect(dial: () => Duplex | Promise<Duplex> = () => this.duplex(), more: Partial<RemoteOptions> = {}): Promise<RemoteRepository> {
    const { clientResumeMs, workers } = this.#options;
    return RemoteRepository.open({
      world: this.#world, place: 'holdfast://rig',
      open: async () => connectChannel(await dial(), { kind: 'site', key: this.key }, { world: this.#world, ...PACE }),
      ...(clientResumeMs === undefined ? {} : { resumeMs: clientResumeMs }), ...(workers === undefined ? {} : { workers }), ...more,
    });
  }

  /** Listens on loopback. @returns the port. */
  async listen(): Promise<number> {
    const listener = net.createServer({ noDelay: true }, (socket) => { void this.server.accept(socket); });
    this.#listener = listener;
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return (listener.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#listener?.close();
    await this.server.drain(0);
  }
}

/** Two ends of a connection in memory: when one is destroyed, the other one is cut off, as with sockets. */
export function memoryPair(): readonly [Duplex, Duplex] {
  const [a, b] = duplexPair();
  for (const [one, other] of [[a, b], [b, a]] as const) one.on('close', () => { if (!one.writableFinished) other.destroy(); });
  return [a, b];
}

/** A socket to a port of this host. */
export async function dialPort(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}
