/**
 * Lists what is on disks to its end: partitions, containers and volumes in each other, filesystems, operating systems. Members of sets (volume groups,
 * arrays, pools) are gathered over all disks first; a set is opened when all of them were found, or when nothing else is left.
 */
import { LimitError, UnsupportedError, defaultLimits, type BlockSource, type TreeProblem } from '../../core/index.ts';
import type { Volume, VolumeTableFacts, VolumeTableName } from '../../formats/partitions/index.ts';
import { errorMessage, isFatal } from '../entry-error.ts';
import { isLocked } from '../locations/key-remarks.ts';
import { Owner } from '../locations/owner.ts';
import type { OpenOptions } from '../locations/place.ts';
import { filesystemOn, groupOn, poolOn, tableOn, type SetMember } from '../locations/probes.ts';
import { ambiguousClaim, SetClaims } from '../locations/set-claims.ts';
import { openTable, openVolume, type Disks } from '../locations/tables.ts';
import { contentMark, contentOf, type Content, type ContentVisitor } from './disk-content.ts';
import type { DiskList, DiskPart, IncompleteSet, PartPlace } from './disk-parts.ts';

/** Tables in each other: a partition, an array, a container, a volume group, and a guest's own disk in a volume. */
const DEPTH_MAX = 8;

/** How disks are listed. */
export interface ListOptions {
  readonly opening: OpenOptions;
  /** `marks`: what filesystems there are; `inside`: also what operating systems are in them. */
  readonly look: 'marks' | 'inside';
  /** Whether sets are opened although members are missing; else they are told as incomplete. */
  readonly degraded: boolean;
}

/** Where something lies: on one disk, or on several. */
interface Spot {
  readonly disk?: number;
  readonly steps: readonly string[];
}

/** A part in the making; those in it follow it. */
interface Line {
  part: DiskPart;
  readonly below: Line[];
  table?: VolumeTableFacts;
}

interface Member extends SetMember {
  readonly source: BlockSource;
  readonly line: Line;
  readonly spot: Spot;
  /** Members that were found before it. */
  readonly order: number;
}

interface GatheredSet {
  readonly members: [Member, ...Member[]];
  isOpened: boolean;
  /** Only for sets over several disks. */
  list?: { readonly lines: Line[]; table?: VolumeTableFacts };
}

function placeOf({ disk, steps }: Spot): PartPlace {
  return { ...(disk === undefined ? {} : { disk }), step: steps.join('::') };
}

function missingOf({ members }: GatheredSet): number {
  return Math.max(0, members[0].members - members.length);
}

function incompleteOf({ members }: GatheredSet): IncompleteSet {
  const [{ group, isLone }] = members;
  return { group, members: members.map(({ member }) => member), listed: [...new Set(members.flatMap(({ listed = [] }) => listed))], ...(isLone === undefined ? {} : { isLone }) };
}

function flat(lines: readonly Line[]): readonly DiskPart[] {
  return lines.flatMap(({ part, below }) => [part, ...flat(below)]);
}

class DiskWalk {
  readonly #options: ListOptions;
  readonly #opening: OpenOptions;
  readonly #owner = new Owner();
  readonly #roots: Line[];
  readonly #sets = new Map<string, GatheredSet>();
  readonly #claims = new SetClaims();
  readonly #failures: DiskList['failures'][number][] = [];
  readonly #problems: DiskList['problems'][number][] = [];
  #lines = 0;
  #members = 0;

  constructor(disks: readonly BlockSource[], options: ListOptions) {
    this.#options = options;
    const { onNote: _, ...opening } = options.opening;
    this.#opening = opening;
    this.#roots = disks.map(({ size }) => ({ part: { step: '', type: 'disk', size }, below: [] }));
  }

