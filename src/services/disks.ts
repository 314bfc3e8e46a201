/** The catalog of disks: which files of a job, snapshot or directory are disk images, what is on them, and which operating systems. */
import { FormatError, HoldfastError, IntegrityError, UnsupportedError, textOf, utf8, type BlockSource, type FileTree, type TreeProblem } from '../core/index.ts';
import { entryError, errorMessage, isFatal, problemError, type EntryError } from './entry-error.ts';
import { joinDisks, joinedPath, listOpen, openDiskFile, type ListedFiles } from './disk-set.ts';
import { imageFormatOf } from './guests/disk-head.ts';
import type { DiskList, DiskPart } from './guests/disk-parts.ts';
import { listDisks } from './guests/disk-walk.ts';
import { isLocked } from './locations/key-remarks.ts';
import type { DiskPlace } from './locations/place.ts';
import { jsonPath, type Location, type OpenOptions } from './locations/index.ts';
import type { BaculaLayer } from './locations/bacula-layer.ts';
import { walk, type TreeView, type WalkEntry } from './trees/walk.ts';

/** Bytes of the smallest file that is looked at when a tree is searched. */
const DISK_BYTES_MIN = 1 << 20;

/** Where a tree came from: the step of a job, or the id of a snapshot. */
export interface DiskOrigin {
  readonly job?: string;
  readonly snapshot?: string;
}

/** One disk image, or a set (volume group, array, pool) with members on several. JSON-safe; text in its parts is the guest's own and unescaped. */
export interface GuestDisk extends DiskOrigin {
  readonly path: string;
  readonly pathBase64?: string;
  /** `raw` for disks without a container; of a set `lvm`, `md`, `ldm`, `btrfs` or `zfs`, whose `path` names all its disks as a location does. */
  readonly format: string;
  /** Of a set, its identity. */
  readonly uuid?: string;
  /** Of a set, the members that are here. */
  readonly members?: readonly { readonly path: string; readonly pathBase64?: string; readonly step: string }[];
  /** Of a set, how many members are not here. */
  readonly missing?: number;
  /** Bytes of the disk in it; absent where it can't be opened. */
  readonly size?: number;
  /** Bytes of the file; absent where several were given. */
  readonly fileBytes?: number;
  readonly parts: readonly DiskPart[];
  /** The image is encrypted, and no key that was given opens it. */
  readonly locked?: true;
  /** Why it can't be opened. */
  readonly error?: string;
}

/** What could not be read, and where behind the file: steps as in a location. */
export interface DiskError extends EntryError, DiskOrigin {
  readonly step?: string;
}

/** Takes what is found, as it is found. */
export interface DiskVisitor {
  disk(disk: GuestDisk): void;
  failed(error: DiskError): void;
  /** Files that were seen so far. */
  progress?(files: number): void;
}

/** The search of one or more trees. */
class DiskSearch {
  readonly #visitor: DiskVisitor;
  readonly #options: OpenOptions;
  #files = 0;

  constructor(visitor: DiskVisitor, options: OpenOptions) {
    this.#visitor = visitor;
    this.#options = options;
  }

