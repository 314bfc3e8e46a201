/**
 * A consistent copy of a repository while others write to it: all objects are created once, so it only matters what is copied before what. A session is announced
 * first, so that no collector takes a container away; then the snapshots are listed, then everything they may need is copied, and the manifests last. Needs no key.
 */
import { AbortedError, BusyError, IntegrityError, NotFoundError, UsageError, equalBytes, readObject, type ObjectRow, type ObjectStore, type World } from '../../core/index.ts';
import { DiskObjects } from '../objects/index.ts';
import { PARITY_DIRECTORY } from '../parity/index.ts';
import { listManifests } from '../snapshots/manifest.ts';
import { checkEmpty, layOut, probeConfig, readConfig } from './config.ts';
import { Session } from './session.ts';
import { WriterLock, cacheIdentity } from './writer.ts';

/** How to copy. */
export interface CloneOptions {
  readonly signal?: AbortSignal;
  /** Bytes of objects copied or found there. */
  onProgress?(progress: { readonly objects: number; readonly bytes: number; readonly totalObjects: number; readonly totalBytes: number }): void;
}

/** What was copied. Objects that were there already have not been read again. */
export interface CloneReport {
  readonly id: string;
  readonly snapshots: number;
  readonly objects: number;
  readonly objectsCopied: number;
  readonly bytesCopied: number;
}

const PIECE_BYTES = 1 << 20;
const CONFIG_BYTES_MAX = 65_536;
/**
 * What snapshots may need, in this order; keys first, so that what is there can be read as soon as it is there. What a collector decided in one place says nothing
 * about the other, so its lists stay where they are.
 */
const DIRECTORIES = ['keys', 'containers'] as const;

async function copyObject(from: ObjectStore, to: ObjectStore, row: Pick<ObjectRow, 'name'>, signal: AbortSignal | undefined): Promise<number> {
  const reader = await from.open(row.name);
  try {
    const writer = await to.create(row.name);
    try {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, reader.size));
      for (let at = 0; at < reader.size; at += piece.length) {
        if (signal?.aborted === true) throw new AbortedError();
        const part = piece.subarray(0, Math.min(piece.length, reader.size - at));
        await reader.readInto(at, part);
        await writer.append(part);
      }
      await writer.commit().catch((error: unknown) => {
        if (!(error instanceof BusyError)) throw error; // another clone was faster with the same bytes
      });
      return reader.size;
    } finally {
      await writer.abandon();
    }
  } finally {
    await reader.close();
  }
}

/** @throws {BusyError} the target holds another repository, or something else. */
async function copyConfig(from: ObjectStore, to: ObjectStore, target: CloneSide): Promise<void> {
  const accept = (size: number): void => {
    if (size > CONFIG_BYTES_MAX) throw new IntegrityError(`Clone repository: a 'config' has '${size}' bytes, at most '${CONFIG_BYTES_MAX}' are expected`);
  };
  const own = await readObject(from, 'config', accept);
  if ((await probeConfig(to)).match === 'no') await (target.objects === undefined ? layOut(target.world, to) : checkEmpty(to));
  try {
    await to.put('config', own);
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    if (!equalBytes(own, await readObject(to, 'config', accept))) throw new BusyError(`Clone repository to '${to.place}': there is another one`);
  }
}

async function rowsOf(store: ObjectStore, directory: string): Promise<readonly ObjectRow[]> {
  const rows: ObjectRow[] = [];
  for await (const page of store.list(directory)) rows.push(...page);
  return rows;
}

