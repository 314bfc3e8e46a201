/**
 * One process of the wire benchmark: `daemon REPOSITORY` serves it on a port that it prints, and then its processor seconds so far for each line of input; `local REPOSITORY SOURCE PARENT` and
 * `remote PORT SOURCE PARENT [CACHE]` back up and print what it took as JSON; a client keeps pages of directories in the directory CACHE.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import { utf8, type FileTree } from '../../src/core/index.ts';
import { RemoteRepository, Repository, WireServer, connectChannel, nodeWorld, type BackupResult } from '../../src/engine/index.ts';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { keepProcessSmall } from '../../src/services/process-memory.ts';

/** What one backup took. */
export interface BackupFigures {
  readonly seconds: number;
  readonly bytes: number;
  readonly files: number;
  readonly bytesNew: number;
  readonly sent: number;
  readonly received: number;
  /** Processor time of the process that reads, cuts and compresses. */
  readonly cpuSeconds: number;
}

/** What the daemon's process took. */
export interface DaemonFigures {
  /** For the first backup. */
  readonly cpuSeconds: number;
  readonly residentBytesMax: number;
}

const KEY = new Uint8Array(32).fill(3);
const DOMAIN = 'bench';

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function daemon(directory: string): Promise<void> {
  const world = nodeWorld(directory);
  const repository = (await Repository.probe(world)).match === 'no' ? await Repository.create(world) : await Repository.open(world, { mode: 'write' });
  const server = new WireServer({
    world, domains: new Map([[DOMAIN, repository]]), onEvent: () => undefined,
    credentials: { siteKeys: [{ domain: DOMAIN, key: KEY }], identity: undefined, findHost: () => Promise.resolve(undefined) },
  });
  const listener = net.createServer({ noDelay: true }, (socket) => { void server.accept(socket); }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  console.log((listener.address() as net.AddressInfo).port);
  process.stdin.on('data', () => { console.log(cpuSeconds()); });
  await once(process.stdin, 'end');
  listener.close();
  await server.drain(1_000);
  await repository.close();
  console.log(Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) * 1024);
}

async function measure(source: string, parent: string, backup: (tree: FileTree, options: { sources: readonly string[]; parent?: string }) => Promise<BackupResult>): Promise<Omit<BackupFigures, 'sent' | 'received'>> {
  const tree = new PosixTree({ root: utf8(source) });
  const begun = performance.now();
  const { bytes, files, bytesNew } = await backup(tree, { sources: [source], ...(parent === 'auto' ? { parent } : {}) });
  const seconds = (performance.now() - begun) / 1000;
  await tree.close();
  return { seconds, bytes, files, bytesNew, cpuSeconds: cpuSeconds() };
}

async function local(directory: string, source: string, parent: string): Promise<BackupFigures> {
  const world = nodeWorld(directory);
  const repository = (await Repository.probe(world)).match === 'no' ? await Repository.create(world) : await Repository.open(world, { mode: 'write' });
  const figures = await measure(source, parent, (tree, options) => repository.backup(tree, options));
  await repository.close();
  return { ...figures, sent: 0, received: 0 };
}

async function remote(port: number, source: string, { parent, cache }: { readonly parent: string; readonly cache: string | undefined }): Promise<BackupFigures> {
  const world = nodeWorld('.');
  const open = async (): ReturnType<typeof connectChannel> => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return connectChannel(socket, { kind: 'site', key: KEY }, { world });
  };
  const repository = await RemoteRepository.open({ world, place: `holdfast://127.0.0.1:${port}`, open, ...(cache === undefined ? {} : { cache: nodeWorld(cache) }) });
  const figures = await measure(source, parent, (tree, options) => repository.backup(tree, options));
  await repository.close();
  return { ...figures, ...repository.wireBytes };
}

// As the command line does for clients and the daemon.
keepProcessSmall();
const [role = '', place = '', source = '', parent = 'none', cache] = process.argv.slice(2);
if (role === 'daemon') await daemon(place);
else console.log(JSON.stringify(role === 'local' ? await local(place, source, parent) : await remote(Number(place), source, { parent, cache })));
