/** What is on a disk, to its end: partitions, volumes in them, containers in those, filesystems, operating systems. */
import { defaultLimits, IntegrityError, LimitError, readRange, textOf, UnsupportedError, type BlockSource } from '../../core/index.ts';
import { probeFilesystem } from '../../formats/filesystems/index.ts';
import { openVolumeTable, probeVolumeTable, type Volume, type VolumeTableName } from '../../formats/partitions/index.ts';
import { errorMessage, isFatal } from '../entry-error.ts';
import { borrowed } from '../locations/borrowed.ts';
import { DiskTree } from '../locations/disk-tree.ts';
import { enterFilesystem } from '../locations/guest-layer.ts';
import type { OpenOptions } from '../locations/place.ts';
import { findOs, type GuestOs } from './guest-os.ts';

/** Tables in each other: a partition, an array, a container, a volume group, and a guest's own disk in a volume. */
const DEPTH_MAX = 8;

/** Tables that may be spread over several disks. */
const groups: readonly VolumeTableName[] = ['lvm', 'md', 'ldm'];

/** One disk, or several that belong together. */
type Disks = readonly [BlockSource, ...BlockSource[]];

/** One volume, partition, or the whole disk. Names and labels are the guest's, unescaped. JSON-safe. */
export interface DiskPart {
  /** Steps of a location behind the disk: `p2::luks::lv=vg/root`; empty for a disk that is not divided. */
  readonly step: string;
  /** The table's word for what it is for; `disk` for the whole one. */
  readonly type: string;
  readonly name?: string;
  /** Bytes. */
  readonly size: number;
  /** The partition's own identity. */
  readonly partUuid?: string;
  /** The filesystem with its version, or `gpt`, `lvm`, `md`, `luks` …, `BitLocker`, `swap`; absent where nothing is known. */
  readonly holds?: string;
  readonly label?: string;
  readonly uuid?: string;
  /** Encrypted, and no key that was given opens it. */
  readonly locked?: true;
  /** Encrypted trees in it that no key opens, as steps: `dataset=pool/home`. */
  readonly lockedTrees?: readonly string[];
  readonly os?: GuestOs;
  /** Why no more is known. */
  readonly error?: string;
}

/** What a filesystem or container adds to what its table says. */
type Content = Pick<DiskPart, 'holds' | 'label' | 'uuid' | 'locked' | 'lockedTrees' | 'os' | 'error'>;

/** Marks of what is recognised and not opened. Source: swap(5)'s `struct swap_header` with pages of 4 KiB; the OEM name of BitLocker volumes. */
async function markOf(source: BlockSource): Promise<Content> {
  if (source.size < 4_096) return {};
  const head = await readRange(source, 0, 4_096);
  if (textOf(head.subarray(3, 11)) === '-FVE-FS-') return { holds: 'BitLocker', locked: true };
  if (textOf(head.subarray(4_086, 4_096)) !== 'SWAPSPACE2') return {};
  const label = textOf(head.subarray(1_052, 1_068)).replace(/\0.*$/s, '');
  return { holds: 'swap', ...(label === '' ? {} : { label }) };
}

/** Whether an encrypted container only lacks a key that fits: it is then what it should be, not damaged. */
export function isLocked(error: unknown): boolean {
  return error instanceof IntegrityError && error.data['slots'] !== undefined;
}

/** Goes through one disk. Failures are told and noted in the part; none ends it but those that are fatal. */
class DiskWalk {
  readonly parts: DiskPart[] = [];
  readonly #options: OpenOptions;
  readonly #failed: (step: string, error: unknown) => void;

  constructor(options: OpenOptions, failed: (step: string, error: unknown) => void) {
    this.#options = options;
    this.#failed = failed;
  }

