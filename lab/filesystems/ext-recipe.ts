/** Random options for mke2fs that fit together, and for the kernel's mount. */
import { below, pick, type Random } from './random-name.ts';
import { posixProfile, type TreeProfile } from './tree-profile.ts';

/** One image to be made. */
export interface ExtRecipe {
  /** Parameters of mke2fs without the file. */
  readonly parameters: readonly string[];
  readonly imageBytes: number;
  readonly mountOptions: string;
  readonly profile: TreeProfile;
  /** The hash of new directories, set by tune2fs; '' leaves it. */
  readonly hash: string;
  readonly hasJournal: boolean;
}

interface Shape {
  readonly type: 'ext2' | 'ext3' | 'ext4';
  readonly blockBytes: number;
  readonly inodeBytes: number;
  readonly features: readonly string[];
  readonly more: readonly string[];
}

function maybe(random: Random, chance: number, ...parts: readonly string[]): readonly string[] {
  return random() < chance ? parts : [];
}

/** Block and inode sizes; inodes that are larger than blocks are none. */
function sizes(random: Random): { readonly blockBytes: number; readonly inodeBytes: number } {
  const blockBytes = pick(random, [1024, 2048, 4096]);
  return { blockBytes, inodeBytes: Math.min(blockBytes, pick(random, [128, 256, 256, 256, 512, 1024, 2048, 4096])) };
}

function oldShape(random: Random, type: 'ext2' | 'ext3'): Shape {
  const { blockBytes, inodeBytes } = sizes(random);
  const features = [...maybe(random, 0.3, '^dir_index'), ...maybe(random, 0.3, '^filetype'), ...maybe(random, 0.3, '^sparse_super', '^resize_inode'), ...maybe(random, 0.3, '^large_file')];
  if (type === 'ext2' && random() < 0.2) return { type, blockBytes, inodeBytes: 128, features: ['none'], more: ['-r', '0'] };
  return { type, blockBytes, inodeBytes, features, more: [] };
}

/** Where superblocks and descriptors are. */
const layouts: readonly (readonly string[])[] = [[], [], ['meta_bg', '^resize_inode'], ['sparse_super2', '^resize_inode'], ['^sparse_super', '^resize_inode']];
/** How metadata is checked. */
const checksums: readonly (readonly string[])[] = [['metadata_csum'], ['metadata_csum'], ['metadata_csum', 'metadata_csum_seed'], ['^metadata_csum', 'uninit_bg'], ['^metadata_csum', '^uninit_bg']];

function newShape(random: Random): Shape {
  const { blockBytes, inodeBytes } = sizes(random);
  const extents = random() < 0.85;
  const journal = random() < 0.8;
  const cluster = extents && random() < 0.25 ? blockBytes * pick(random, [2, 4, 16, 64]) : 0;
  const wide = extents ? maybe(random, 0.7, '64bit') : ['^64bit'];
  const features = [
    ...(extents ? [] : ['^extents']), ...(journal ? maybe(random, 0.2, 'fast_commit') : ['^has_journal']), ...(journal ? maybe(random, 0.3, 'orphan_file') : []),
    ...(wide.length === 0 ? ['^64bit'] : wide), ...pick(random, layouts), ...pick(random, checksums), ...maybe(random, 0.3, '^flex_bg'), ...maybe(random, 0.3, 'ea_inode'),
    ...(inodeBytes >= 256 ? maybe(random, 0.35, 'inline_data') : ['^extra_isize']), ...maybe(random, 0.2, 'large_dir'), ...maybe(random, 0.2, '^dir_index'), ...maybe(random, 0.2, '^huge_file'),
    ...maybe(random, 0.1, 'stable_inodes'), ...maybe(random, 0.1, 'encrypt'),
    ...maybe(random, 0.05, '^filetype'), ...(cluster === 0 ? [] : ['bigalloc']),
  ];
  const groups = cluster === 0 && !features.includes('^flex_bg') ? maybe(random, 0.2, '-g', String(pick(random, [1024, 2048, 8192]))) : [];
  return { type: 'ext4', blockBytes, inodeBytes, features, more: [...(cluster === 0 ? [] : ['-C', String(cluster)]), ...groups] };
}

