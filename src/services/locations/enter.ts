/** Going into a file or directory that is itself a layer: a Bacula volume, a directory of volumes, a repository, a disk image. */
import { LimitError, defaultLimits, textOf } from '../../core/index.ts';
import type { Repository, SnapshotStore } from '../../engine/index.ts';
import type { ImageFormatName } from '../../formats/images/index.ts';
import { childPath, type TreeView } from '../trees/walk.ts';
import type { NamedKey } from './key-remarks.ts';
import type { NamedSource } from './bacula-layer.ts';
import { nameOf, openContent, openIf } from './node-source.ts';
import type { Arrival, NodePlace, OpenOptions } from './place.ts';
import { treeWorld } from './tree-world.ts';

async function closeAll(members: readonly NamedSource[]): Promise<void> {
  for (const member of members) await member.source.close();
}

/**
 * Files of a directory that are volumes, in name order. With `strict` every entry must be one, and looking ends at the
 * first that isn't: a home directory must not be probed file by file.
 */
async function volumesIn(place: NodePlace, strict: boolean): Promise<readonly NamedSource[]> {
  const { probeVolume } = await import('./bacula-layer.ts');
  const { tree, id, path: shown } = place.view;
  const found: NamedSource[] = [];
  try {
    for await (const page of tree.list(id)) {
      for (const entry of page) {
        const view: TreeView = { tree, id: entry.id, path: childPath(shown, entry.name) };
        const isFile = (entry.stat ?? (await tree.stat(entry.id))).type === 'file';
        const source = isFile ? await openIf({ kind: 'node', view }, async (one) => (await probeVolume(one)).match !== 'no') : undefined;
        if (source !== undefined) {
          found.push({ name: textOf(entry.name), source });
          if (found.length > defaultLimits.baculaVolumesMax) throw new LimitError('baculaVolumesMax', found.length, defaultLimits.baculaVolumesMax, textOf(shown));
        } else if (strict) {
          await closeAll(found);
          return [];
        }
      }
    }
  } catch (error) {
    await closeAll(found);
    throw error;
  }
  return found;
}

async function enterFile(place: NodePlace, images: boolean, options: OpenOptions): Promise<Arrival | undefined> {
  const { openVolumes, probeVolume } = await import('./bacula-layer.ts');
  const volume = await openIf(place, async (source) => (await probeVolume(source)).match !== 'no');
  if (volume !== undefined) return openVolumes([{ name: nameOf(place), source: volume }], options, 'given');
  if (!images) return undefined;
  const { enterImage } = await import('./disk-files.ts');
  return enterImage(place, options);
}

function arriveAtRepository(repository: SnapshotStore, name: string, direct?: Repository): Arrival {
  return {
    place: { kind: 'repository', repository, name, ...(direct === undefined ? {} : { direct }) },
    layer: { layer: 'repository', id: repository.id, format: repository.format, parameters: repository.config },
    owned: repository,
  };
}

function namedKeys({ keys = [], keyNames = [] }: OpenOptions): readonly NamedKey[] {
  return keys.map((bytes, i) => ({ bytes, name: keyNames[i] ?? `${i + 1}` }));
}

/** Opens the repository behind a daemon. @throws as `openRepository`. */
export async function enterDaemon(url: string, { wireKey, cacheDirectory, onNote }: OpenOptions): Promise<Arrival> {
  const { openRepository } = await import('../repositories.ts');
  return arriveAtRepository(await openRepository(url, { wireKey, cacheDirectory, ...(onNote === undefined ? {} : { onNote }) }), url);
}

/** Opens the repository at `s3://BUCKET/PREFIX`. @throws as `openRepository`. */
export async function enterBucket(url: string, options: OpenOptions): Promise<Arrival> {
  const { openDirectRepository } = await import('../repositories.ts');
  const { cacheDirectory, onNote } = options;
  const repository = await openDirectRepository(url, { keys: namedKeys(options), keysMayBeForOthers: true, cacheDirectory, ...(onNote === undefined ? {} : { onNote }) });
  return arriveAtRepository(repository, url, repository);
}

async function enterDirectory(place: NodePlace, strict: boolean, options: OpenOptions): Promise<Arrival | undefined> {
  const { Repository, nodeWorld } = await import('../../engine/index.ts');
  const world = place.hostPath === undefined ? treeWorld(place.view) : nodeWorld(place.hostPath);
  if ((await Repository.probe(world)).match !== 'no') {
    const { withCredentials } = await import('../credentials.ts');
    const opening = await withCredentials(world, { keys: namedKeys(options), keysMayBeForOthers: true, ...(options.onNote === undefined ? {} : { onNote: options.onNote }) });
    const repository = await Repository.open(world, { mode: 'read', ...opening });
    return arriveAtRepository(repository, place.hostPath ?? textOf(place.view.path), repository);
  }
  const volumes = await volumesIn(place, strict);
  if (volumes.length === 0) return undefined;
  const { openVolumes } = await import('./bacula-layer.ts');
  return openVolumes(volumes, options, 'any');
}

/** The disk in a file that is a disk image, or that has the given format; undefined when it is none. @throws as `openImage`. */
export async function enterDiskImage(place: NodePlace, options: OpenOptions, format?: ImageFormatName): Promise<Arrival | undefined> {
  const { type } = await place.view.tree.stat(place.view.id);
  if (type !== 'file') return undefined;
  const { enterImage } = await import('./disk-files.ts');
  return enterImage(place, options, format);
}

/** What counts as a layer when a node is entered. */
export interface Entering {
  /** `only`: a directory counts as volumes only if it holds nothing else. */
  readonly directories: 'no' | 'only' | 'any';
  /** Whether disk images are entered: what restores or lists files leaves them the files that they are. */
  readonly images: boolean;
}

/** Opens the layer that a node holds; undefined when it holds none that counts. */
export async function enterNode(place: NodePlace, { directories, images }: Entering, options: OpenOptions): Promise<Arrival | undefined> {
  const { type } = await place.view.tree.stat(place.view.id);
  if (type === 'file') return enterFile(place, images, options);
  if (type === 'directory' && directories !== 'no') return enterDirectory(place, directories === 'only', options);
  return undefined;
}

/** The disk that a file without a container that is known is; undefined where it is no file. @throws {UnsupportedError} it is an image of a kind that is not read. */
export async function enterPlainDisk(place: NodePlace, options: OpenOptions): Promise<Arrival | undefined> {
  if ((await place.view.tree.stat(place.view.id)).type !== 'file') return undefined;
  const { enterRaw } = await import('./disk-files.ts');
  return enterRaw(place, options);
}

/** Opens several files, in the given order: disk images with the files that they name, disks that belong together, or the volumes of one set. */
export async function enterFiles(places: readonly NodePlace[], options: OpenOptions): Promise<Arrival> {
  const { openVolumes, probeVolume } = await import('./bacula-layer.ts');
  const [first] = places;
  const volume = first === undefined ? undefined : await openIf(first, async (source) => (await probeVolume(source)).match !== 'no');
  await volume?.close();
  if (volume === undefined) {
    const { enterDisks } = await import('./disk-files.ts');
    const disks = await enterDisks(places, options);
    if (disks !== undefined) return disks;
  }
  const sources: NamedSource[] = [];
  try {
    for (const place of places) sources.push({ name: nameOf(place), source: await openContent(place) });
  } catch (error) {
    await closeAll(sources);
    throw error;
  }
  return openVolumes(sources, options, 'given');
}
