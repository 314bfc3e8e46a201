/** Going into a file or directory that is itself a layer: a Bacula volume, a directory of volumes, a repository, a disk image. */
import * as path from 'node:path';
import { LimitError, defaultLimits, textOf, type BlockSource } from '../../core/index.ts';
import type { Repository, SnapshotStore } from '../../engine/index.ts';
import type { DiskImage, ImageFormatName } from '../../formats/images/index.ts';
import { fileSource } from '../../fs-adapters/posix/index.ts';
import { childPath, type TreeView } from '../trees/walk.ts';
import type { NamedKey } from './key-remarks.ts';
import type { NamedSource } from './bacula-layer.ts';
import { owning, type Owner } from './owner.ts';
import type { Arrival, NodePlace, OpenOptions } from './place.ts';
import { treeWorld } from './tree-world.ts';

function openContent(place: NodePlace): Promise<BlockSource> {
  return place.hostPath === undefined ? place.view.tree.open(place.view.id) : fileSource(place.hostPath);
}

/** Opens a file if it is what is looked for; else, and when looking fails, it is closed again. */
async function openIf(place: NodePlace, isWanted: (source: BlockSource) => Promise<boolean>): Promise<BlockSource | undefined> {
  return owning(async (owner) => {
    const source = owner.own(await openContent(place));
    if (await isWanted(source)) return source;
    await owner.close();
    return undefined;
  });
}

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
  const name = textOf(place.view.path.subarray(place.view.path.lastIndexOf(0x2f) + 1));
  const volume = await openIf(place, async (source) => (await probeVolume(source)).match !== 'no');
  if (volume !== undefined) return openVolumes([{ name, source: volume }], options, 'given');
  return images ? enterImageWith([place], options) : undefined;
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
export async function enterDaemon(url: string, { wireKey, onNote }: OpenOptions): Promise<Arrival> {
  const { openRepository } = await import('../repositories.ts');
  return arriveAtRepository(await openRepository(url, { wireKey, ...(onNote === undefined ? {} : { onNote }) }), url);
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
  return type === 'file' ? enterImageWith([place], options, format) : undefined;
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

function nameOf(place: NodePlace): string {
  return path.posix.basename(textOf(place.view.path));
}

/** The first of several files as an image that may name the others; undefined when it is none, and no `format` says so. */
async function enterImageWith(places: readonly NodePlace[], options: OpenOptions, format?: ImageFormatName): Promise<Arrival | undefined> {
  const [first, ...others] = places;
  if (first === undefined) return undefined;
  const { arriveAtDisk, arriveAtDisks, imageFormat, openImageFile } = await import('./image-layer.ts');
  const files = others.map((place) => ({ name: nameOf(place), open: () => openContent(place) }));
  let is = format;
  const source = await openIf(first, async (one) => (is ??= await imageFormat(one)) !== undefined);
  if (source === undefined) return undefined;
  return owning(async (owner) => {
    let used = 0;
    const image = owner.own(await openImageFile(source, { name: nameOf(first), files, format: is }, options, () => { used += 1; }));
    if (others.length === 0 || used > 0) return arriveAtDisk(image, nameOf(first));
    // It names none of the others: they are disks that belong with it.
    return arriveAtDisks([image, ...await openDisks(others, options, owner)], places.map(nameOf));
  });
}

/** A file as a disk: as its `format` says, else as it is. @throws {UnsupportedError} it is an image of a kind that is not read. @throws as `openImage`. */
async function openDisk(place: NodePlace, options: OpenOptions, formatOf: (source: BlockSource) => Promise<ImageFormatName | undefined>): Promise<DiskImage> {
  const { openImageFile } = await import('./image-layer.ts');
  const { foreignImage } = await import('./foreign-image.ts');
  return owning(async (owner) => {
    const source = owner.own(await openContent(place));
    const format = await formatOf(source);
    const foreign = format === undefined ? await foreignImage(source, nameOf(place)) : undefined;
    if (foreign !== undefined) throw foreign;
    return openImageFile(source, { name: nameOf(place), files: [], format: format ?? 'raw' }, options);
  });
}

/** Each file as a disk of its own; `owner` has those that are open. */
async function openDisks(places: readonly NodePlace[], options: OpenOptions, owner: Owner): Promise<readonly DiskImage[]> {
  const disks: DiskImage[] = [];
  const { imageFormat } = await import('./image-layer.ts');
  for (const place of places) disks.push(owner.own(await openDisk(place, options, imageFormat)));
  return disks;
}

/** The disk that a file without a container that is known is; undefined where it is no file. @throws as {@link openDisk}. */
export async function enterPlainDisk(place: NodePlace, options: OpenOptions): Promise<Arrival | undefined> {
  if ((await place.view.tree.stat(place.view.id)).type !== 'file') return undefined;
  const { arriveAtDisk } = await import('./image-layer.ts');
  return arriveAtDisk(await openDisk(place, options, () => Promise.resolve(undefined)), nameOf(place));
}

/** Several files that are no images: members of an array, volume group or pool; undefined when the first one is no disk with anything on it. */
async function enterMembers(places: readonly NodePlace[], options: OpenOptions): Promise<Arrival | undefined> {
  const { isDisk } = await import('./guest-layer.ts');
  const { arriveAtDisks } = await import('./image-layer.ts');
  return owning(async (owner) => {
    const [first, ...others] = await openDisks(places, options, owner);
    if (first !== undefined && await isDisk(first)) return arriveAtDisks([first, ...others], places.map(nameOf));
    await owner.close();
    return undefined;
  });
}

/** Opens several files, in the given order: a disk image with the files that it names, disks that belong together, or the volumes of one set. */
export async function enterFiles(places: readonly NodePlace[], options: OpenOptions): Promise<Arrival> {
  const { openVolumes, probeVolume } = await import('./bacula-layer.ts');
  const image = await enterImageWith(places, options);
  if (image !== undefined) return image;
  const sources: NamedSource[] = [];
  try {
    for (const place of places) sources.push({ name: nameOf(place), source: await openContent(place) });
    if (sources[0] !== undefined && (await probeVolume(sources[0].source)).match === 'no') {
      const members = await enterMembers(places, options);
      if (members !== undefined) {
        await closeAll(sources);
        return members;
      }
    }
  } catch (error) {
    await closeAll(sources);
    throw error;
  }
  return openVolumes(sources, options, 'given');
}
