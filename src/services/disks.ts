/** The catalog of disks: which files of a job, snapshot or directory are disk images, what is on them, and which operating systems. */
import { FormatError, HoldfastError, textOf, utf8, type BlockSource, type FileTree, type TreeProblem } from '../core/index.ts';
import { entryError, errorMessage, isFatal, problemError, type EntryError } from './entry-error.ts';
import { imageFormatOf } from './guests/disk-head.ts';
import { isLocked, listParts, type DiskPart } from './guests/disk-parts.ts';
import { openImageFile } from './locations/image-layer.ts';
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

/** One disk image. JSON-safe; text in its parts is the guest's own and unescaped. */
export interface GuestDisk extends DiskOrigin {
  readonly path: string;
  readonly pathBase64?: string;
  /** `raw` for disks without a container. */
  readonly format: string;
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
    await walk(view, {
      page: async (entries) => {
        this.#files += entries.length;
        this.#visitor.progress?.(this.#files);
        for (const entry of entries) if (entry.stat.type === 'file' && entry.stat.size >= DISK_BYTES_MIN) await this.file(view.tree, entry, origin);
      },
      failed: (path, error) => { this.#fail(path, error, origin); },
    }, this.#options.signal);
  }

  /** @returns whether it is a disk, also one that can't be read. */
  async file(tree: FileTree, { id, path }: Pick<WalkEntry, 'id' | 'path'>, origin: DiskOrigin): Promise<boolean> {
    let source: BlockSource | undefined;
    let known: Pick<GuestDisk, 'format' | 'fileBytes'> | undefined;
    try {
      source = await tree.open(id);
      const format = await imageFormatOf(source);
      if (format === undefined) return false;
      known = { format, fileBytes: source.size };
      // Files that an image names are not followed: who wrote the name is not known.
      source = await openImageFile(source, { name: textOf(path), files: [], format }, this.#options);
      await this.disk([source], path, { ...origin, ...known });
      return true;
    } catch (error) {
      const locked = isLocked(error);
      if (!locked) this.#fail(path, error, origin);
      if (known !== undefined) this.#visitor.disk({ ...origin, ...jsonPath(path), ...known, parts: [], ...(locked ? { locked } : {}), error: errorMessage(error) });
      return true;
    } finally {
      await source?.close();
    }
  }

  /** What is on open disks, which stay the caller's. */
  async disk(disks: readonly [BlockSource, ...BlockSource[]], path: Uint8Array, facts: DiskOrigin & Pick<GuestDisk, 'format' | 'fileBytes'>): Promise<void> {
    const { format: _, fileBytes: __, ...origin } = facts;
    const parts = await listParts(disks, this.#options, (step, error) => { this.#fail(path, error, origin, step); });
    this.#visitor.disk({ ...facts, ...jsonPath(path), size: disks[0].size, parts });
  }

  problems(problems: readonly TreeProblem[], origin: DiskOrigin): void {
    for (const problem of problems) this.#visitor.failed({ ...origin, ...problemError(problem) });
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
    const { disks, image, name } = location.place;
    await search.disk(disks, utf8(name), { format: image?.facts.format ?? 'raw' });
    return search.problems(location.problems(), {});
  }
  if (location.place.kind === 'repository') await location.step('latest');
  const view = await location.node();
  const origin = originOf(location);
  const { type } = await view.tree.stat(view.id);
  if (type === 'directory') await search.tree(view, origin);
  else if (!await search.file(view.tree, view, origin)) throw new FormatError(`List disks of '${location.text}'`, { structure: 'file', field: 'kind', expected: 'a disk image, or a disk with a partition table or filesystem' });
  search.problems(location.problems(), origin);
}
