/** Repositories behind a daemon: `holdfast://HOST[:PORT][/DOMAIN]`. */
import { once } from 'node:events';
import * as net from 'node:net';
import { ToolError, UsageError, type World } from '../core/index.ts';
import { RemoteRepository, connectChannel, nodeWorld, readClientCredentials, type Channel } from '../engine/index.ts';
import { makeCache, type CacheChoice } from './cache-directory.ts';

/** What a location of that kind says. */
export interface DaemonPlace {
  readonly host: string;
  readonly port: number;
  /** Name of the domain that is expected there; the key alone decides which one it is. */
  readonly domain?: string;
}

/** How to open one. */
export interface DaemonOptions extends CacheChoice {
  /** File with the key of the site or of this host. Default: HOLDFAST_WIRE_KEY_FILE. */
  readonly wireKey?: string | undefined;
  /** Worker threads. */
  readonly workers?: number;
  /** Milliseconds for which a broken connection is made anew. Default 120,000. */
  readonly resumeMs?: number;
  onNote?(text: string): void;
}

/** Port of daemons unless a location names one. */
const PORT = 9104;
const CONNECT_MS = 10_000;
/** Name of the directory for what daemons sent, beside those of repositories in buckets. */
const CACHE = 'daemons';
const SYNTAX = /^holdfast:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]@?#]+))(?::(\d{1,5}))?(?:\/([A-Za-z0-9][A-Za-z0-9._-]*)?)?$/;

/** Whether a text names a place behind a daemon. */
export function isDaemonPlace(text: string): boolean {
  return text.startsWith('holdfast://');
}

/** Parts of a location. @throws {UsageError} */
export function parseDaemonPlace(text: string): DaemonPlace {
  const [, address, name, port = String(PORT), domain] = SYNTAX.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) throw new UsageError(`Open '${text}': write holdfast://HOST[:PORT][/DOMAIN], such as 'holdfast://backup.example:${PORT}'`, { root: text });
  return { host, port: Number(port), ...(domain === undefined ? {} : { domain }) };
}

async function dial(text: string, { host, port }: DaemonPlace): Promise<net.Socket> {
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) });
    return socket;
  } catch (error) {
    socket.destroy();
    const code = (error as NodeJS.ErrnoException).name === 'AbortError' ? `no answer within ${CONNECT_MS / 1000} s` : (error as NodeJS.ErrnoException).code ?? String(error);
    throw new ToolError(`Connect to '${text}': ${code}; is a daemon there, 'listen.wire' in its configuration?`, { errno: code }, error);
  }
}

/** Keeps pages of directories; a host where nothing can be written, such as one that is being rescued, goes without. */
async function cacheOf({ cacheDirectory, onNote }: DaemonOptions): Promise<{ readonly cache?: World }> {
  try {
    return { cache: await makeCache({ cacheDirectory }, CACHE) };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    onNote?.(`pages of directories are not kept on this host: ${error.message}`);
    return {};
  }
}

/**
 * Opens the repository behind a daemon. Close it when done.
 * @throws {UsageError} bad syntax, no key file, or one that others may read. @throws {ToolError} nobody answers. @throws {ProtocolError} it refuses the key.
 * @throws {NotFoundError} the key is for another domain than the location names.
 */
export async function openDaemonRepository(text: string, options: DaemonOptions = {}): Promise<RemoteRepository> {
  const { wireKey, cacheDirectory: _, ...rest } = options;
  const place = parseDaemonPlace(text);
  const file = wireKey ?? process.env['HOLDFAST_WIRE_KEY_FILE'] ?? '';
  if (file === '') throw new UsageError(`Open '${text}': name the file with the key of the site or of this host, by --wire-key FILE or HOLDFAST_WIRE_KEY_FILE`, { root: text });
  const credentials = readClientCredentials(file);
  const world = nodeWorld('.');
  const open = async (): Promise<Channel> => connectChannel(await dial(text, place), credentials, { world });
  return RemoteRepository.open({ world, place: text, open, ...await cacheOf(options), ...(place.domain === undefined ? {} : { domain: place.domain }), ...rest });
}
