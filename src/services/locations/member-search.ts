/**
 * Finds members of sets (volume groups, arrays, pools) on disks that were given together: on the disks themselves, in their partitions, on arrays
 * made of those, and in encrypted containers that a key opens. It looks no deeper than it is asked to: deriving a key takes seconds. Logical
 * volumes are not looked into: what lies on them is a guest's.
 */
import { LimitError, defaultLimits, type BlockSource } from '../../core/index.ts';
import type { Volume, VolumeTableName } from '../../formats/partitions/index.ts';
import { isFatal } from '../entry-error.ts';
import type { Owner } from './owner.ts';
import type { OpenOptions } from './place.ts';
import { groupOn, poolOn, tableOn, type SetMember, type SetName } from './probes.ts';
import { ambiguousClaim, SetClaims } from './set-claims.ts';
import { openTable, openVolume, type Disks } from './tables.ts';

/** Tables in each other: a partition, an array, a container. */
const DEPTH_MAX = 8;

/** A disk, and how many tables it lies in. */
interface Found {
  readonly source: BlockSource;
  readonly depth: number;
}

/** Members of one set, so far. */
export class MemberGroup {
  readonly format: SetName;
  /** Members that the whole set has. */
  readonly whole: number;
  /** By identity: of two copies of a member, the first counts. */
  readonly #members = new Map<string, Found>();

  constructor({ format, members }: SetMember) {
    this.format = format;
    this.whole = members;
  }

  /** Members that are not here. */
  get missing(): number {
    return Math.max(0, this.whole - this.#members.size);
  }

  get sources(): Disks {
    return [...this.#members.values()].map(({ source }) => source) as unknown as Disks;
  }

  get depth(): number {
    return Math.max(...[...this.#members.values()].map(({ depth }) => depth));
  }

  add(member: string, found: Found): void {
    if (!this.#members.has(member)) this.#members.set(member, found);
  }

  remove(member: string, found: Found): void {
    if (this.#members.get(member) === found) this.#members.delete(member);
  }
}

/** A disk that knows only itself; `own` is a group that it forms alone until another disk lists it, if it can be opened alone. */
interface LoneDisk {
  readonly group: string;
  readonly own?: MemberGroup;
  readonly found: Found;
}

/** See the header. What it opens, `owner` closes; the disks stay the caller's. */
export class MemberSearch {
  readonly #options: OpenOptions;
  readonly #owner: Owner;
  readonly #pools: boolean;
  readonly #groups = new Map<string, MemberGroup>();
  readonly #claims = new SetClaims();
  readonly #lone = new Map<string, LoneDisk>();
  readonly #entered = new Set<MemberGroup>();
  readonly #containers: Found[] = [];
  readonly #failures: string[] = [];
  #found = 0;

  /** `pools`: looks also for devices of filesystems; finding that there is none takes many reads. */
  constructor(options: OpenOptions, owner: Owner, pools = false) {
    this.#pools = pools;
    this.#options = options;
    this.#owner = owner;
  }

  /** What could not be looked into, for an error about what was not found. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  groups(format: SetName): readonly MemberGroup[] {
    return [...this.#groups.values()].filter((group) => group.format === format);
  }

  group(id: string): MemberGroup | undefined {
    return this.#groups.get(id);
  }

  /** Looks at a disk and its partitions. */
  async add(source: BlockSource, depth = 0): Promise<void> {
    this.#found += 1;
    if (this.#found > defaultLimits.volumePartsMax) throw new LimitError('volumePartsMax', this.#found, defaultLimits.volumePartsMax, 'disks that belong together');
    if (depth > DEPTH_MAX) return;
    const table = await tableOn(source);
    if (table?.name === 'luks') this.#containers.push({ source, depth });
    else if (table?.name === 'gpt' || table?.name === 'mbr') await this.#enter([source], table.name, depth);
    else {
      const look = table !== undefined ? groupOn : this.#pools ? poolOn : undefined;
      const set = look === undefined ? undefined : await this.#attempt(() => look(source));
      if (set !== undefined) this.#join(set, { source, depth });
    }
  }

  #join(set: SetMember, found: Found): void {
    const { group: id, member, isLone, listed = [], damage } = set;
    const group = this.#groups.get(id) ?? new MemberGroup(set);
    this.#claims.add(set);
    group.add(member, found);
    if (isLone !== true) this.#groups.set(id, group);
    else if (!this.#lone.has(member)) this.#lone.set(member, { group: id, found, ...(damage === undefined ? { own: group } : {}) });
    if (damage !== undefined) this.#failures.push(damage);
    for (const one of isLone === true ? [member] : listed) this.#settle(one);
  }

  /** Puts a disk that knows only itself into the group that lists it, whichever was found first; where several list it, into none. */
  #settle(member: string): void {
    const lone = this.#lone.get(member);
    if (lone === undefined) return;
    const homes = this.#claims.of(member);
    const [home, ...others] = homes;
    if (home !== undefined && others.length === 0) {
      this.#groups.delete(lone.group);
      this.#groups.get(home)?.add(member, lone.found);
      return;
    }
    for (const one of homes) this.#groups.get(one)?.remove(member, lone.found);
    if (lone.own !== undefined) this.#groups.set(lone.group, lone.own);
    if (home !== undefined) this.#failures.push(ambiguousClaim(member, homes));
  }

  /** Looks one stage deeper: into an array that is whole, else into a container, else into an array with members missing. @returns whether there was one. */
  async deeper(): Promise<boolean> {
    const arrays = [...this.groups('md'), ...this.groups('ldm')].filter((group) => !this.#entered.has(group));
    const whole = arrays.find(({ missing }) => missing === 0);
    const container = whole === undefined ? this.#containers.shift() : undefined;
    if (container !== undefined) {
      await this.#enter([container.source], 'luks', container.depth);
      return true;
    }
    const array = whole ?? arrays[0];
    if (array === undefined) return false;
    this.#entered.add(array);
    await this.#enter(array.sources, array.format as VolumeTableName, array.depth);
    return true;
  }

  async #enter(disks: Disks, name: VolumeTableName, depth: number): Promise<void> {
    const table = await this.#attempt(() => openTable(disks, name, this.#options));
    if (table === undefined) return;
    this.#owner.own(table);
    for (const volume of table.volumes) await this.#volume(volume, depth);
  }

  async #volume(volume: Volume, depth: number): Promise<void> {
    const source = await this.#attempt(() => openVolume(volume, this.#options));
    if (source !== undefined) await this.add(this.#owner.own(source), depth + 1);
  }

  /** Undefined where it fails: the member that is looked for may be elsewhere. */
  async #attempt<T>(look: () => Promise<T>): Promise<T | undefined> {
    try {
      return await look();
    } catch (error) {
      if (isFatal(error)) throw error;
      this.#failures.push((error as Error).message);
      return undefined;
    }
  }
}
