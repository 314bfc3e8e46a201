/** Random arrays of mdadm. */
import type { VolumeJob } from './volume-job.ts';

const MIB = 1 << 20;

/** Levels with a layout, so that a run over all of them meets each. */
const kinds = [
  ['0', ''], ['0', 'unequal'], ['1', ''], ['4', ''], ['5', 'left-symmetric'], ['6', 'left-symmetric'], ['10', 'n2'], ['linear', ''],
  ['5', 'left-asymmetric'], ['6', 'ddf-zero-restart'], ['10', 'f2'], ['1', 'stale'], ['5', 'right-asymmetric'], ['6', 'ddf-N-restart'], ['10', 'o2'], ['0', 'unequal'],
  ['5', 'right-symmetric'], ['6', 'ddf-N-continue'], ['5', 'parity-first'], ['6', 'right-asymmetric'], ['5', 'parity-last'], ['6', 'left-symmetric-6'], ['10', 'n3'], ['5', 'stale'],
  ['6', 'parity-first'], ['10', 'f3'], ['6', 'right-asymmetric-6'], ['6', 'parity-last'], ['6', 'left-asymmetric'],
  ['1', 'missing'], ['4', 'missing'], ['5', 'missing'], ['6', 'missing'], ['6', 'missing two'], ['10', 'missing'],
] as const;

/** Arrangements that meet each kind once. */
export const MD_KINDS: number = kinds.length;

function pick<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T;
}

/** Sets of disks that the level can do without. */
function spareSets(level: string, layout: string, count: number): readonly (readonly number[])[] {
  const singles = Array.from({ length: count }, (_, i) => [i]);
  const pairs = singles.flatMap(([a = 0]) => singles.filter(([b = 0]) => b > a).map(([b = 0]) => [a, b]));
  switch (level) {
    case '1': case '4': case '5': return layout === 'stale' ? [[1]] : singles;
    case '6': return [...singles, ...pairs];
    case '10': return layout === 'n3' || layout === 'f3' ? [...singles, ...pairs] : singles;
    default: return [];
  }
}

/**
 * An array that was made without some of its disks, of disks full of noise that `--assume-clean` took for an array in order: what the kernel then
 * computes for those that are missing shows which parity it is computed from. Noise has no parity that is right: with fewer disks something else comes out.
 */
function missingJob(index: number, { level, gone }: { readonly level: string; readonly gone: number }, random: () => number): VolumeJob {
  const count = (level === '6' || level === '10' ? 4 : 3) + Math.floor(random() * 2);
  const first = Math.floor(random() * count);
  const missing = Array.from({ length: gone }, (_, i) => (first + i * (1 + Math.floor(random() * (count - 1)))) % count);
  const disks = Array.from({ length: count - gone }, () => (8 + Math.floor(random() * 4)) * MIB);
  const metadata = pick(random, ['0.90', '1.0', '1.1', '1.2']);
  const chunk = pick(random, [4, 16, 64]);
  let next = 0;
  const slots = Array.from({ length: count }, (_, slot) => (missing.includes(slot) ? 'missing' : `$D${next++}`));
  // Copies of noise differ, and the kernel may read either: those are written whole.
  const written = level === '1' || level === '10' ? '0 2000' : `${Math.floor(random() * 30)} 7`;
  const lines = [
    ...disks.map((_, i) => `fill $D${i} ${Math.floor(random() * 400)} 0 2000`),
    `mdadm --create /dev/md9 --run --force --metadata=${metadata} --level=${level} --raid-devices=${count} ${level === '1' ? '' : `--chunk=${chunk}`} --assume-clean --bitmap=none ${slots.join(' ')} </dev/null`,
    `fill /dev/md9 ${Math.floor(random() * 400)} ${written}`, 'sync', 'sum md /dev/md9', 'mdadm --stop /dev/md9',
  ];
  return { name: `md-${index}-raid${level}-missing-${missing.join('+')}-${metadata}-${chunk}k-${count}`, disks, script: lines.join('\n'), spareSets: [] };
}

/** The arrangement number `index`. */
export function mdJob(index: number, random: () => number): VolumeJob {
  const [level, variant] = kinds[index % kinds.length] as readonly [string, string];
  if (variant.startsWith('missing')) return missingJob(index, { level, gone: variant === 'missing' ? 1 : 2 }, random);
  const least = { 0: 2, 1: 2, 4: 3, 5: 3, 6: 4, 10: variant === 'n3' || variant === 'f3' ? 3 : 2, linear: 2 }[level] ?? 2;
  const count = least + Math.floor(random() * 3);
  const unequal = variant === 'unequal' || level === 'linear';
  const base = 8 + Math.floor(random() * 5);
  const disks = Array.from({ length: count }, () => (base + (unequal ? Math.floor(random() * 8) : 0)) * MIB + Math.floor(random() * 16) * 4096);
  // mdadm writes no RAID 0 with 0.90 for kernels that want to be told its layout.
  const metadata = pick(random, level === '0' ? ['1.0', '1.1', '1.2'] : ['0.90', '1.0', '1.1', '1.2']);
  const chunk = pick(random, [4, 16, 64, 256, 512]);
  const layout = level === '0' && unequal ? pick(random, ['original', 'alternate']) : variant;
  const stale = variant === 'stale';
  const options = [
    `--metadata=${metadata}`, `--level=${level}`, `--raid-devices=${count}`, ...(level === '1' ? [] : [`--chunk=${chunk}`]), ...(layout === '' || stale ? [] : [`--layout=${layout}`]),
    ...(['0', 'linear'].includes(level) ? [] : ['--assume-clean', `--bitmap=${pick(random, ['none', 'internal'])}`]), ...(metadata === '0.90' ? [] : ['--name=lab']),
  ];
  const names = disks.map((_, i) => `$D${i}`).join(' ');
  const lines = [
    `mdadm --create /dev/md9 --run --force ${options.join(' ')} ${names} </dev/null`,
    `fill /dev/md9 ${Math.floor(random() * 100)} 0 2000`,
    ...(stale ? ['mdadm /dev/md9 --fail $D1', 'sleep 0.5', 'mdadm /dev/md9 --remove $D1', `fill /dev/md9 ${200 + Math.floor(random() * 100)} 3 70`] : []),
    'sync', 'sum md /dev/md9', 'mdadm --stop /dev/md9',
  ];
  return { name: `md-${index}-raid${level}-${layout === '' ? 'plain' : layout}-${metadata}-${chunk}k-${count}`, disks, script: lines.join('\n'), spareSets: spareSets(level, variant, count) };
}