async function copyAll(from: ObjectStore, to: ObjectStore, target: CloneSide, options: CloneOptions): Promise<CloneReport> {
  const { id } = await readConfig(from);
  const snapshots = new Set((await listManifests(from)).map((one) => `manifests/${one}`));
  await copyConfig(from, to, target);
  if ((await rowsOf(to, 'condemned')).length > 0) {
    throw new BusyError(`Clone repository to '${to.place}': garbage was collected there, so what is missing there may have been removed on purpose; clone into a new place`);
  }
  const wanted: ObjectRow[] = [];
  for (const directory of DIRECTORIES) wanted.push(...await rowsOf(from, directory));
  wanted.push(...(await rowsOf(from, 'manifests')).filter(({ name }) => snapshots.has(name)));
  // Sidecars last, and only of what is copied: one without its object would say that the object was lost.
  const copied = new Set(['config', ...wanted.map(({ name }) => name)]);
  wanted.push(...(await rowsOf(from, PARITY_DIRECTORY)).filter(({ name }) => copied.has(name.slice(PARITY_DIRECTORY.length + 1))));
  const present = new Map<string, number>();
  for (const directory of [...DIRECTORIES, 'manifests', PARITY_DIRECTORY]) for (const { name, size } of await rowsOf(to, directory)) present.set(name, size);
  const totalBytes = wanted.reduce((sum, { size }) => sum + size, 0);
  const report = { objectsCopied: 0, bytesCopied: 0, snapshots: snapshots.size };
  let bytes = 0;
  for (const [done, row] of wanted.entries()) {
    options.onProgress?.({ objects: done, bytes, totalObjects: wanted.length, totalBytes });
    const there = present.get(row.name);
    const mayDiffer = row.name.startsWith(`${PARITY_DIRECTORY}/`); // a repair makes other sidecars of the same object
    if (there !== undefined && there !== row.size && !mayDiffer) {
      throw new IntegrityError(`Clone object '${row.name}': it has '${row.size}' bytes, and '${there}' in '${to.place}': one of the two is damaged`, { object: row.name });
    }
    if (there === undefined) {
      report.bytesCopied += await copyObject(from, to, row, options.signal).catch((error: unknown) => {
        if (error instanceof NotFoundError && row.name.startsWith('containers/')) throw new BusyError(`Clone object '${row.name}': it was removed meanwhile; run it again`);
        if (!(error instanceof NotFoundError)) throw error;
        if (snapshots.has(row.name)) report.snapshots -= 1; // forgotten and removed meanwhile
        return 0;
      });
      report.objectsCopied += 1;
    }
    bytes += row.size;
  }
  return { id, objects: wanted.length, ...report };
}

/** One side: a repository beside the caches of a world's disk, or objects elsewhere with caches there. */
export interface CloneSide {
  readonly world: World;
  readonly objects?: ObjectStore;
}

/** @throws {UsageError} the copy would be, or be in, the repository itself. */
function assertApart(source: CloneSide, target: CloneSide): void {
  const placeOf = (side: CloneSide): string => side.objects?.place ?? side.world.disk.nativePath('') ?? '';
  const [from, to] = [placeOf(source), placeOf(target)];
  if (from === '' || (to !== from && !to.startsWith(`${from}/`))) return;
  throw new UsageError(`Clone repository to '${to}': that is in the repository '${from}' itself`);
}

/** Staged files of a process are safe from others as long as it holds a writer's lock. */
async function withStore<T>(side: CloneSide, use: (objects: ObjectStore, lock: WriterLock) => Promise<T>): Promise<T> {
  const lock = await WriterLock.take(side.world, await cacheIdentity(side));
  try {
    return await use(side.objects ?? new DiskObjects(side.world, lock.writer.id), lock);
  } finally {
    await lock.release();
  }
}

/**
 * Copies a repository into another place, or brings an older copy up to date; nothing is removed there. When it resolves the copy is durable, and holds all snapshots
 * that were there when it began and were not forgotten meanwhile. Whether its bytes are sound, `check` tells.
 * @throws {NotFoundError} no repository. @throws {BusyError} the target holds another one. @throws {IntegrityError} an object differs in size.
 * @throws {AbortedError} what was copied stays.
 */
export async function cloneRepository(source: CloneSide, target: CloneSide, options: CloneOptions = {}): Promise<CloneReport> {
  await readConfig(source.objects ?? new DiskObjects(source.world, '')); // before anything is written anywhere
  assertApart(source, target);
  return withStore(source, (from, { writer }) => withStore(target, async (to) => {
    // Honours no list at all, so that nothing which is not decided yet is taken away.
    const session = await Session.announce(source.world, from, 0, { writer, purpose: 'backup' });
    try {
      return await copyAll(from, to, target, options);
    } finally {
      await session.end();
    }
  }));
}
