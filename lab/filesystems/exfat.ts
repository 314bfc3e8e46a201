/** exFAT against Linux's driver in a guest; see `fat-family.ts`. */
import { exfatDriver } from '../../src/formats/filesystems/exfat/exfat.ts';
import type { Scenario } from '../scenario.ts';
import { runFamily, type ImageChoice } from './fat-family.ts';
import { below, pick } from './random-name.ts';
import { plainProfile } from './tree-profile.ts';

const KIB = 1 << 10;
const MIB = 1 << 20;
/** Clusters that even a small image has. */
const CLUSTERS_MIN = 300;

function choose(i: number, random: () => number): ImageChoice {
  const sectorBytes = i % 4 === 3 ? 4096 : 512;
  const cluster = pick(random, [512, 1024, 4096, 8192, 32 * KIB, 64 * KIB, 128 * KIB, 512 * KIB, MIB].filter((size) => size >= sectorBytes));
  const bytes = Math.max(8 * MIB, Math.ceil(cluster * (CLUSTERS_MIN + below(random, 300)) / MIB) * MIB) + below(random, 64) * 64 * KIB;
  const mkfs = ['mkfs.exfat', '-c', String(cluster), '-L', pick(random, ['x', 'Ünïcødé', '日本語'])];
  if (below(random, 2) === 0) mkfs.push('-b', pick(random, ['4K', '64K', '1M']));
  if (below(random, 3) === 0) mkfs.push('--pack-bitmap');
  const content = Math.min(5 * MIB, Math.floor(bytes * 0.5));
  return { bytes, mkfs, sectorBytes, profile: { ...plainProfile, contentBytes: content, nameLengthMax: pick(random, [12, 60, 85]), steps: 120, bigDirectoryEntries: pick(random, [0, 60, 300]) } };
}

/** See the header. */
export const scenario: Scenario = {
  name: 'fs-exfat',
  needs: ['root', 'qemu-system-x86_64', 'mkfs.exfat', 'busybox', 'cpio', 'apt-get', 'dpkg-deb', 'losetup'],
  quick: false,
  run: (context) => runFamily({
    driver: exfatDriver, type: 'exfat', options: 'iocharset=utf8', choose, corpus: ['exfat', 'exfat-32k'], damaged: {},
    // Linux numbers inodes as they come into memory; the root directory has no time on the disk, Linux shows that of the mount.
    compare: { omit: ['inode', 'changed', 'attributes', 'accessed'] }, rootTime: false,
  }, context),
};
