/** Random volume groups. */
import type { VolumeJob } from './volume-job.ts';

const MIB = 1 << 20;

function pick<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T;
}

/** Fills the whole of a volume, and says what it holds. */
function filled(name: string, random: () => number): readonly string[] {
  return [`fill /dev/mapper/vg-${name} ${Math.floor(random() * 300)} 0 2000`, `sum lv=vg/${name} /dev/mapper/vg-${name}`];
}

/** A volume of each kind by number; LVM's commands, then what is written. */
const kinds: readonly ((name: string, disks: number, random: () => number) => readonly string[])[] = [
  (name, _, random) => [`lvm lvcreate -y -L 5M -n ${name} vg $D0`, `lvm lvextend -L +3M vg/${name} $D1`, `lvm lvextend -L +2M vg/${name} $D0`, ...filled(name, random)],
  (name, disks, random) => [`lvm lvcreate -y -i ${2 + Math.floor(random() * (disks - 1))} -I ${pick(random, [4, 16, 64])}k -L 8M -n ${name} vg`, `lvm lvextend -i 2 -I 64k -L +4M vg/${name}`, ...filled(name, random)],
  (name, _, random) => [
    `lvm lvcreate -y -L 12M -T vg/${name}p -c ${pick(random, [64, 128, 192])}k --poolmetadatasize 2M`, `lvm lvcreate -y -V 20M -T vg/${name}p -n ${name}`,
    `fill /dev/mapper/vg-${name} 7 5 40`, `fill /dev/mapper/vg-${name} 90 200 20`, `lvm lvcreate -y -kn -s vg/${name} -n ${name}s`, `fill /dev/mapper/vg-${name} 300 ${Math.floor(random() * 60)} 30`,
    `fill /dev/mapper/vg-${name}s 400 ${Math.floor(random() * 200)} 3`, `sum lv=vg/${name} /dev/mapper/vg-${name}`, `sum lv=vg/${name}s /dev/mapper/vg-${name}s`,
  ],
  (name, _, random) => [
    // With the smallest extents and the largest chunks, the origin ends within a chunk.
    `lvm lvcreate -y -L 6208k -n ${name}e vg`, ...filled(`${name}e`, random), `lvm lvchange -an vg/${name}e`, `lvm lvchange -pr vg/${name}e`,
    `lvm lvcreate -y -L 8M -T vg/${name}p -c ${pick(random, [64, 128])}k --poolmetadatasize 2M`, `lvm lvcreate -y -kn -s vg/${name}e --thinpool vg/${name}p -n ${name}`,
    `lvm lvextend -L +2M vg/${name}`, `fill /dev/mapper/vg-${name} 77 ${Math.floor(random() * 60)} 9`,
    `lvm lvcreate -y -kn -s vg/${name} -n ${name}s`, `fill /dev/mapper/vg-${name}s 170 ${Math.floor(random() * 100)} 5`, `lvm lvcreate -y -kn -s vg/${name}e --thinpool vg/${name}p -n ${name}t`,
    `blkdiscard -f -o 131072 -l 524288 /dev/mapper/vg-${name}`, ...['', 's', 't'].map((which) => `sum lv=vg/${name}${which} /dev/mapper/vg-${name}${which}`),
  ],
  (name, _, random) => [
    `lvm lvcreate -y -L 6M -n ${name} vg`, ...filled(name, random), `lvm lvcreate -y -s -c ${pick(random, [4, 16, 64])}k -L 4M -n ${name}s vg/${name}`,
    `fill /dev/mapper/vg-${name} 500 ${Math.floor(random() * 60)} 20`, `fill /dev/mapper/vg-${name}s 600 ${Math.floor(random() * 80)} 9`,
    `sum lv=vg/${name} /dev/mapper/vg-${name}`, `sum lv=vg/${name}s /dev/mapper/vg-${name}s`,
  ],
  (name, _, random) => [
    `lvm lvcreate -y -L 8M -n ${name} vg`, ...filled(name, random), `lvm lvcreate -y --type cache-pool -L 6M --poolmetadatasize 8M -n ${name}p vg`,
    `lvm lvconvert -y --type cache --cachepool vg/${name}p --cachemode ${pick(random, ['writethrough', 'passthrough'])} vg/${name}`,
    `fill /dev/mapper/vg-${name} 300 ${Math.floor(random() * 60)} 30`, `sum lv=vg/${name} /dev/mapper/vg-${name}`,
    `lvm lvcreate -y -L 8M -n ${name}v vg`, `lvm lvcreate -y -L 12M -n ${name}w vg`, `lvm lvconvert -y --type cache --cachevol vg/${name}w --cachemode writethrough vg/${name}v`,
    `fill /dev/mapper/vg-${name}v 500 ${Math.floor(random() * 60)} 50`, `sum lv=vg/${name}v /dev/mapper/vg-${name}v`,
  ],
  (name, _, random) => [
    `lvm lvcreate -y -L 8M -n ${name} vg`, ...filled(name, random), `lvm lvcreate -y -L 12M -n ${name}w vg`,
    `lvm lvconvert -y --type cache --cachevol vg/${name}w --cachemode writeback vg/${name}`, `fill /dev/mapper/vg-${name} 300 0 30`, `refused lv=vg/${name} /dev/mapper/vg-${name}`,
    `lvm lvcreate -y -L 8M -n ${name}c vg`, `lvm lvcreate -y -L 6M -n ${name}d vg`, `lvm lvchange -an vg/${name}c`, `lvm lvchange -an vg/${name}d`, `lvm lvconvert -y --type writecache --cachevol vg/${name}d vg/${name}c`, `lvm lvchange -ay vg/${name}c`,
    `fill /dev/mapper/vg-${name}c 300 0 30`, `refused lv=vg/${name}c /dev/mapper/vg-${name}c`,
  ],
  (name, _, random) => [
    // The room that a reshape took stays in front of the data or behind it; the kernel shows the new size when the volume is activated next.
    `lvm lvcreate -y --type raid5 -i 2 -I ${pick(random, [4, 16])}k -L 6M -n ${name} vg`, `synced vg/${name}`, `fill /dev/mapper/vg-${name} ${Math.floor(random() * 300)} 0 2000`,
    `lvm lvconvert -y ${pick(random, ['--stripes 3', '--stripesize 32k'])} vg/${name}`, 'sleep 2', `synced vg/${name}`, `lvm lvchange -an vg/${name}`, `lvm lvchange -ay vg/${name}`,
    `fill /dev/mapper/vg-${name} 300 ${Math.floor(random() * 60)} 9`, `sum lv=vg/${name} /dev/mapper/vg-${name}`,
  ],
  (name, _, random) => [
    `lvm lvcreate -y -L 8M -T vg/${name}p -c 64k --poolmetadatasize 2M`, `lvm lvcreate -y -V 8M -T vg/${name}p -n ${name}`, `fill /dev/mapper/vg-${name} 7 0 40`,
    `lvm lvcreate -y -kn -s vg/${name} -n ${name}s`, `fill /dev/mapper/vg-${name} 300 ${Math.floor(random() * 60)} 30`, `fill /dev/mapper/vg-${name}s 400 ${Math.floor(random() * 60)} 20`,
    // Open while it is asked for: the merge waits for the next activation, and what is merged is what the snapshot holds now.
    `sum lv=vg/${name} /dev/mapper/vg-${name}s`, `exec 9</dev/mapper/vg-${name}`, `lvm lvconvert -y --merge vg/${name}s`, 'exec 9<&-',
  ],
  (name, _, random) => [
    `lvm lvcreate -y -L 6M -n ${name} vg $D0`, `lvm lvcreate -y -i 2 -I 16k -L 4M -n ${name}t vg $D0 $D1`, `fill /dev/mapper/vg-${name} ${Math.floor(random() * 300)} 0 2000`, ...filled(`${name}t`, random),
    `lvm pvmove -i 1 -n ${name} $D0 $D4`, `fill /dev/mapper/vg-${name} 300 ${Math.floor(random() * 60)} 9`, `sum lv=vg/${name} /dev/mapper/vg-${name}`,
  ],
];

