/**
 * Files of a ZFS filesystem: what their system attributes mean.
 * Source: OpenZFS `include/sys/zfs_znode.h`, `include/sys/zfs_acl.h`, `module/os/linux/zfs/zfs_znode_os.c`.
 */
import { FormatError, type NodeStat, type NodeType, type Timestamp } from '../../../core/index.ts';
import { type AttributeName, attributeNumber, type AttributeValues } from './attributes.ts';
import { viewOf } from './words.ts';

/** Types by the upper bits of a mode. */
const typesByMode: ReadonlyMap<number, NodeType> = new Map([
  [0o01, 'fifo'], [0o02, 'character'], [0o04, 'directory'], [0o06, 'block'], [0o10, 'file'], [0o12, 'symlink'], [0o14, 'socket'],
]);

/** Owners that are given as index of a domain and number in it; Linux shows them so, too. */
const NOBODY = 65_534;

function fault(field: string, found: number | string, expected: string): FormatError {
  return new FormatError('Read ZFS file', { structure: 'znode', field, found, expected });
}

function required(values: AttributeValues, name: AttributeName): number {
  const value = attributeNumber(values, name);
  if (value === undefined) throw fault(name, 'nothing', 'a value');
  return value;
}

function timeOf(values: AttributeValues, name: AttributeName): Timestamp | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  if (value.length !== 16) throw fault(name, value.length, '16 bytes');
  const view = viewOf(value);
  const seconds = view.getInt32(4, true) * 0x1_0000_0000 + view.getUint32(0, true);
  const nanoseconds = view.getUint32(8, true);
  if (!Number.isSafeInteger(seconds) || view.getUint32(12, true) !== 0 || nanoseconds >= 1_000_000_000) throw fault(name, `${seconds}s ${nanoseconds}ns`, 'a time');
  return { seconds, nanoseconds };
}

/** An owner; the upper half of the word is not 0 when it belongs to a domain. */
function ownerOf(values: AttributeValues, name: AttributeName): number {
  const value = values.get(name);
  if (value === undefined || value.length !== 8) throw fault(name, value?.length ?? 'nothing', '8 bytes');
  const view = viewOf(value);
  return view.getUint32(4, true) === 0 ? view.getUint32(0, true) : NOBODY;
}

/** The type of a file by its attributes. @throws {FormatError} */
export function typeOf(values: AttributeValues): NodeType {
  const mode = required(values, 'ZPL_MODE');
  const type = typesByMode.get(Math.floor(mode / 0o10000));
  if (type === undefined) throw fault('ZPL_MODE', `0o${mode.toString(8)}`, 'the type of a file');
  return type;
}

/** What `lstat` tells. @throws {FormatError} */
export function statOf(values: AttributeValues, inode: number): NodeStat {
  const type = typeOf(values);
  const modified = timeOf(values, 'ZPL_MTIME');
  if (modified === undefined) throw fault('ZPL_MTIME', 'nothing', 'a time');
  const accessed = timeOf(values, 'ZPL_ATIME');
  const changed = timeOf(values, 'ZPL_CTIME');
  const created = timeOf(values, 'ZPL_CRTIME');
  const device = type === 'character' || type === 'block' ? values.get('ZPL_RDEV') : undefined;
  if (device?.length !== 8 && (type === 'character' || type === 'block')) throw fault('ZPL_RDEV', device?.length ?? 'nothing', '8 bytes');
  return {
    type, size: type === 'file' || type === 'symlink' ? required(values, 'ZPL_SIZE') : 0, mode: required(values, 'ZPL_MODE') % 0o10000,
    uid: ownerOf(values, 'ZPL_UID'), gid: ownerOf(values, 'ZPL_GID'), modified,
    ...(accessed === undefined ? {} : { accessed }), ...(changed === undefined ? {} : { changed }), ...(created === undefined ? {} : { created }),
    // A file that is open but has no name left has no links; here it has the one that led to it.
    links: Math.max(1, required(values, 'ZPL_LINKS')), inode,
    ...(device === undefined ? {} : deviceOf(viewOf(device))),
  };
}

/** Linux stores its own number, 12 and 20 bits; illumos one of 32 and 32 bits. FreeBSD's, which has no device files on ZFS in use, is taken for Linux's. */
function deviceOf(view: DataView): { readonly deviceMajor: number; readonly deviceMinor: number } {
  const high = view.getUint32(4, true);
  const low = view.getUint32(0, true);
  return high === 0 ? { deviceMajor: low >>> 20, deviceMinor: low & 0xf_ffff } : { deviceMajor: high, deviceMinor: low };
}
