/** Listening on an address of the configuration. */
import type { AddressInfo, Server } from 'node:net';
import { ToolError } from '../../core/index.ts';
import type { ListenAddress } from './config.ts';

/** Resolves when the server listens. @throws {ToolError} naming the address, when it can't be had. */
export function listen(server: Server, { host, port }: ListenAddress, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      reject(new ToolError(`Listen for ${what} on '${host}:${port}': ${error.code ?? error.message}`, { errno: error.code, host, port }, error));
    };
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

/** Where a server listens, as `ADDRESS:PORT`. */
export function addressText(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