/** Arrangements that meet each kind twice. */
export const LVM_KINDS: number = kinds.length * 2;

/** Types with redundancy, with the disks that they take and `-i`. */
const raids = [
  ['mirror', '-m1 --mirrorlog core'], ['raid1', '-m1'], ['raid4', '-i2'], ['raid5_ls', '-i2'], ['raid5_la', '-i2'], ['raid5_rs', '-i3'], ['raid5_ra', '-i2'], ['raid5_n', '-i2'],
  ['raid6_zr', '-i3'], ['raid6_nr', '-i3'], ['raid6_nc', '-i3'], ['raid6_n_6', '-i3'], ['raid6_ls_6', '-i3'], ['raid6_rs_6', '-i3'], ['raid6_la_6', '-i3'], ['raid6_ra_6', '-i3'], ['raid10', '-m1 -i2'], ['raid0', '-i3'], ['raid0_meta', '-i2'],
] as const;

function raidLines(name: string, index: number, random: () => number): readonly string[] {
  const [type, shape] = raids[index % raids.length] as readonly [string, string];
  const stripes = type === 'raid1' || type === 'mirror' ? '' : `-I ${pick(random, [4, 16, 64])}k`;
  const wait = type.startsWith('raid0') ? [] : [`synced vg/${name}`];
  return [`lvm lvcreate -y --type ${type} ${shape} ${stripes} -L 6M -n ${name} vg`, ...wait, ...filled(name, random)];
}

/** The arrangement number `index`: two RAID volumes, one of another kind. */
export function lvmJob(index: number, random: () => number): VolumeJob {
  const count = 5;
  const disks = Array.from({ length: count }, () => (30 + Math.floor(random() * 8)) * MIB);
  const names = disks.map((_, i) => `$D${i}`).join(' ');
  const kind = kinds[index % kinds.length] as (typeof kinds)[number];
  // Disks that keep no description of their group: only another one says that they belong to it.
  const lone = index % kinds.length === 0 ? 2 : 0;
  const create = (copies: number, from: number, to: number): readonly string[] => (from === to ? [] : [`lvm pvcreate -y -ff --metadatasize ${pick(random, ['128k', '1m'])} --pvmetadatacopies ${copies} ${disks.slice(from, to).map((_, i) => `$D${from + i}`).join(' ')}`]);
  const lines = [
    ...create(0, 0, lone), ...create(pick(random, [1, 2]), lone, count),
    `lvm vgcreate -y -s ${pick(random, ['64k', '256k', '1m'])} vg ${names}`,
    // RAID first: it needs room on all disks, the others go where room is left.
    ...raidLines('r', index * 2, random), ...raidLines('q', index * 2 + 1, random), ...kind('a', count, random), 'sync', 'lvm vgchange -an vg',
  ];
  return { name: `lvm-${index}`, disks, script: lines.join('\n'), spareSets: disks.map((_, i) => [i]), byLocation: lone > 0 };
}
