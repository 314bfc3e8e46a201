/** What a stat call found, and the units in which trees speak of it. */
import type { NodeStat, NodeType } from '../../core/index.ts';

/** What one stat call found; reused by each call, so copy what you need (`nodeStat`). */
export class StatRecord {
  mode = 0;
  links = 0;
  uid = 0;
  gid = 0;
  inodeHigh = 0;
  inodeLow = 0;
  size = 0;
  /** Units of 512 bytes. */
  blocks = 0;
  accessedSeconds = 0;
  accessedNanoseconds = 0;
  modifiedSeconds = 0;
  modifiedNanoseconds = 0;
  changedSeconds = 0;
  changedNanoseconds = 0;
  hasCreated = false;
  createdSeconds = 0;
  createdNanoseconds = 0;
  specialMajor = 0;
  specialMinor = 0;
  deviceMajor = 0;
  deviceMinor = 0;
}

const types: readonly (NodeType | undefined)[] = [
  undefined, 'fifo', 'character', undefined, 'directory', undefined, 'block', undefined, 'file', undefined, 'symlink', undefined, 'socket',
];

/** The type in the upper bits of `st_mode`; unknown types look like sockets: nothing to read, nothing to restore from. */
export function nodeType(mode: number): NodeType {
  return types[mode >>> 12] ?? 'socket';
}

/** The bits of `st_mode` for a type. */
export function modeType(type: NodeType): number {
  return types.indexOf(type) << 12;
}

/** Device number in the form of `st_dev`, as a number. Source: makedev(3). */
export function deviceNumber(major: number, minor: number): number {
  const low = ((major & 0xfff) << 8 | minor & 0xff) >>> 0;
  return low + (minor >>> 8) * 0x10_0000 + (major >>> 12) * 0x1000_0000_0000;
}

/** Copies the record into the vocabulary of trees. */
export function nodeStat(record: StatRecord): NodeStat {
  const type = nodeType(record.mode);
  const stat = {
    type,
    size: type === 'file' || type === 'symlink' ? record.size : 0,
    mode: record.mode & 0o7777,
    uid: record.uid,
    gid: record.gid,
    modified: { seconds: record.modifiedSeconds, nanoseconds: record.modifiedNanoseconds },
    accessed: { seconds: record.accessedSeconds, nanoseconds: record.accessedNanoseconds },
    changed: { seconds: record.changedSeconds, nanoseconds: record.changedNanoseconds },
    links: record.links,
    inode: record.inodeHigh * 0x1_0000_0000 + record.inodeLow,
    device: deviceNumber(record.deviceMajor, record.deviceMinor),
  };
  if (type !== 'character' && type !== 'block' && !record.hasCreated) return stat;
  return {
    ...stat,
    ...(record.hasCreated ? { created: { seconds: record.createdSeconds, nanoseconds: record.createdNanoseconds } } : {}),
    ...(type === 'character' || type === 'block' ? { deviceMajor: record.specialMajor, deviceMinor: record.specialMinor } : {}),
  };
}