  /** Adds what a disk is, and all below it. `facts` are what is known of it; undefined for the disk itself, which is only listed when it is not divided. */
  async add([source, ...others]: Disks, steps: readonly string[], facts: DiskPart | undefined): Promise<void> {
    const own = facts ?? { step: '', type: 'disk', size: source.size };
    const at = this.parts.length;
    this.#put(own);
    try {
      const found = await probeVolumeTable(source);
      if (found === undefined) this.parts[at] = { ...own, ...await this.#content([source, ...others], own, at) };
      else {
        this.parts[at] = { ...own, holds: found.name };
        const isGroup = groups.includes(found.name);
        if (!isGroup && others.length > 0) this.#failed('', new UnsupportedError(`List disks: ${others.length} more were given beside one with '${found.name}', and only the first is searched; name each alone`));
        await this.#table(isGroup ? [source, ...others] : [source], steps);
        if (facts === undefined && this.parts.length > 1) this.parts.splice(at, 1);
      }
    } catch (error) {
      this.parts[at] = { ...(this.parts[at] ?? own), error: this.#fail(own.step, error) };
    }
  }

  #put(part: DiskPart): void {
    if (this.parts.length >= defaultLimits.volumePartsMax) throw new LimitError('volumePartsMax', this.parts.length + 1, defaultLimits.volumePartsMax, 'one disk');
    this.parts.push(part);
  }

  #fail(step: string, error: unknown): string {
    if (isFatal(error)) throw error;
    this.#failed(step, error);
    return errorMessage(error);
  }

  async #table(disks: Disks, steps: readonly string[]): Promise<void> {
    if (steps.length >= DEPTH_MAX) throw new LimitError('tables in each other', steps.length + 1, DEPTH_MAX, 'one disk');
    const { keys, signal } = this.#options;
    const table = await openVolumeTable(disks.map(borrowed), { limits: defaultLimits, ...(keys === undefined ? {} : { keys }), ...(signal === undefined ? {} : { signal }) });
    try {
      for (const volume of table.volumes) await this.#volume(volume, [...steps, volume.step]);
      for (const { message } of table.problems()) this.#failed(steps.join('::'), new IntegrityError(message));
    } finally {
      await table.close();
    }
  }

  async #volume(volume: Volume, steps: readonly string[]): Promise<void> {
    const { type, name, size, uuid } = volume;
    const facts: DiskPart = { step: steps.join('::'), type, ...(name === undefined ? {} : { name }), size, ...(uuid === undefined ? {} : { partUuid: uuid }) };
    // A pool is only there for other volumes.
    if (type === 'thin-pool') return this.#put(facts);
    let inner: BlockSource;
    try {
      inner = await volume.open();
    } catch (error) {
      this.#put({ ...facts, ...(isLocked(error) ? { locked: true, error: errorMessage(error) } : { error: this.#fail(facts.step, error) }) });
      return;
    }
    try {
      await this.add([inner], steps, facts);
    } finally {
      await inner.close();
    }
  }

  /** What is on a source that is not divided. Should opening it fail, the part at `at` says at least what it is. */
  async #content(disks: Disks, own: DiskPart, at: number): Promise<Content> {
    const [[source], { step }] = [disks, own];
    const found = await probeFilesystem(source);
    if (found === undefined) return markOf(source);
    this.parts[at] = { ...own, holds: found.name };
    const tree = new DiskTree(source);
    const place = { kind: 'disk', disks, name: step === '' ? 'disk' : step, view: { tree, id: tree.rootId, path: new Uint8Array() } } as const;
    const [arrival] = await enterFilesystem(place, this.#options);
    try {
      const filesystem = arrival?.place.kind === 'node' ? arrival.place.filesystem : undefined;
      if (filesystem === undefined) return {};
      const { version, label, uuid } = filesystem.facts;
      const lockedTrees: string[] = [];
      const os = await findOs(filesystem, {
        failed: (what, error) => { this.#failed(step === '' ? what : `${step}::${what}`, error); },
        locked: (tree) => lockedTrees.push(tree),
      });
      for (const { message } of filesystem.problems()) this.#failed(step, new IntegrityError(message));
      return { holds: version, ...(label === undefined || label === '' ? {} : { label }), ...(uuid === undefined ? {} : { uuid }), ...(os === undefined ? {} : { os }), ...(lockedTrees.length === 0 ? {} : { lockedTrees }) };
    } finally {
      await arrival?.owned?.close();
    }
  }
}

/** Lists what is on a disk, or on several that belong together; they stay the caller's. `failed` is told where, as steps behind the disk. @throws only what must end the whole workflow. */
export async function listParts(disks: Disks, options: OpenOptions, failed: (step: string, error: unknown) => void): Promise<readonly DiskPart[]> {
  const walk = new DiskWalk(options, failed);
  await walk.add(disks, [], undefined);
  return walk.parts;
}
