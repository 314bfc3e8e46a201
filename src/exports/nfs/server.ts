/** A read-only NFS server: NFS 3, MOUNT 3 and a portmapper on one TCP port. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { ToolError, type FileTree, type NodeId } from '../../core/index.ts';
import { mountProgram } from './mount.ts';
import { nfsProgram } from './nfs.ts';
import { portmapProgram } from './portmap.ts';
import { serveConnection } from './record-stream.ts';
import { RpcDispatcher } from './rpc.ts';
import { ServedTree } from './served-tree.ts';

/** How a tree is served. */
export interface NfsOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** A second port for the portmapper: 111 where clients look for it. */
  readonly portmapPort?: number;
  /** Node that is the root of the export; default the tree's. */
  readonly root?: NodeId;
  /** Random bytes, never used before: they seal file handles. */
  readonly key: Uint8Array;
  /** Connections at a time, each of which may hold some 2 MiB. Default 32. */
  readonly connectionsMax?: number;
  /** Content that could not be read; a fault of the server. Must not throw. */
  onProblem(error: unknown): void;
}

const CONNECTIONS_MAX = 32;

/** See the file's header. */
export class NfsServer {
  readonly host: string;
  readonly #served: ServedTree;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #running = new Set<Promise<void>>();
  readonly #options: NfsOptions;

  private constructor(served: ServedTree, options: NfsOptions) {
    this.#served = served;
    this.#options = options;
    this.host = options.host;
  }

  /** Listens. The tree is the caller's, who closes it after the server. @throws {ToolError} an address cannot be had. */
  static async listen(tree: FileTree, options: NfsOptions): Promise<NfsServer> {
    const served = new ServedTree(tree, options.root ?? tree.rootId, options);
    const server = new NfsServer(served, options);
    try {
      await server.#listen(options.port);
      if (options.portmapPort !== undefined) await server.#listen(options.portmapPort);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** The port of all programs. */
  get port(): number {
    return (this.#servers[0]?.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Live connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Ends all connections; resolves when nothing is open any more. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => { server.close(() => { resolve(); }); }));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([...closed, ...this.#running]);
    await this.#served.close();
  }

  async #listen(port: number): Promise<void> {
    const { host, onProblem } = this.#options;
    const programs = [nfsProgram(this.#served, onProblem), mountProgram(this.#served)];
    const dispatcher = new RpcDispatcher([...programs, portmapProgram(programs, () => this.port)], onProblem);
    const server = createServer({ noDelay: true }, (socket) => { this.#accept(socket, dispatcher); });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => { reject(new ToolError(`Listen on '${host}:${port}' for NFS: ${error.message}`, { host, port }, error)); });
      server.listen(port, host, () => { resolve(); });
    });
    this.#servers.push(server);
  }

  #accept(socket: Socket, dispatcher: RpcDispatcher): void {
    if (this.#sockets.size >= (this.#options.connectionsMax ?? CONNECTIONS_MAX)) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    const running = serveConnection(socket, dispatcher, this.#options.onProblem);
    this.#running.add(running);
    void running.finally(() => {
      this.#sockets.delete(socket);
      this.#running.delete(running);
    });
  }
}
