/** A volume group as its text describes it. */
import { checkLimit, FormatError, type Limits } from '../../../core/index.ts';
import { SECTOR } from './lvm.layout.ts';
import { parseMetadataText, type TextSection } from './metadata-text.ts';

/** A disk of the group, by its name in the text. */
export interface GroupDisk {
  readonly name: string;
  /** Without dashes. */
  readonly uuid: string;
  /** Bytes of the disk where extent 0 begins. */
  readonly start: number;
  readonly extents: number;
  /** It was away while the group was changed: its bytes may be old. */
  readonly stale: boolean;
}

/** A part of a logical volume, by extents. */
export interface Segment {
  readonly type: string;
  readonly start: number;
  /** Of content. */
  readonly extents: number;
  readonly text: TextSection;
}

/** A logical volume, shown to people or not. */
export interface LogicalVolume {
  readonly name: string;
  readonly uuid: string;
  readonly visible: boolean;
  /** Its mirrors are a move under way (pvmove): only the first place has all bytes. */
  readonly moving: boolean;
  readonly segments: readonly Segment[];
  /** Sum of its segments, in extents. */
  readonly extents: number;
}

/** The group. */
export interface VolumeGroup {
  readonly name: string;
  readonly uuid: string;
  readonly seqno: number;
  readonly extentBytes: number;
  readonly disks: ReadonlyMap<string, GroupDisk>;
  readonly volumes: ReadonlyMap<string, LogicalVolume>;
}

function diskOf(name: string, text: TextSection): GroupDisk {
  return {
    name, uuid: text.text('id').replaceAll('-', ''), start: text.count('pe_start') * SECTOR, extents: text.count('pe_count'),
    stale: text.has('flags', 'MISSING') || text.has('status', 'MISSING'),
  };
}

/** Extents of a RAID segment that hold no content: room on each image that a reshape moves data through, and that stays when it is over. Source: LVM2 `lib/activate/dev_manager.c`, `_seg_len`. */
function spareExtents(type: string, length: number, segment: TextSection): number {
  const room = segment.count('reshape_count', 0);
  if (room === 0 || !type.startsWith('raid')) return 0;
  const parity = type.startsWith('raid6') ? 2 : /^raid[45]/.test(type) ? 1 : 0;
  const spare = room * (segment.count(segment.values.has('device_count') ? 'device_count' : 'stripe_count') - parity);
  if (spare >= length) throw new FormatError('Read LVM metadata', { structure: segment.path, field: 'reshape_count', found: room, expected: `less than the ${length} extents of the segment` });
  return spare;
}

function volumeOf(name: string, text: TextSection): LogicalVolume {
  const count = text.count('segment_count');
  const segments: Segment[] = [];
  let extents = 0;
  for (let i = 1; i <= count; i += 1) {
    const segment = text.section(`segment${i}`);
    const start = segment.count('start_extent');
    if (start !== extents) throw new FormatError('Read LVM metadata', { structure: segment.path, field: 'start_extent', found: start, expected: extents });
    const length = segment.count('extent_count');
    // What follows the '+' are flags for versions of LVM that do not know them.
    const type = segment.text('type').split('+', 1)[0] as string;
    segments.push({ type, start, extents: length - spareExtents(type, length, segment), text: segment });
    extents += length;
  }
  return { name, uuid: text.text('id'), visible: text.has('status', 'VISIBLE'), moving: text.has('status', 'PVMOVE'), segments, extents: segments.reduce((sum, one) => sum + one.extents, 0) };
}

/** Parses the description of a group. @throws {FormatError} @throws {LimitError} */
export function parseVolumeGroup(source: string, limits: Limits): VolumeGroup {
  const whole = parseMetadataText(source);
  const [name, ...others] = [...whole.sections.keys()];
  if (name === undefined || others.length > 0) throw new FormatError('Read LVM metadata', { structure: 'LVM metadata', field: 'volume groups', found: whole.sections.size, expected: 1 });
  const text = whole.section(name);
  const extentSectors = text.count('extent_size');
  if (extentSectors === 0) throw new FormatError('Read LVM metadata', { structure: name, field: 'extent_size', found: 0, expected: 'at least 1' });
  const disks = text.section('physical_volumes').sections;
  const volumes = text.sections.get('logical_volumes')?.sections ?? new Map<string, TextSection>();
  checkLimit(limits, 'volumeMembersMax', disks.size, `${name}/physical_volumes`);
  checkLimit(limits, 'volumePartsMax', volumes.size, `${name}/logical_volumes`);
  return {
    name, uuid: text.text('id'), seqno: text.count('seqno'), extentBytes: extentSectors * SECTOR,
    disks: new Map([...disks].map(([key, section]) => [key, diskOf(key, section)])),
    volumes: new Map([...volumes].map(([key, section]) => [key, volumeOf(key, section)])),
  };
}
