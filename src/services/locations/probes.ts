/** What is on a disk, looked up once for each open disk: several steps ask the same of it. */
import type { BlockSource } from '../../core/index.ts';
import { filesystemMember, probeFilesystem, type RecognisedFilesystem } from '../../formats/filesystems/index.ts';
import { memberOf, probeVolumeTable, type RecognisedVolumeTable, type VolumeTableName } from '../../formats/partitions/index.ts';

type Lookup<T> = (source: BlockSource) => Promise<T>;

/** Remembers answers as long as the source lives; a failure is asked again. */
function once<T>(look: Lookup<T>): Lookup<T> {
  const known = new WeakMap<BlockSource, Promise<T>>();
  return (source) => {
    const before = known.get(source);
    if (before !== undefined) return before;
    const answer = look(source);
    known.set(source, answer);
    answer.catch(() => { known.delete(source); });
    return answer;
  };
}

/** The table of volumes on a disk; undefined where there is none. Never throws for bad content. */
export const tableOn: Lookup<RecognisedVolumeTable | undefined> = once(probeVolumeTable);

/** The filesystem on a disk, which may have a table instead: ask {@link tableOn} first. Never throws for bad content. */
export const filesystemOn: Lookup<RecognisedFilesystem | undefined> = once(probeFilesystem);

/** Kinds of sets that disks may be members of. */
export type SetName = 'lvm' | 'md' | 'ldm' | 'btrfs' | 'zfs';

/** What a disk says of the set that it is a member of. */
export interface SetMember {
  readonly format: SetName;
  /** Equal for all members of one set. */
  readonly group: string;
  /** This member's own identity. */
  readonly member: string;
  /** Members of the whole set. */
  readonly members: number;
  /** Identities of all members, where this one lists them. */
  readonly listed?: readonly string[];
  /** It knows only itself: see `SetClaims`. */
  readonly isLone?: true;
  /** Why it knows only itself, where what it says of its set is damaged: opened alone it fails. */
  readonly damage?: string;
}

const groups: readonly VolumeTableName[] = ['lvm', 'md', 'ldm'];

/** The volume group, array or disk group that a disk is a member of, maybe the only one; undefined where it is none, or its mark is damaged. @throws {FormatError} what it says of the set is damaged. */
export const groupOn: Lookup<SetMember | undefined> = once(async (source) => {
  const table = await tableOn(source);
  if (table === undefined || !groups.includes(table.name)) return undefined;
  const found = await memberOf(source, table);
  if (found === undefined) return undefined;
  const { name: _, ...said } = found;
  return { format: table.name as SetName, ...said };
});

/** The filesystem of several devices that a disk without a table is one of; undefined where it is none. @throws {FormatError} */
export const poolOn: Lookup<SetMember | undefined> = once(async (source) => {
  const filesystem = await filesystemOn(source);
  if (filesystem?.verdict.match !== 'yes' || (filesystem.name !== 'btrfs' && filesystem.name !== 'zfs')) return undefined;
  const found = await filesystemMember(source);
  return found === undefined || found.members < 2 ? undefined : { format: filesystem.name, group: found.filesystem, member: found.member, members: found.members };
});