function profileOf(random: Random, { blockBytes, inodeBytes, features }: Shape): TreeProfile {
  return {
    ...posixProfile,
    sparseBytesMax: pick(random, [40 << 20, 200 << 20, 2 ** 33]),
    symlinkBytesMax: pick(random, [200, blockBytes - 64]),
    attributeBytesMax: pick(random, [60, 1000, features.includes('ea_inode') ? 60_000 : 3000]),
    bigDirectoryEntries: pick(random, [0, 600, 3000]),
    contentBytes: pick(random, [2 << 20, 8 << 20, 20 << 20]),
    times: { from: -0x8000_0000, to: inodeBytes > 128 ? 0x3_7fff_ffff : 0x7fff_ffff, unitNanoseconds: 1 },
  };
}

/** A random image. With `journal`, one that has a journal. */
export function randomRecipe(random: Random, journal: boolean): ExtRecipe {
  const type = pick(random, journal ? (['ext3', 'ext4', 'ext4', 'ext4', 'ext4'] as const) : (['ext2', 'ext2', 'ext3', 'ext4', 'ext4', 'ext4', 'ext4', 'ext4'] as const));
  let shape = type === 'ext4' ? newShape(random) : oldShape(random, type);
  // Images with fast commits are made elsewhere: a replay of these changes times of directories.
  if (journal) shape = { ...shape, features: shape.features.filter((feature) => feature !== '^has_journal' && feature !== 'fast_commit') };
  const hasJournal = type === 'ext3' || (type === 'ext4' && !shape.features.includes('^has_journal'));
  const parameters = [
    '-q', '-F', '-t', shape.type, '-b', String(shape.blockBytes), '-I', String(shape.inodeBytes), ...(shape.features.length === 0 ? [] : ['-O', shape.features.join(',')]),
    ...(hasJournal ? ['-J', `size=${shape.blockBytes === 4096 ? pick(random, [4, 8, 16]) : pick(random, [4, 8])}`] : []), ...shape.more,
    // With clusters, mke2fs cannot place many more inodes than it would make itself.
    ...(shape.inodeBytes >= 1024 ? ['-N', '6000'] : maybe(random, 0.2, '-N', String(5000 + below(random, shape.features.includes('bigalloc') ? 1000 : 20_000)))), ...maybe(random, 0.2, '-m', '0'), ...maybe(random, 0.2, '-L', 'a label é'),
    ...maybe(random, 0.15, '-E', 'packed_meta_blocks=1'),
  ];
  const modes = hasJournal ? ['', '', 'data=journal', 'data=writeback', 'journal_checksum', ...(shape.features.includes('metadata_csum') ? ['journal_async_commit,data=writeback'] : [])] : ['', 'nodelalloc'];
  return {
    parameters, imageBytes: pick(random, [48, 64, 96, 160]) << 20, mountOptions: shape.type === 'ext4' ? pick(random, modes) : '', profile: profileOf(random, shape),
    hash: shape.features.some((feature) => ['none', '^dir_index'].includes(feature)) ? '' : pick(random, ['', '', 'tea', 'legacy', 'half_md4']), hasJournal,
  };
}

/** What the kernel here cannot mount, because pages are smaller than blocks, or folds names: filled by mke2fs from a directory. */
export const filledRecipes: readonly (readonly string[])[] = [
  ['-t', 'ext4', '-b', '8192'], ['-t', 'ext4', '-b', '65536'], ['-t', 'ext2', '-b', '16384'], ['-t', 'ext4', '-b', '65536', '-O', '^metadata_csum,^extents,^64bit'],
  ['-t', 'ext4', '-b', '4096', '-O', 'casefold,verity,mmp,quota,project'], ['-t', 'ext4', '-b', '32768', '-O', 'inline_data,ea_inode'],
];