  async run(disks: readonly BlockSource[]): Promise<DiskList> {
    try {
      for (const [i, disk] of disks.entries()) await this.#visit(disk, this.#roots[i] as Line, { disk: i, steps: [] });
      for (let set = this.#next(); set !== undefined; set = this.#next()) await this.#open(set);
    } finally {
      await this.#owner.close();
    }
    const sets = [...this.#sets.values()];
    return {
      // The disk itself is a part only where it is not divided.
      disks: this.#roots.map(({ part, below, table }) => ({ ...(table === undefined ? {} : { table }), parts: below.length > 0 ? flat(below) : [part] })),
      sets: sets.flatMap((set) => {
        const { members: [{ format, group }], members, list } = set;
        if (list === undefined) return [];
        return [{
          format, group, members: members.map(({ spot: { disk = 0, steps } }) => ({ disk, step: steps.join('::') })), missing: missingOf(set),
          ...(list.table === undefined ? {} : { table: list.table }), parts: flat(list.lines),
        }];
      }),
      incomplete: sets.filter(({ isOpened }) => !isOpened).map(incompleteOf),
      failures: this.#failures, problems: this.#problems,
    };
  }

  /** The next set to open, those that are whole first. */
  #next(): GatheredSet | undefined {
    const lone = [...this.#sets.values()].filter(({ members: [{ isLone }], isOpened }) => isLone === true && !isOpened);
    for (const set of lone) this.#claim(set);
    const sets = [...this.#sets.values()].filter(({ isOpened }) => !isOpened);
    const known = sets.filter((set) => !lone.includes(set));
    return known.find((set) => missingOf(set) === 0) ?? (this.#options.degraded ? known[0] ?? sets[0] : undefined);
  }

  /** Puts a disk that knows only itself into the set that lists it. */
  #claim(set: GatheredSet): void {
    const { members: [member] } = set;
    const homes = this.#claims.of(member.member);
    const home = this.#sets.get(homes[0] ?? '');
    if (home === undefined) return;
    set.isOpened = true;
    try {
      if (homes.length > 1) throw new UnsupportedError(`List disks: ${ambiguousClaim(member.member, homes)}`);
      this.#sets.delete(member.group);
      const { group, members } = home.members[0];
      const { isLone: _, ...rest } = member;
      this.#enlist({ ...rest, group, members });
    } catch (error) {
      member.line.part = { ...member.line.part, error: this.#fail(member.spot, error) };
    }
  }

  #add(lines: Line[], part: DiskPart): Line {
    this.#lines += 1;
    if (this.#lines > defaultLimits.volumePartsMax) throw new LimitError('volumePartsMax', this.#lines, defaultLimits.volumePartsMax, 'what is on the disks');
    const line: Line = { part, below: [] };
    lines.push(line);
    return line;
  }

  #fail(spot: Spot, error: unknown): string {
    if (isFatal(error)) throw error;
    this.#failures.push({ ...placeOf(spot), error });
    return errorMessage(error);
  }

  #problem(spot: Spot, problem: TreeProblem): void {
    this.#problems.push({ ...placeOf(spot), problem });
  }

  async #visit(source: BlockSource, line: Line, spot: Spot): Promise<void> {
    try {
      const table = await tableOn(source);
      if (table !== undefined) line.part = { ...line.part, holds: table.name };
      const set = table === undefined ? await poolOn(source) : await groupOn(source);
      if (set !== undefined) this.#gather({ ...set, source, line, spot, order: this.#members });
      else if (table !== undefined) line.table = await this.#table([source], table.name, line.below, spot);
      else {
        // Should opening it fail, the part says at least what it is.
        const filesystem = await filesystemOn(source);
        if (filesystem !== undefined) line.part = { ...line.part, holds: filesystem.name };
        line.part = { ...line.part, ...await this.#content([source], spot) };
      }
    } catch (error) {
      line.part = { ...line.part, error: this.#fail(spot, error) };
    }
  }

  #gather(member: Member): void {
    member.line.part = { ...member.line.part, holds: member.format };
    this.#enlist(member);
    this.#members += 1;
    this.#claims.add(member);
  }

  #enlist(member: Member): void {
    const { format, group } = member;
    const set = this.#sets.get(group);
    if (set?.members.some((other) => other.member === member.member) === true) {
      throw new UnsupportedError(`List disks: another one is the same member of its ${format} set, and only the first is used; name those that belong together`);
    }
    if (set?.isOpened === true) throw new UnsupportedError(`List disks: its ${format} set had to be opened before this member was found`);
    if (set === undefined) this.#sets.set(group, { members: [member], isOpened: false });
    else set.members.push(member);
    set?.members.sort((a, b) => a.order - b.order);
  }

  /** Opens a set. With one member its parts are below that; on one disk, below the disk; else they are a list of their own. */
  async #open(set: GatheredSet): Promise<void> {
    set.isOpened = true;
    const { members: [first, ...others] } = set;
    const { disk } = first.spot;
    let home: { readonly spot: Spot; readonly lines: Line[] } = { spot: first.spot, lines: first.line.below };
    if (others.length > 0) {
      if (disk !== undefined && others.every(({ spot }) => spot.disk === disk)) home = { spot: { disk, steps: [] }, lines: (this.#roots[disk] as Line).below };
      else {
        set.list = { lines: [] };
        home = { spot: { steps: [] }, lines: set.list.lines };
      }
    }
    const missing = missingOf(set);
    if (missing > 0) {
      for (const { line } of set.members) line.part = { ...line.part, missing };
      this.#problem(home.spot, { kind: 'missing-member', where: first.format, message: `${missing} of ${first.members} members of the ${first.format} set are not here` });
    }
    try {
      await this.#inside(set, home.spot, home.lines);
    } catch (error) {
      const text = this.#fail(home.spot, error);
      first.line.part = { ...first.line.part, error: text };
    }
  }

  async #inside({ members: [first, ...others], list }: GatheredSet, spot: Spot, lines: Line[]): Promise<void> {
    const disks: Disks = [first.source, ...others.map(({ source }) => source)];
    if (first.format === 'btrfs' || first.format === 'zfs') {
      const content = await this.#content(disks, first.spot);
      if (list === undefined) first.line.part = { ...first.line.part, ...content };
      else this.#add(lines, { step: first.spot.steps.join('::'), type: 'filesystem', size: disks.reduce((sum, { size }) => sum + size, 0), ...content });
      return;
    }
    const facts = await this.#table(disks, first.format, lines, spot);
    if (list !== undefined) list.table = facts;
    else if (spot.steps.length === 0) (this.#roots[spot.disk ?? 0] as Line).table ??= facts;
  }

  async #table(disks: Disks, name: VolumeTableName, lines: Line[], spot: Spot): Promise<VolumeTableFacts> {
    if (spot.steps.length >= DEPTH_MAX) throw new LimitError('tables in each other', spot.steps.length + 1, DEPTH_MAX, 'one disk');
    const table = this.#owner.own(await openTable(disks, name, this.#opening));
    for (const problem of table.problems()) this.#problem(spot, problem);
    for (const volume of table.volumes) await this.#volume(volume, lines, { ...spot, steps: [...spot.steps, volume.step] });
    return table.facts;
  }

  async #volume(volume: Volume, lines: Line[], spot: Spot): Promise<void> {
    const { type, name, size, uuid } = volume;
    const line = this.#add(lines, { step: spot.steps.join('::'), type, ...(name === undefined ? {} : { name }), size, ...(uuid === undefined ? {} : { partUuid: uuid }) });
    // A pool is only there for other volumes.
    if (type === 'thin-pool') return;
    let inner: BlockSource;
    try {
      inner = await openVolume(volume, this.#opening);
    } catch (error) {
      line.part = { ...line.part, ...(isLocked(error) ? { locked: true, error: errorMessage(error) } : { error: this.#fail(spot, error) }) };
      return;
    }
    const before = this.#members;
    await this.#visit(inner, line, spot).finally(async () => {
      // What is a member, or holds one, is read once more when its set is opened.
      if (this.#members === before) await inner.close();
      else this.#owner.own(inner);
    });
  }

  async #content(disks: Disks, spot: Spot): Promise<Content> {
    const visitor: ContentVisitor = {
      failed: (what, error) => { this.#fail({ ...spot, steps: [...spot.steps, what] }, error); },
      problem: (problem) => { this.#problem(spot, problem); },
    };
    return this.#options.look === 'marks' ? contentMark(disks[0], visitor) : contentOf(disks, spot.steps.join('::') || 'disk', this.#opening, visitor);
  }
}

/** Lists what is on some disks, which stay the caller's. What cannot be read is in the list. @throws only what must end the whole workflow. */
export function listDisks(disks: readonly BlockSource[], options: ListOptions): Promise<DiskList> {
  return new DiskWalk(disks, options).run(disks);
}
