/** The result as Markdown: goals first, then every figure. */
import type { Sizes } from './disk.ts';
import type { Figures } from './program.ts';

/** Everything a run found. */
export interface GuestReport {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly qemu: string; readonly fls: string };
  /** Before the first round and after the last. */
  readonly loadAverage: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly sizes: Sizes;
  readonly readers: number;
  /** Families that were left out, and why. */
  readonly left: readonly string[];
  /** Of the cache directory after all processes, with the compiled code of the command line. */
  readonly cacheBytes: number;
  /** By what ran: `section, what, who`. */
  readonly rounds: Readonly<Record<string, readonly Figures[]>>;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length - 1 >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

function verdict(what: string, value: string, isMet: boolean): string {
  return `- ${what}: ${value}: **${isMet ? 'met' : 'missed'}**`;
}

/** How many times faster `ours` is than `peer`, in the middle round. */
function ratio(report: GuestReport, ours: string, peer: string): number {
  const peers = report.rounds[peer] ?? [];
  return median((report.rounds[ours] ?? []).map(({ seconds }, i) => (peers[i]?.seconds ?? Number.NaN) / seconds));
}

function readGoals(report: GuestReport): readonly string[] {
  return Object.keys(report.rounds).filter((key) => /^read, .* in (vhdx|qcow2), holdfast$/.test(key)).map((key) => {
    const rate = median((report.rounds[key] ?? []).map(({ seconds }) => report.sizes.largeBytes / seconds / 1e6));
    const family = /, (\w+) in/.exec(key)?.[1] ?? '';
    const qemu = ratio(report, key, key.replace('holdfast', 'qemu-img bench'));
    const mount = ratio(report, key, `read, ${family} mounted, dd`);
    return verdict(`${key}, wanted ≥ 250 MB/s, or ≥ 0.7 × qemu or the mount`, `${rate.toFixed(0)} MB/s, ${qemu.toFixed(2)} × qemu, ${mount.toFixed(2)} × mount`, rate >= 250 || qemu >= 0.7 || mount >= 0.7);
  });
}

function listGoals(report: GuestReport): readonly string[] {
  const keys = Object.keys(report.rounds).filter((key) => /^list, .* ls (-l )?-R$/.test(key) && !key.includes('xfs'));
  return keys.map((key) => {
    const family = /, (\w+) in/.exec(key)?.[1] ?? '';
    const value = ratio(report, key, `list, ${family} in raw, fls ${key.includes('-l') ? '-l ' : ''}-r`);
    return verdict(`${key}, wanted ≥ 0.5 × fls on raw`, `${value.toFixed(2)} ×`, value >= 0.5);
  });
}

function otherGoals(report: GuestReport): readonly string[] {
  const alone = (who: string): number => ratio(report, `several, ext4 in vhdx, ${who}, ${report.readers} processes`, `read, ext4 in vhdx, ${who}`);
  const loaded = Math.max(...Object.entries(report.rounds).filter(([key]) => key.endsWith('modules loaded')).map(([, rounds]) => median(rounds.map(({ seconds }) => seconds))));
  const own = Object.entries(report.rounds).filter(([key]) => key.includes('holdfast'));
  const resident = Math.max(...own.flatMap(([, rounds]) => rounds.map(({ residentBytesMax }) => residentBytesMax))) / 1e6;
  const first = Math.max(...own.filter(([key]) => /^first, .* cat$/.test(key)).map(([, rounds]) => median(rounds.map(({ wallSeconds }) => wallSeconds))));
  return [
    verdict(`${report.readers} readers at once on ${report.machine.cores} cores, the slowest, wanted ≥ 0.7 × one alone`, `${alone('holdfast').toFixed(2)} × (qemu ${alone('qemu-img bench').toFixed(2)} × of its own)`, alone('holdfast') >= 0.7),
    verdict('largest of our processes, wanted ≤ 200 MB', `${resident.toFixed(0)} MB`, resident <= 200),
    verdict('cache on the disk, wanted ≤ 2 GB', `${(report.cacheBytes / 1e6).toFixed(1)} MB`, report.cacheBytes <= 2e9),
    verdict('first 4 KiB in a process that has opened such an image before, wanted ≤ 0.5 s', `${loaded.toFixed(3)} s at most`, loaded <= 0.5),
    verdict('first 4 KiB, holdfast cat from the start of its process to its end, wanted ≤ 0.5 s', `${first.toFixed(3)} s at most`, first <= 0.5),
  ];
}

function row([key, rounds]: readonly [string, readonly Figures[]], bytes: number): string {
  const of = (get: (one: Figures) => number, digits: number): string => median(rounds.map(get)).toFixed(digits);
  const isRead = /^(read|several),/.test(key);
  const rate = isRead ? of(({ seconds }) => bytes / seconds / 1e6, 0) : '';
  const seconds = rounds.map((one) => one.seconds);
  const spread = `${Math.min(...seconds).toFixed(3)}–${Math.max(...seconds).toFixed(3)}`;
  return `| ${key} | ${of((one) => one.seconds, 3)} [${spread}] | ${rate} | ${of((one) => one.wallSeconds, 3)} | ${of((one) => one.cpuSeconds, 2)} | ${of((one) => one.residentBytesMax / 1e6, 0)} |`;
}

/** The whole report. */
export function renderGuest(report: GuestReport): string {
  const { machine, sizes } = report;
  const loads = [report.loadAverage.before, report.loadAverage.after].map((one) => one.map((load) => load.toFixed(1)).join(' '));
  return [
    '# Inside disks of guests', '',
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${machine.qemu}, ${machine.fls}; load before ${loads[0] ?? ''}, after ${loads[1] ?? ''}: what else the machine does shows in all times.`, '',
    `Sparse disks of ${(sizes.diskBytes / 2 ** 30).toFixed(0)} GiB with a file of ${(sizes.largeBytes / 1e6).toFixed(0)} MB that cannot be compressed and ${sizes.directories * sizes.filesEach} files in ${sizes.directories} directories, `
    + 'converted by qemu-img. All is in the page cache. Programs in turns, each a process of its own; medians of rounds, ratios within a round. Before the first round the SHA-256 of the large file was compared in each image.',
    'holdfast reads 1 MiB after the other. qemu-img bench reads as many bytes of the same image, 1 MiB at a time, from its longest runs of data, which are mostly the large file; it looks at no filesystem. '
    + 'dd reads the file in a mount of the raw disk: the kernel\'s of ext4 and XFS, whose own page cache is warm, and ntfs-3g of NTFS.',
    ...(report.left.length > 0 ? ['', `Left out: ${report.left.join(', ')}.`] : []), '',
    ...readGoals(report), ...listGoals(report), ...otherGoals(report), '',
    'Seconds are those of the work: ours of reading once the file is open, of the first 4 KiB in the library from before `openLocation` with all modules that it loads, without the start of Node, or again with modules loaded; of qemu what it says itself; of others all. Wall seconds are of the whole process. Several processes: the slowest, processor time of all.', '',
    '| what | s [least–most] | MB/s | wall s | CPU s | resident MB |', '|---|---:|---:|---:|---:|---:|',
    ...Object.entries(report.rounds).map((entry) => row(entry, sizes.largeBytes)), '',
  ].join('\n');
}
