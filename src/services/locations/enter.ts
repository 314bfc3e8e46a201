/** Going into a file or directory that is itself a layer: a Bacula volume, a directory of volumes, a repository. */
import * as path from 'node:path';
import { LimitError, defaultLimits, textOf, type BlockSource } from '../../core/index.ts';
import type { Repository } from '../../engine/index.ts';
import { fileSource } from '../../fs-adapters/posix/index.ts';
import { childPath, type TreeView } from '../trees/walk.ts';
import type { NamedKey } from './key-remarks.ts';
import type { NamedSource } from './bacula-layer.ts';
import type { Arrival, NodePlace, OpenOptions } from './place.ts';
import { treeWorld } from './tree-world.ts';

function openContent(place: NodePlace): Promise<BlockSource> {
  return place.hostPath === undefined ? place.view.tree.open(place.view.id) : fileSource(place.hostPath);
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
        const source = isFile ? await openContent({ kind: 'node', view }) : undefined;
        if (source !== undefined && (await probeVolume(source)).match !== 'no') {
          if (found.length >= defaultLimits.baculaVolumesMax) throw new LimitError('baculaVolumesMax', found.length + 1, defaultLimits.baculaVolumesMax, textOf(shown));
          found.push({ name: textOf(entry.name), source });
          continue;
        }
        await source?.close();
        if (!strict) continue;
        await closeAll(found);
        return [];
      }
    }
  } catch (error) {
    await closeAll(found);
    throw error;
  }
  return found;
}

async function enterFile(place: NodePlace, options: OpenOptions): Promise<Arrival | undefined> {
  const { openVolumes, probeVolume } = await import('./bacula-layer.ts');
  const source = await openContent(place);
  if ((await probeVolume(source)).match === 'no') {
    await source.close();
    return undefined;
  }
  const name = textOf(place.view.path.subarray(place.view.path.lastIndexOf(0x2f) + 1));
  return openVolumes([{ name, source }], options, 'given');
}

function arriveAtRepository(repository: Repository, name: string): Arrival {
  return {
    place: { kind: 'repository', repository, name },
    layer: { layer: 'repository', id: repository.id, format: repository.format, parameters: repository.config },
    owned: repository,
  };
}

function namedKeys({ keys = [], keyNames = [] }: OpenOptions): readonly NamedKey[] {
  return keys.map((bytes, i) => ({ bytes, name: keyNames[i] ?? `${i + 1}` }));
}

/** Opens the repository at `s3://BUCKET/PREFIX`. @throws as `openRepository`. */
export async function enterBucket(url: string, options: OpenOptions): Promise<Arrival> {
  const { openRepository } = await import('../repositories.ts');
  const { cacheDirectory, onNote } = options;
  return arriveAtRepository(await openRepository(url, { keys: namedKeys(options), keysMayBeForOthers: true, cacheDirectory, ...(onNote === undefined ? {} : { onNote }) }), url);
}

async function enterDirectory(place: NodePlace, strict: boolean, options: OpenOptions): Promise<Arrival | undefined> {
  const { Repository, nodeWorld } = await import('../../engine/index.ts');
  const world = place.hostPath === undefined ? treeWorld(place.view) : nodeWorld(place.hostPath);
  if ((await Repository.probe(world)).match !== 'no') {
    const { withCredentials } = await import('../credentials.ts');
    const opening = await withCredentials(world, { keys: namedKeys(options), keysMayBeForOthers: true, ...(options.onNote === undefined ? {} : { onNote: options.onNote }) });
    return arriveAtRepository(await Repository.open(world, { mode: 'read', ...opening }), place.hostPath ?? textOf(place.view.path));
  }
  const volumes = await volumesIn(place, strict);
  if (volumes.length === 0) return undefined;
  const { openVolumes } = await import('./bacula-layer.ts');
  return openVolumes(volumes, options, 'any');
}

/**
 * Opens the layer that a node holds; undefined when it holds none, or is a directory and `directories` is `no`.
 * `only`: a directory counts as volumes only if it holds nothing else.
 */
export async function enterNode(place: NodePlace, directories: 'no' | 'only' | 'any', options: OpenOptions): Promise<Arrival | undefined> {
  const { type } = await place.view.tree.stat(place.view.id);
  if (type === 'file') return enterFile(place, options);
  if (type === 'directory' && directories !== 'no') return enterDirectory(place, directories === 'only', options);
  return undefined;
}

/** Opens several files as the volumes of one set, in the given order. */
export async function enterVolumes(places: readonly NodePlace[], options: OpenOptions): Promise<Arrival> {
  const { openVolumes } = await import('./bacula-layer.ts');
  const sources: NamedSource[] = [];
  try {
    for (const place of places) sources.push({ name: path.posix.basename(textOf(place.view.path)), source: await openContent(place) });
  } catch (error) {
    await closeAll(sources);
    throw error;
  }
  return openVolumes(sources, options, 'given');
}
