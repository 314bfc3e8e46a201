/** Inodes as stats. Source: btrfs documentation, "On-disk format", inode item. */
import { FormatError, type NodeStat, type NodeType, type Timestamp } from '../../../core/index.ts';
import { inodeLayout } from './btrfs.layout.ts';
import { type Item, itemBytes } from './node.ts';

const types: ReadonlyMap<number, NodeType> = new Map([
  [0o100_000, 'file'], [0o040_000, 'directory'], [0o120_000, 'symlink'], [0o010_000, 'fifo'], [0o020_000, 'character'], [0o060_000, 'block'], [0o140_000, 'socket'],
]);
/** The file's data has no checksums. */
const NODATASUM = 1;

/** An inode: what is shown of it, and what reading it needs. */
export interface Inode {
  readonly stat: NodeStat;
  /** Bytes of content, of a symbolic link's target, or of a directory as btrfs counts them. */
  readonly size: number;
  readonly verified: boolean;
}

/** @throws {FormatError} */
export function inodeOf(item: Item, tree: number): Inode {
  const view = inodeLayout.view(itemBytes(item));
  const fault = (field: string, found: number, expected: string): FormatError => (
    new FormatError('Read btrfs inode', { structure: `btrfs_inode_item ${item.objectid} of tree ${tree}`, field, found, expected })
  );
  const time = (name: 'atime' | 'ctime' | 'mtime' | 'otime'): Timestamp => {
    const nanoseconds = view[`${name}_nsec`];
    if (nanoseconds >= 1_000_000_000) throw fault(`${name}.nsec`, nanoseconds, 'less than a second');
    return { seconds: view[`${name}_sec`], nanoseconds };
  };
  const { mode, size, rdev } = view;
  const type = types.get(mode & 0o170_000);
  if (type === undefined) throw fault('mode', mode, 'a type of file');
  const device = type === 'character' || type === 'block';
  return {
    size, verified: view.flags % 2 !== NODATASUM,
    stat: {
      type, size: type === 'file' || type === 'symlink' ? size : 0, mode: mode & 0o7777, uid: view.uid, gid: view.gid,
      modified: time('mtime'), accessed: time('atime'), changed: time('ctime'), created: time('otime'),
      links: Math.max(1, view.nlink), inode: item.objectid, device: tree,
      ...(device ? { deviceMajor: Math.floor(rdev / 0x10_0000), deviceMinor: rdev % 0x10_0000 } : {}),
    },
  };
}
