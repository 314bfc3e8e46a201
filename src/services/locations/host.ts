/** The ROOT of a location: something on this host, or a repository in a bucket or behind a daemon. */
import { realpathSync, statSync, type Stats } from 'node:fs';
import * as path from 'node:path';
import { NotFoundError, UsageError, formatSourcePath, utf8, type FileTree, type NodeId, type SourcePath } from '../../core/index.ts';
import type { ImageFormatName } from '../../formats/images/index.ts';
import { PosixTree } from '../../fs-adapters/posix/index.ts';
import { enterBucket, enterDaemon, enterDiskImage, enterFiles } from './enter.ts';
import type { Arrival, LayerInfo, NodePlace, OpenOptions } from './place.ts';

function hostStat(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    // A part of the path is a file, or may not be searched: for the caller it is not there.
    return undefined;
  }
}

/** A host path as a place; a file is seen through its directory. */
async function arriveAt(root: string, stat: Stats, options: OpenOptions): Promise<{ readonly place: NodePlace; readonly layer: LayerInfo; readonly owned: FileTree }> {
  const isDirectory = stat.isDirectory();
  const absolute = isDirectory ? path.resolve(root) : realpathSync(root);
  const tree = new PosixTree({
    root: utf8(isDirectory ? absolute : path.dirname(absolute)),
    ...(options.onProblem === undefined ? {} : { onProblem: options.onProblem }),
  });
  let id: NodeId | undefined = tree.rootId;
  if (!isDirectory) id = await tree.lookup(tree.rootId, utf8(path.basename(absolute)));
  if (id === undefined) throw new NotFoundError(`Open '${root}': it went away while it was opened`, { path: root });
  return {
    place: { kind: 'node', hostPath: absolute, view: { tree, id, path: utf8(absolute === '/' ? '' : absolute) } },
    layer: { layer: 'host', path: absolute, type: isDirectory ? 'dir' : 'file', size: isDirectory ? 0 : stat.size },
    owned: tree,
  };
}

/** A file that is an image of the given format, whatever its bytes say. */
async function arriveAtImage(file: string, stat: Stats, format: ImageFormatName, options: OpenOptions): Promise<Arrival> {
  const host = await arriveAt(file, stat, options);
  try {
    const disk = await enterDiskImage(host.place, options, format);
    if (disk === undefined) throw new UsageError(`Open '${format}:${file}': it is a directory, expected a file`, { path: file });
    return disk;
  } finally {
    await host.owned.close();
  }
}

/**
 * Opens the ROOT. `raw:FILE`, `qcow2:FILE` … is a disk image of that format. A text with commas that is no path itself names the volumes of one set, or a disk image and the files that it needs.
 * @throws {NotFoundError} when it is not there. @throws as `openRepository` for repositories elsewhere.
 */
export async function openRoot(source: SourcePath, options: OpenOptions): Promise<Arrival> {
  const { root } = source;
  if (root.startsWith('holdfast://')) return enterDaemon(root, options);
  if (root.startsWith('s3://')) return enterBucket(root, options);
  const stat = hostStat(root);
  if (stat !== undefined) return arriveAt(root, stat, options);
  const forced = /^(raw|qcow2|vhdx|vmdk|vhd|vdi):(.+)$/.exec(root);
  const forcedStat = forced === null ? undefined : hostStat(forced[2] ?? '');
  if (forced !== null && forcedStat !== undefined) return arriveAtImage(forced[2] ?? '', forcedStat, forced[1] as ImageFormatName, options);
  const names = root.split(',');
  const stats = names.map(hostStat);
  const missing = stats.indexOf(undefined);
  if (names.length === 1 || missing >= 0) {
    const name = names[missing] ?? root;
    throw new NotFoundError(`Open '${formatSourcePath(source)}': no such file or directory '${name}'`, { path: name });
  }
  const members: Awaited<ReturnType<typeof arriveAt>>[] = [];
  try {
    for (const [i, name] of names.entries()) members.push(await arriveAt(name, stats[i] as Stats, options));
    return await enterFiles(members.map((member) => member.place), options);
  } finally {
    for (const member of members) await member.owned.close();
  }
}
