/** A location as an NFS export, until a signal ends it. */
import { UsageError } from '../core/index.ts';
import { nodeWorld } from '../engine/index.ts';
import { NfsServer } from '../exports/index.ts';
import type { Context, Outcome } from './cli/context.ts';
import { errorMessage } from './entry-error.ts';
import { openLocation } from './locations/index.ts';
import { notDirectory } from './next-step.ts';

const PORTMAP_PORT = 111;
const HANDLE_KEY_BYTES = 32;

/** Where it listens. */
export interface NfsAddress {
  readonly host: string;
  readonly port: number;
  /** Also on port 111, where clients ask that are not told the port. */
  readonly portmapper: boolean;
}

/** Serves a location. Resolves when it has ended; problems make exit code 3. @throws {UsageError} the location is no directory. @throws {ToolError} the address is taken. */
export async function serveNfs(context: Context, text: string, { host, port, portmapper }: NfsAddress): Promise<Outcome> {
  // Signals are for the server: a location that is cut off by them would fail the reads that are still under way.
  const location = await openLocation(text, { ...context.opening, signal: new AbortController().signal }, 'inside');
  let problems = 0;
  try {
    const { tree, id } = await location.browse();
    const { type } = await tree.stat(id);
    if (type !== 'directory') throw new UsageError(`Serve '${text}': ${await notDirectory(location, type)}`);
    const server = await NfsServer.listen(tree, {
      host, port, root: id, key: nodeWorld('.').randomBytes(HANDLE_KEY_BYTES), ...(portmapper ? { portmapPort: PORTMAP_PORT } : {}),
      onProblem: (error) => {
        problems += 1;
        context.warn(`read for a client: ${errorMessage(error)}`);
      },
    });
    const address = `${host.includes(':') ? `[${host}]` : host}:${server.port}`;
    try {
      context.warn(`${text} is served at ${address}; mount -t nfs -o vers=3,proto=tcp,nolock,ro,port=${server.port},mountport=${server.port},mountproto=tcp ${host}:/ DIRECTORY; Ctrl-C ends it`);
      await new Promise<void>((resolve) => {
        if (context.signal.aborted) resolve();
        context.signal.addEventListener('abort', () => { resolve(); }, { once: true });
      });
    } finally {
      await server.close();
    }
    for (const { where, message } of location.damage()) context.warn(`${where}: ${message}`);
    return { exitCode: problems > 0 ? 3 : 0, result: { location: text, address, problems } };
  } finally {
    await location.close();
  }
}
