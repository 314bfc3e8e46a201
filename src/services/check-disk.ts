/**
 * Looking for damage on a disk: the container, by reading the disk in it; then each table, and each filesystem to its last name. What could not be looked at is
 * told as such: nobody may take it for sound.
 */
import assert from 'node:assert';
import { HoldfastError, type TreeProblem } from '../core/index.ts';
import type { Filesystem } from '../formats/filesystems/index.ts';
import { checkTree, type TreeCheck, type TreeCounts } from './check-tree.ts';
import { errorMessage, isFatal, problemFrom, type EntryError } from './entry-error.ts';
import type { DiskList, DiskPart, PartPlace } from './guests/disk-parts.ts';
import { listDisks } from './guests/disk-walk.ts';
import { DiskTree } from './locations/disk-tree.ts';
import { isForeign } from './locations/foreign-content.ts';
import { enterFilesystem, enterVolume } from './locations/guest-layer.ts';
import { isLocked } from './locations/key-remarks.ts';
import { owning, type Owner } from './locations/owner.ts';
import type { Arrival, DiskPlace, OpenOptions } from './locations/place.ts';
import { holdsFiles } from './next-step.ts';

/** How much of a part was looked at: all content; names, attributes and where content lies; the table that says what is in it; or nothing. */
export type CheckedDepth = 'content' | 'metadata' | 'table' | 'nothing';

/** One part of a disk, or the bytes of the disk itself. JSON-safe; text in it is the guest's. */
export interface CheckedPart {
  /** The location that leads there. */
  readonly location: string;
  readonly type: string;
  readonly size: number;
  readonly holds?: string;
  readonly checked: CheckedDepth;
  /** Why no more of it was looked at. */
  readonly why?: string;
  /** What its reader did on the way: a journal replayed in memory, a spare copy that was used. */
  readonly remarks?: readonly string[];
  readonly files?: number;
  readonly directories?: number;
  readonly bytes?: number;
}

/** How a disk is checked, and who is told. */
export interface DiskCheck {
  readonly opening: OpenOptions;
  readonly readData: boolean;
  /** The location of the disk, as the user wrote it. */
  readonly text: string;
  problem(problem: TreeProblem): void;
  /** What is encrypted and was not opened, so that nothing can be said of it. */
  locked(error: EntryError): void;
  part(part: CheckedPart): void;
  progress?(progress: { readonly files: number; readonly bytes: number }): void;
}

/** Files and directories of all parts; bytes of the disk that were read. */
export interface DiskCounts extends TreeCounts {
  filesystems: number;
}

class DiskChecker {
  readonly counts: DiskCounts = { files: 0, directories: 0, bytes: 0, filesystems: 0 };
  readonly #place: DiskPlace;
  readonly #check: DiskCheck;
  readonly #told: Set<string> = new Set<string>();

  constructor(place: DiskPlace, check: DiskCheck) {
    this.#place = place;
    this.#check = check;
  }

