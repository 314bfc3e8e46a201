/** What lists of disks consist of: parts of one disk, and sets of parts of several. */
import type { TreeProblem } from '../../core/index.ts';
import type { VolumeTableFacts } from '../../formats/partitions/index.ts';
import type { SetMember, SetName } from '../locations/probes.ts';
import type { GuestOs } from './guest-os.ts';

/** One volume, partition, or the whole disk. Names and labels are the guest's, unescaped. JSON-safe. */
export interface DiskPart {
  /** Steps of a location behind the disk, or the disks of a set: `p2::luks::lv=vg/root`; empty for a disk that is not divided. */
  readonly step: string;
  /** The table's word for what it is for; `disk` for the whole one, `filesystem` for one that is on several. */
  readonly type: string;
  readonly name?: string;
  /** Bytes. */
  readonly size: number;
  /** The partition's own identity. */
  readonly partUuid?: string;
  /** The filesystem with its version, or `gpt`, `lvm`, `md`, `luks` …, or what is recognised and not read (`BitLocker`, `swap`, `ISO 9660` …); absent where nothing is known. */
  readonly holds?: string;
  readonly label?: string;
  readonly uuid?: string;
  /** Members of the set that it is a member of, and that are not here. */
  readonly missing?: number;
  /** Encrypted, and no key that was given opens it. */
  readonly locked?: true;
  /** Encrypted trees in it that no key opens, as steps: `dataset=pool/home`. */
  readonly lockedTrees?: readonly string[];
  readonly os?: GuestOs;
  /** Why no more is known. */
  readonly error?: string;
}

/** What is on one disk. */
export interface ListedDisk {
  /** Of the table that divides it. */
  readonly table?: VolumeTableFacts;
  readonly parts: readonly DiskPart[];
}

/** A set with members on several disks. */
export interface ListedSet {
  readonly format: SetName;
  readonly group: string;
  /** By the index of their disk, with their step on it. */
  readonly members: readonly { readonly disk: number; readonly step: string }[];
  /** Members that are on none of the disks. */
  readonly missing: number;
  readonly table?: VolumeTableFacts;
  readonly parts: readonly DiskPart[];
}

/** Where something is: `disk` is an index, absent for what is on several. */
export interface PartPlace {
  readonly disk?: number;
  readonly step: string;
}

/** A set that was not opened, because members are missing. */
export interface IncompleteSet extends Pick<SetMember, 'group' | 'listed' | 'isLone'> {
  /** Identities of those that are here. */
  readonly members: readonly string[];
}

/** A list of what is on some disks. */
export interface DiskList {
  readonly disks: readonly ListedDisk[];
  readonly sets: readonly ListedSet[];
  readonly incomplete: readonly IncompleteSet[];
  /** What could not be read. */
  readonly failures: readonly (PartPlace & { readonly error: unknown })[];
  /** Damage, and members that are missing. */
  readonly problems: readonly (PartPlace & { readonly problem: TreeProblem })[];
}