  async tree(view: TreeView, origin: DiskOrigin): Promise<void> {
    const members: ListedFiles[] = [];
    await walk(view, {
      page: async (entries) => {
        this.#files += entries.length;
        this.#visitor.progress?.(this.#files);
        for (const entry of entries) if (entry.stat.type === 'file' && entry.stat.size >= DISK_BYTES_MIN) await this.file(view.tree, entry, origin, members);
      },
      failed: (path, error) => { this.#fail(path, error, origin); },
    }, this.#options.signal);
    await this.#settle(members, origin);
  }

  /** A single file. @returns whether it is a disk, also one that can't be read. */
  async only(view: TreeView, origin: DiskOrigin): Promise<boolean> {
    const members: ListedFiles[] = [];
    const isDisk = await this.file(view.tree, view, origin, members);
    await this.#settle(members, origin);
    return isDisk;
  }

  /** Disks that may belong with others join `members`, the rest is told at once. @returns whether it is a disk, also one that can't be read. */
  async file(tree: FileTree, { id, path }: Pick<WalkEntry, 'id' | 'path'>, origin: DiskOrigin, members: ListedFiles[]): Promise<boolean> {
    let source: BlockSource | undefined;
    let known: Pick<GuestDisk, 'format' | 'fileBytes'> | undefined;
    try {
      source = await tree.open(id);
      const fileBytes = source.size;
      const format = await imageFormatOf(source, textOf(path));
      if (format === undefined) return false;
      known = { format, fileBytes };
      const file = { tree, id, path, format, fileBytes };
      source = await openDiskFile(file, source, this.#options);
      const unit = await listOpen([file], [source], this.#options, false);
      if (unit.list.incomplete.length > 0) members.push(unit);
      else this.#tell(unit, origin);
    } catch (error) {
      const locked = isLocked(error);
      if (!locked) this.#fail(path, error, origin);
      const foreign = error instanceof UnsupportedError ? error.data['imageFormat'] : undefined;
      if (typeof foreign === 'string') known = { format: foreign, fileBytes: source?.size ?? 0 };
      if (known !== undefined) this.#visitor.disk({ ...origin, ...jsonPath(path), ...known, parts: [], ...(locked ? { locked } : {}), error: errorMessage(error) });
    } finally {
      await source?.close();
    }
    return true;
  }

  /** Disks that are open and belong together; they stay the caller's. */
  async place({ disks, files, image, name }: DiskPlace): Promise<void> {
    const list = await listDisks(disks, { opening: this.#options, look: 'inside', degraded: true });
    const facts = disks.map((disk, i) => ({ path: utf8(files?.[i]?.name ?? name), format: files?.[i]?.format ?? image?.facts.format ?? 'raw', size: disk.size }));
    this.#tellList(facts, list, {});
  }

  problems(problems: readonly TreeProblem[], origin: DiskOrigin): void {
    for (const problem of problems) this.#visitor.failed({ ...origin, ...problemError(problem) });
  }

  async #settle(members: readonly ListedFiles[], origin: DiskOrigin): Promise<void> {
    for (const unit of await joinDisks(members, this.#options, (path, error) => { this.#fail(path, error, origin); })) this.#tell(unit, origin);
  }

  #tell({ files, sizes, list }: ListedFiles, origin: DiskOrigin): void {
    this.#tellList(files.map(({ path, format, fileBytes }, i) => ({ path, format, fileBytes, size: sizes[i] ?? 0 })), list, origin);
  }

  #tellList(files: readonly (Pick<GuestDisk, 'format' | 'fileBytes'> & { readonly path: Uint8Array; readonly size: number })[], list: DiskList, origin: DiskOrigin): void {
    const all = joinedPath(files.map((file) => file.path));
    const pathOf = (disk: number | undefined): Uint8Array => (disk === undefined ? all : files[disk]?.path ?? all);
    for (const { error, disk, step } of list.failures) this.#fail(pathOf(disk), error, origin, step);
    for (const { problem, disk, step } of list.problems) {
      // The set is told as one with members missing; what can't be read because of it failed by itself.
      if (problem.kind !== 'missing-member') this.#fail(pathOf(disk), new IntegrityError(problem.message), origin, step);
    }
    for (const [i, { path, ...facts }] of files.entries()) this.#visitor.disk({ ...origin, ...jsonPath(path), ...facts, parts: list.disks[i]?.parts ?? [] });
    for (const { format, group, members, missing, parts } of list.sets) {
      const indices = [...new Set(members.map(({ disk }) => disk))];
      this.#visitor.disk({
        ...origin, ...jsonPath(joinedPath(indices.map(pathOf))), format, uuid: group, members: members.map(({ disk, step }) => ({ ...jsonPath(pathOf(disk)), step })), ...(missing > 0 ? { missing } : {}), parts,
      });
    }
  }

  #fail(path: Uint8Array, error: unknown, origin: DiskOrigin, step = ''): void {
    if (isFatal(error)) throw error;
    this.#visitor.failed({ ...origin, ...entryError(path, error), ...(step === '' ? {} : { step }) });
  }
}

/** Each job by itself: one that can't be opened does not keep the others from being searched. */
async function searchJobs(volumes: BaculaLayer, search: DiskSearch): Promise<void> {
  for (const { step } of volumes.jobs) {
    const origin = { job: step };
    let tree: FileTree | undefined;
    try {
      const opened = await volumes.open(step);
      tree = opened.tree;
      await search.tree({ tree, id: tree.rootId, path: new Uint8Array() }, origin);
      search.problems(opened.problems(), origin);
    } catch (error) {
      if (isFatal(error) || !(error instanceof HoldfastError)) throw error;
      search.problems([{ kind: error.code, where: step, message: error.message }], origin);
    } finally {
      await tree?.close();
    }
  }
}

function originOf({ source, layers }: Location): DiskOrigin {
  const job = source.steps.find((step) => /^(job|jobs|session)=/.test(step));
  const snapshot = layers.findLast(({ layer }) => layer === 'snapshot')?.['id'];
  return { ...(job === undefined ? {} : { job }), ...(typeof snapshot === 'string' ? { snapshot } : {}) };
}

/**
 * Finds the disks in what a location denotes: all jobs of a volume set or one, the newest snapshot of a repository or one, a directory, or a single
 * file. Damage is told to the visitor and does not end the search.
 * @throws {FormatError} a single file that is no disk. @throws {NotFoundError} a repository without snapshots. @throws {AbortedError}
 */
export async function findDisks(location: Location, visitor: DiskVisitor): Promise<void> {
  const search = new DiskSearch(visitor, location.options);
  if (location.place.kind === 'volumes' && location.place.volumes.jobs.length !== 1) {
    await searchJobs(location.place.volumes, search);
    return search.problems(location.place.volumes.jobs.length === 0 ? location.damage() : [], {});
  }
  if (location.place.kind === 'disk') {
    await search.place(location.place);
    return search.problems(location.problems(), {});
  }
  if (location.place.kind === 'repository') await location.step('latest');
  const view = await location.node();
  const origin = originOf(location);
  const { type } = await view.tree.stat(view.id);
  if (type === 'directory') await search.tree(view, origin);
  else if (!await search.only(view, origin)) throw new FormatError(`List disks of '${location.text}'`, { structure: 'file', field: 'kind', expected: 'a disk image, or a disk with a partition table or filesystem' });
  search.problems(location.problems(), origin);
}
