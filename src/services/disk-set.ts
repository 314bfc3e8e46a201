/**
 * Which disks of a tree belong together: each is listed alone and closed again; those with members of sets that are not whole are listed once more with
 * the disks that have other members. So only disks that belong together are open at the same time.
 */
import { UnsupportedError, textOf, utf8, type BlockSource, type FileTree, type NodeId } from '../core/index.ts';
import type { DiskImage, ImageFormatName } from '../formats/images/index.ts';
import type { DiskList, IncompleteSet } from './guests/disk-parts.ts';
import { listDisks } from './guests/disk-walk.ts';
import { openImageFile } from './locations/image-layer.ts';
import type { OpenOptions } from './locations/index.ts';
import { Owner } from './locations/owner.ts';
import { ambiguousClaim, SetClaims } from './locations/set-claims.ts';

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

function claimsOf(units: readonly ListedFiles[]): SetClaims {
  const claims = new SetClaims();
  for (const { list } of units) for (const set of list.incomplete) claims.add(set);
  return claims;
}

/** The groups that list a disk which knows only itself; none of others. */
function homesOf({ members: [member = ''], isLone }: IncompleteSet, claims: SetClaims): readonly string[] {
  return isLone === true ? claims.of(member) : [];
}

/** The group that the members of a set belong to: of a disk that knows only itself, the one group that lists it. */
function groupOf(set: IncompleteSet, claims: SetClaims): string {
  const [home = set.group, ...others] = homesOf(set, claims);
  return others.length > 0 ? set.group : home;
}

/** Groups with two disks that say to be the same member: nobody knows which of them belong together. */
function ambiguousGroups(units: readonly ListedFiles[], claims: SetClaims): ReadonlySet<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const { list } of units) {
    for (const set of list.incomplete) {
      const group = groupOf(set, claims);
      for (const member of set.members) {
        const key = `${group} ${member}`;
        if (seen.has(key)) twice.add(group);
        seen.add(key);
      }
    }
  }
  return twice;
}

/** One unit and those that share a set with it; last those that know only themselves: what lists them may lie on a set that others form. */
function together(units: readonly ListedFiles[], ambiguous: ReadonlySet<string>, claims: SetClaims): readonly ListedFiles[] {
  const first = units.find(({ list }) => !list.incomplete.every(({ isLone }) => isLone === true)) ?? units[0];
  const groups = new Set(first?.list.incomplete.map((set) => groupOf(set, claims)).filter((group) => !ambiguous.has(group)));
  return units.filter((unit) => unit === first || unit.list.incomplete.some((set) => groups.has(groupOf(set, claims))));
}

/** Why one of the sets of a disk was not joined with others; undefined where that was not the reason. */
function whyAlone(list: DiskList, ambiguous: ReadonlySet<string>, claims: SetClaims): string | undefined {
  for (const set of list.incomplete) {
    if (ambiguous.has(groupOf(set, claims))) return 'has a member of which there is another copy; name those that belong together';
    const homes = homesOf(set, claims);
    if (homes.length > 1) return `has a member that is ambiguous: ${ambiguousClaim(set.members[0] ?? '', homes)}`;
  }
  return undefined;
}

/**
 * Lists disks that have sets with members missing, each with the others of its sets, as far as they are among `units`. Where two copies of a member
 * are, each is listed alone, and `failed` is told.
 */
export async function joinDisks(units: readonly ListedFiles[], opening: OpenOptions, failed: (path: Uint8Array, error: unknown) => void): Promise<readonly ListedFiles[]> {
  const claims = claimsOf(units);
  const ambiguous = ambiguousGroups(units, claims);
  const done: ListedFiles[] = [];
  for (let left = [...units]; left.length > 0;) {
    const joined = together(left, ambiguous, claims);
    left = left.filter((unit) => !joined.includes(unit));
    const files = joined.flatMap((unit) => unit.files);
    try {
      const listed = await listFiles(files, opening, joined.length === 1);
      // On the whole set there may be members of another one.
      if (joined.length > 1 && listed.list.incomplete.length > 0) {
        left = [...left, listed];
        for (const set of listed.list.incomplete) claims.add(set);
      } else done.push(listed);
    } catch (error) {
      failed(joinedPath(files.map(({ path }) => path)), error);
      done.push(...joined);
    }
  }
  for (const { files, list } of units) {
    const [path] = files.map((file) => file.path);
    const why = whyAlone(list, ambiguous, claims);
    if (path !== undefined && why !== undefined) failed(path, new UnsupportedError(`List disks that belong together: '${textOf(path)}' ${why}`));
  }
  return done;
}
