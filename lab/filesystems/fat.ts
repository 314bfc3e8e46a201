/** FAT12, FAT16 and FAT32 against Linux's vfat in a guest; see `fat-family.ts`. */
import { fatDriver } from '../../src/formats/filesystems/fat/fat.ts';
import type { Scenario } from '../scenario.ts';
import { runFamily, type ImageChoice } from './fat-family.ts';
import { below, pick } from './random-name.ts';
import { plainProfile } from './tree-profile.ts';

/** Numbers of clusters that make the type, with room for what mkfs takes away. */
const clusters = { 12: [600, 4000], 16: [4300, 64_000], 32: [66_500, 90_000] } as const;
const BYTES_MAX = 300 << 20;

function choose(i: number, random: () => number): ImageChoice {
  const type = ([12, 16, 32] as const)[i % 3] as 12 | 16 | 32;
  const sector = pick(random, [512, 512, 1024, 2048, 4096]);
  const [low, high] = clusters[type];
  // FAT32 with few clusters is what many small system partitions are.
  const few = type === 32 && (sector > 512 || below(random, 2) === 0);
  const sizes = [1, 2, 4, 8, 16, 32, 64, 128].filter((count) => count * sector <= 65_536 && (few || count * sector * low <= BYTES_MAX));
  const cluster = pick(random, type === 32 && !few ? [1, 2, 4] : sizes) * sector;
  const most = Math.min(high, Math.floor(BYTES_MAX / cluster));
  const count = few ? 500 + below(random, 3000) : low + below(random, most - low);
  const bytes = Math.ceil((count * cluster + 200 * sector + count * 4 * 2) / 4096) * 4096;
  const mkfs = ['mkfs.fat', '-F', String(type), '-S', String(sector), '-s', String(cluster / sector), '-f', String(1 + below(random, 3)), '-n', pick(random, ['NO NAME', 'LABEL 1', 'TWO WORDS'])];
  if (below(random, 2) === 0) mkfs.push('-R', String(type === 32 ? 32 + below(random, 30) : 1 + below(random, 40)));
  // Linux refuses a root directory that ends within a sector.
  if (type !== 32) mkfs.push('-r', String(pick(random, [112, 224, 512, 1024].filter((entries) => entries * 32 % sector === 0))));
  if (below(random, 3) === 0) mkfs.push('-a');
  const content = Math.min(5 << 20, Math.floor(bytes * 0.6));
  return { bytes, mkfs, sectorBytes: 512, profile: { ...plainProfile, contentBytes: content, nameLengthMax: pick(random, [12, 60, 85]), steps: 120, bigDirectoryEntries: pick(random, [0, 60, 300]) } };
}

/** See the header. */
export const scenario: Scenario = {
  name: 'fs-fat',
  needs: ['root', 'qemu-system-x86_64', 'mkfs.fat', 'busybox', 'cpio', 'apt-get', 'dpkg-deb', 'losetup'],
  quick: false,
  run: (context) => runFamily({
    driver: fatDriver, type: 'vfat', options: 'iocharset=utf8,codepage=437', choose, corpus: ['fat12', 'fat16', 'fat32', 'fat32-4k'],
    damaged: { 'fat16-spc0': 'BPB_SecPerClus', 'fat16-chain-loop': 'FAT copy 1.entry' },
    // Linux numbers inodes as they come into memory, and has its own idea of a change.
    compare: { omit: ['inode', 'changed', 'attributes', 'accessed'] },
  }, context),
};
