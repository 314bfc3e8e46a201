/** What divides a disk, or joins several: partition tables, volume groups, arrays, encrypted containers. */
import type { BlockSource, OpenContext, ProbeVerdict, TreeProblem } from '../../core/index.ts';

/** Kinds, one folder each. */
export type VolumeTableName = 'mbr' | 'gpt' | 'lvm' | 'md' | 'ldm' | 'luks' | 'firmware-raid';

/** One volume of a table. JSON-safe but for `open`. */
export interface Volume {
  /** The location step that opens it: `p1`, `lv=VG/LV`, `md=NAME`; for an encrypted container `luks`. */
  readonly step: string;
  /** The table's own word for what it is for: `0x83`, a type GUID and its name, `linear`, `thin`, `raid5` … */
  readonly type: string;
  readonly name?: string;
  readonly uuid?: string;
  /** Bytes from the start of the disk; only where the volume is one run of it. */
  readonly offset?: number;
  /** Bytes. */
  readonly size: number;
  /**
   * Its bytes. The source belongs to the caller, and ends with the table.
   * @throws {UnsupportedError} a kind that is recognised and not read. @throws {NotFoundError} a member that was not given; no key fits. @throws {FormatError}
   * @throws {IntegrityError} a snapshot that is not valid. @throws {LimitError}
   */
  open(): Promise<BlockSource>;
}

/** What `info` tells about a table; JSON-safe. */
export interface VolumeTableFacts {
  readonly format: VolumeTableName;
  readonly version: string;
  readonly uuid?: string;
  readonly name?: string;
  /** Bytes of a logical sector that the table counts in. */
  readonly sectorSize: number;
  /** Remarks for people: a spare header that was used, a member that is missing. */
  readonly remarks: readonly string[];
}

/** A table of volumes; it owns its sources. */
export interface VolumeTable {
  readonly facts: VolumeTableFacts;
  /** In the table's order. */
  readonly volumes: readonly Volume[];
  /** Damage that did not keep the table from being used. */
  problems(): readonly TreeProblem[];
  close(): Promise<void>;
}

/** What one disk says about the array or group that it belongs to. */
export interface VolumeMember {
  /** Equal for all disks that belong together. */
  readonly group: string;
  readonly member: string;
  /** Disks that belong together. */
  readonly members: number;
  /** Identities of all disks that belong together, where this one lists them. */
  readonly listed?: readonly string[];
  /** It knows only itself, and belongs to the group that lists it, if there is one; `group` is then its own. */
  readonly isLone?: true;
  /** Why it knows only itself, where what it says of its group is damaged: opened alone it fails. */
  readonly damage?: string;
}

/** The reader of one kind. */
export interface VolumeTableDriver {
  readonly name: VolumeTableName;
  /** Reads little and never throws for bad content. */
  probe(source: BlockSource): Promise<ProbeVerdict>;
  /** Only kinds that join several disks (LVM, md, LDM). @throws {FormatError} */
  member?(source: BlockSource): Promise<VolumeMember>;
  /**
   * Opens it; several sources only with `member`, in any order. The table then owns them; on failure they remain the caller's.
   * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {IntegrityError}
   */
  open(sources: readonly BlockSource[], context: OpenContext): Promise<VolumeTable>;
}
