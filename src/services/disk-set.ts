/**
 * Which disks of a tree belong together: each is listed alone and closed again; those with members of sets that are not whole are listed once more with
 * the disks that have other members. So only disks that belong together are open at the same time.
 */
import { UnsupportedError, textOf, utf8, type BlockSource, type FileTree, type NodeId } from '../core/index.ts';
import type { DiskImage, ImageFormatName } from '../formats/images/index.ts';
import type { DiskList } from './guests/disk-parts.ts';
import { listDisks } from './guests/disk-walk.ts';
import { openImageFile } from './locations/image-layer.ts';
import type { OpenOptions } from './locations/index.ts';
import { Owner } from './locations/owner.ts';

/** A file of a tree that is a disk. */
export interface DiskFile {
  readonly tree: FileTree;
  readonly id: NodeId;
  readonly path: Uint8Array;
  readonly format: ImageFormatName;
  readonly fileBytes: number;
}

/** Disks and what is on them. */
export interface ListedFiles {
  readonly files: readonly DiskFile[];
  /** Bytes of each disk. */
  readonly sizes: readonly number[];
  readonly list: DiskList;
}

/** Opens the disk in a file, which then owns `source`. Files that an image names are not followed: who wrote the name is not known. @throws as `openImage`. */
export function openDiskFile({ path, format }: DiskFile, source: BlockSource, opening: OpenOptions): Promise<DiskImage> {
  return openImageFile(source, { name: textOf(path), files: [], format }, opening);
}

/** Lists the disks of files together; they stay the caller's. */
export async function listOpen(files: readonly DiskFile[], disks: readonly BlockSource[], opening: OpenOptions, degraded: boolean): Promise<ListedFiles> {
  return { files, sizes: disks.map(({ size }) => size), list: await listDisks(disks, { opening, look: 'inside', degraded }) };
}

async function listFiles(files: readonly DiskFile[], opening: OpenOptions, degraded: boolean): Promise<ListedFiles> {
  const owner = new Owner();
  try {
    const disks: BlockSource[] = [];
    for (const file of files) disks.push(owner.own(await openDiskFile(file, await file.tree.open(file.id), opening)));
    return await listOpen(files, disks, opening, degraded);
  } finally {
    await owner.close();
  }
}

/** Names as one location lists them. */
export function joinedPath(paths: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(paths.flatMap((path, i) => (i === 0 ? [path] : [utf8(','), path])));
}

/** Groups with two disks that say to be the same member: nobody knows which of them belong together. */
function ambiguousGroups(units: readonly ListedFiles[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const { list } of units) {
    for (const { group, members } of list.incomplete) {
      for (const member of members) {
        const key = `${group} ${member}`;
        if (seen.has(key)) twice.add(group);
        seen.add(key);
      }
    }
  }
  return twice;
}

/** The first unit and those that share a set with it. */
function together(units: readonly ListedFiles[], ambiguous: ReadonlySet<string>): readonly ListedFiles[] {
  const [first] = units;
  const groups = new Set(first?.list.incomplete.map(({ group }) => group).filter((group) => !ambiguous.has(group)));
  return units.filter((unit) => unit === first || unit.list.incomplete.some(({ group }) => groups.has(group)));
}

/**
 * Lists disks that have sets with members missing, each with the others of its sets, as far as they are among `units`. Where two copies of a member
 * are, each is listed alone, and `failed` is told.
 */
export async function joinDisks(units: readonly ListedFiles[], opening: OpenOptions, failed: (path: Uint8Array, error: unknown) => void): Promise<readonly ListedFiles[]> {
  const ambiguous = ambiguousGroups(units);
  const done: ListedFiles[] = [];
  for (let left = [...units]; left.length > 0;) {
    const joined = together(left, ambiguous);
    left = left.filter((unit) => !joined.includes(unit));
    const files = joined.flatMap((unit) => unit.files);
    try {
      const listed = await listFiles(files, opening, joined.length === 1);
      // On the whole set there may be members of another one.
      if (joined.length > 1 && listed.list.incomplete.length > 0) left = [...left, listed];
      else done.push(listed);
    } catch (error) {
      failed(joinedPath(files.map(({ path }) => path)), error);
      done.push(...joined);
    }
  }
  for (const { files, list } of units) {
    const [path] = files.map((file) => file.path);
    if (path !== undefined && list.incomplete.some(({ group }) => ambiguous.has(group))) failed(path, new UnsupportedError(`List disks that belong together: '${textOf(path)}' has a member of which there is another copy; name those that belong together`));
  }
  return done;
}