  async run(): Promise<void> {
    await this.#bytes();
    const list = await listDisks(this.#place.disks, { opening: this.#check.opening, look: 'marks', degraded: true });
    for (const { error, ...at } of list.failures) this.#problem({ kind: 'unreadable', where: this.#location(at), message: errorMessage(error) });
    for (const { problem, ...at } of list.problems) this.#problem({ ...problem, where: problem.where === '' ? this.#location(at) : `${this.#location(at)}: ${problem.where}` });
    for (const [disk, { parts }] of list.disks.entries()) for (const part of parts) await this.#part(part, { disk, step: part.step }, list);
    for (const { parts, members: [first] } of list.sets) for (const part of parts) await this.#part(part, { ...(part.type === 'filesystem' && first !== undefined ? { disk: first.disk } : {}), step: part.step }, list, true);
  }

  /** A place as a location names it: where several disks were given, the first stands for all. */
  #location({ disk = 0, step }: PartPlace): string {
    const file = disk === 0 ? undefined : this.#place.files?.[disk]?.name;
    return [file ?? this.#check.text, ...(step === '' ? [] : [step])].join('::');
  }

  #problem(problem: TreeProblem): void {
    // The same damage is met on the way to each part behind it.
    const key = `${problem.kind} ${problem.where} ${problem.message}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#check.problem(problem);
  }

  /** All bytes of the disk, through the container or volumes that it is in. */
  async #bytes(): Promise<void> {
    const { disks, files, image, view, name } = this.#place;
    for (const [i, disk] of disks.entries()) {
      const counts: TreeCounts = { files: 0, directories: 0, bytes: 0 };
      const format = files?.[i]?.format ?? image?.facts.format;
      const location = this.#location({ disk: i, step: '' });
      let why: string | undefined;
      await checkTree({ ...view, ...(i === 0 ? {} : { tree: new DiskTree(disk) }) }, {
        ...this.#treeCheck(counts, location, true),
        problem: (problem) => {
          why = problem.message;
          this.#problem({ ...problem, where: location });
        },
      });
      this.counts.bytes += counts.bytes;
      const type = format === undefined ? `volume ${name}` : format === 'raw' ? 'raw disk' : `${format} container`;
      this.#check.part({ location, type, size: disk.size, ...(why === undefined ? { checked: 'content', bytes: counts.bytes } : { checked: 'nothing', why: `only ${counts.bytes} bytes could be read: ${why}` }) });
    }
  }

  #treeCheck(counts: TreeCounts, location: string, content: boolean): TreeCheck {
    const { opening: { signal }, progress } = this.#check;
    return {
      content, counts, signal,
      problem: (problem) => { this.#problem({ ...problem, where: `${location}::${problem.where}` }); },
      ...(progress === undefined ? {} : { progress: () => { progress({ files: this.counts.files + counts.files, bytes: this.counts.bytes + counts.bytes }); } }),
    };
  }

  async #part(part: DiskPart, at: PartPlace, list: DiskList, isSet = false): Promise<void> {
    const { type, size, holds, locked, error } = part;
    const location = this.#location(at);
    const facts = { location, type, size, ...(holds === undefined ? {} : { holds }) };
    const nothing = (why: string): void => { this.#check.part({ ...facts, checked: 'nothing', why }); };
    const table = (why: string): void => { this.#check.part({ ...facts, checked: 'table', why }); };
    if (locked === true) return this.#locked(location, error ?? `${holds ?? 'it'} is not opened`, nothing);
    if (error !== undefined) return nothing(error);
    if (!isSet && list.sets.some(({ members }) => members.some(({ disk, step }) => disk === at.disk && step === at.step))) return table('a member of a set over several disks, which is checked as a whole');
    if (type === 'thin-pool') return table('other volumes lie in it');
    if (holds === undefined) return nothing('nothing that is known is on it');
    if (holds === 'swap') return nothing('swap space has nothing that could be');
    if (isForeign(holds)) return nothing(`${holds} is recognised and not read`);
    if (!holdsFiles(part)) return table('its table was read; what is in it is listed by itself');
    await this.#filesystem(facts, at, nothing);
  }

  #locked(location: string, message: string, nothing: (why: string) => void): void {
    this.#check.locked({ path: location, code: 'LOCKED', message });
    nothing(`encrypted: ${message}`);
  }

  async #filesystem(facts: Omit<CheckedPart, 'checked'>, at: PartPlace, nothing: (why: string) => void): Promise<void> {
    const { location } = facts;
    try {
      await owning(async (owner) => {
        const filesystem = await this.#open(at, owner);
        const counts: TreeCounts = { files: 0, directories: 0, bytes: 0 };
        const why = await this.#trees(filesystem, location, counts);
        for (const problem of filesystem.problems()) this.#problem({ ...problem, where: `${location}::${problem.where}` });
        this.counts.files += counts.files;
        this.counts.directories += counts.directories;
        this.counts.filesystems += 1;
        const { readData } = this.#check;
        const { remarks } = filesystem.facts;
        this.#check.part({ ...facts, holds: filesystem.facts.version, ...(remarks.length === 0 ? {} : { remarks }), checked: readData ? 'content' : 'metadata', files: counts.files, directories: counts.directories, ...(readData ? { bytes: counts.bytes } : {}), ...(why === undefined ? {} : { why }) });
        await owner.close();
      });
    } catch (error) {
      if (isFatal(error)) throw error;
      if (isLocked(error)) return this.#locked(location, errorMessage(error), nothing);
      this.#problem({ ...problemFrom(new Uint8Array(), error), where: location });
      nothing(errorMessage(error));
    }
  }

  /** Goes to a filesystem step by step, as a location does. */
  async #open({ disk, step }: PartPlace, owner: Owner): Promise<Filesystem> {
    const { disks } = this.#place;
    const start = disk === undefined ? disks[0] : disks[disk] ?? disks[0];
    const opening: OpenOptions = { ...this.#check.opening, onNote: () => undefined };
    let place: DiskPlace = { ...this.#place, disks: disk === undefined ? disks : [start], among: this.#place.among ?? disks };
    const arrive = (way: readonly Arrival[]): void => {
      for (const { owned, place: reached } of way) {
        if (owned !== undefined) owner.own(owned);
        if (reached.kind === 'disk') place = reached;
      }
    };
    for (const one of step === '' ? [] : step.split('::')) arrive(await enterVolume(place, one, opening));
    const way = await enterFilesystem(place, opening);
    arrive(way);
    const last = way.at(-1)?.place;
    assert(last?.kind === 'node' && last.filesystem !== undefined, 'a filesystem was entered');
    return last.filesystem;
  }

  /** The root tree, and others that it does not lead to. @returns what was left out. */
  async #trees(filesystem: Filesystem, location: string, counts: TreeCounts): Promise<string | undefined> {
    const { facts: { format } } = filesystem;
    const one = async (tree: Filesystem, where: string): Promise<void> => checkTree({ tree, id: tree.rootId, path: new Uint8Array() }, this.#treeCheck(counts, where, this.#check.readData));
    const others = await filesystem.volumes?.() ?? [];
    // Subvolumes are directories below btrfs's top level; datasets of ZFS are in no other one.
    const top = format === 'btrfs' ? others.filter(({ name }) => name === '/') : others.filter(({ kind, name }) => kind === 'dataset' && name.includes('/'));
    if (format !== 'btrfs' || top.length === 0) await one(filesystem, location);
    for (const { kind, name } of top) {
      const where = `${location}::${kind}=${name}`;
      try {
        const tree = await filesystem.openVolume?.(kind, name);
        if (tree === undefined) continue;
        await one(tree, where).finally(() => tree.close());
      } catch (error) {
        if (isFatal(error)) throw error;
        // Only trees of ZFS have keys of their own.
        if (error instanceof HoldfastError && error.data['dataset'] !== undefined) this.#check.locked({ path: where, code: 'LOCKED', message: error.message });
        else this.#problem({ ...problemFrom(new Uint8Array(), error), where });
      }
    }
    const snapshots = format === 'btrfs' ? 0 : others.filter(({ kind }) => kind === 'snapshot').length;
    return snapshots === 0 ? undefined : `its ${snapshots} snapshots were not checked; name each as 'snapshot=NAME'`;
  }
}

/** Checks disks that are open; they stay the caller's. Damage is told, not thrown. @throws what must end the whole workflow. */
export async function checkDisk(place: DiskPlace, check: DiskCheck): Promise<DiskCounts> {
  const checker = new DiskChecker(place, check);
  await checker.run();
  return checker.counts;
}
