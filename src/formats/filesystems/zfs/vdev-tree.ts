/**
 * The devices of a pool from its configuration and the members at hand.
 * Source: OpenZFS `include/sys/fs/zfs.h` (ZPOOL_CONFIG_* and VDEV_TYPE_* names).
 */
import type { BlockSource, Limits } from '../../../core/index.ts';
import { checkLimit, FormatError } from '../../../core/index.ts';
import { type NvList, nvInteger, nvLists, nvNumber, nvText } from './nvlist.ts';
import { RaidzVdev } from './raidz.ts';
import { LeafVdev, MirrorVdev, MissingVdev, UnsupportedVdev, type Vdev } from './vdev.ts';

/** Sources of members by their guid. */
export type Members = ReadonlyMap<bigint, BlockSource>;

const ASHIFT_MAX = 16;

function nameOf(tree: NvList, index: number): string {
  const type = nvText(tree, 'type') ?? 'device';
  return nvText(tree, 'path') ?? `${type}${type === 'raidz' ? nvNumber(tree, 'nparity') ?? 1 : ''}-${nvNumber(tree, 'id') ?? index}`;
}

/** One device; `ashift` is the top-level device's. */
function buildVdev(tree: NvList, members: Members, shape: { readonly ashift: number; readonly index: number }): Vdev {
  const type = nvText(tree, 'type') ?? '';
  const name = nameOf(tree, shape.index);
  const children = nvLists(tree, 'children').map((child, index) => buildVdev(child, members, { ashift: shape.ashift, index }));
  switch (type) {
    case 'disk': case 'file': {
      const source = members.get(nvInteger(tree, 'guid') ?? 0n);
      return source === undefined ? new MissingVdev(name) : new LeafVdev(name, source);
    }
    case 'mirror': case 'replacing': case 'spare': return new MirrorVdev(name, children);
    case 'raidz': {
      const parity = nvNumber(tree, 'nparity') ?? 1;
      if (parity < 1 || parity > 3 || children.length <= parity) {
        throw new FormatError('Read ZFS devices', { structure: 'vdev_tree', field: 'nparity', found: parity, expected: `1 to 3, fewer than the '${children.length}' members` });
      }
      return tree.has('raidz_expanding') || tree.has('raidz_expand_txgs') ? new UnsupportedVdev(name, 'expanded raidz') : new RaidzVdev(name, children, { parity, ashift: shape.ashift });
    }
    case 'hole': case 'missing': return new MissingVdev(name);
    default: return new UnsupportedVdev(name, type);
  }
}

/** One top-level device. @throws {FormatError} @throws {LimitError} */
export function buildTop(tree: NvList, members: Members, limits: Limits): Vdev {
  const ashift = nvNumber(tree, 'ashift') ?? 9;
  if (ashift < 9 || ashift > ASHIFT_MAX) throw new FormatError('Read ZFS devices', { structure: 'vdev_tree', field: 'ashift', found: ashift, expected: `9 to ${ASHIFT_MAX}` });
  checkLimit(limits, 'volumeMembersMax', leavesOf(tree).length, 'members of a ZFS device');
  return buildVdev(tree, members, { ashift, index: 0 });
}

/** Disks and files below a device. */
export function leavesOf(tree: NvList): readonly NvList[] {
  const children = nvLists(tree, 'children');
  return children.length === 0 ? [tree] : children.flatMap(leavesOf);
}

/** Guids of a device and all below it, for the sum that an uberblock holds. */
export function guidsOf(tree: NvList): readonly bigint[] {
  return [nvInteger(tree, 'guid') ?? 0n, ...nvLists(tree, 'children').flatMap(guidsOf)];
}
