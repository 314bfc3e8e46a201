/** The result as Markdown. */
import type { BackupFigures, DaemonFigures } from './role.ts';

/** One round: a local backup, then three over loopback into one repository. */
export interface WireRound {
  readonly local: BackupFigures;
  readonly first: BackupFigures;
  /** Unchanged, compared with the first snapshot. */
  readonly again: BackupFigures;
  /** Unchanged, without a parent: all content is read, and all ids are asked for. */
  readonly exchanged: BackupFigures;
  readonly daemon: DaemonFigures;
}

/** Everything a run found. */
export interface WireReport {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly loadAverage: readonly number[] };
  readonly source: string;
  readonly rounds: readonly WireRound[];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function wireShare({ sent, received, bytes }: BackupFigures): string {
  return `${((sent + received) / bytes * 100).toFixed(3)} %`;
}

/** The whole report. */
export function renderWire({ machine, source, rounds }: WireReport): string {
  const of = (pick: (round: WireRound) => number): number => median(rounds.map(pick));
  const [one] = rounds;
  if (one === undefined) return 'no rounds\n';
  return [
    '# Backups over the wire', '',
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, load ${machine.loadAverage.map((load) => load.toFixed(1)).join(' ')}. Source ${source}: ${(one.local.bytes / 1e6).toFixed(0)} MB in ${one.local.files} files, in the page cache. `
    + `${rounds.length} rounds, local and over loopback in turns; medians. The daemon is a process of its own on the same cores.`, '',
    '| what | figure |', '|---|---|',
    `| first backup, local | ${of(({ local }) => local.bytes / local.seconds / 1e6).toFixed(0)} MB/s |`,
    `| first backup, over loopback | ${of(({ first }) => first.bytes / first.seconds / 1e6).toFixed(0)} MB/s |`,
    `| ratio, each round with its own local backup | ${of(({ local, first }) => local.seconds / first.seconds).toFixed(2)} |`,
    `| bytes on the socket, first backup | ${wireShare(one.first)} of the source |`,
    `| bytes on the socket, unchanged, with parent | ${wireShare(one.again)} |`,
    `| bytes on the socket, unchanged, all ids asked for | ${wireShare(one.exchanged)} |`,
    `| daemon, resident at most | ${(Math.max(...rounds.map(({ daemon }) => daemon.residentBytesMax)) / 1e6).toFixed(0)} MB |`,
    `| processor seconds of client and daemon a GB (three backups), local for one | ${of(({ first, again, exchanged, daemon }) => (first.cpuSeconds + again.cpuSeconds + exchanged.cpuSeconds + daemon.cpuSeconds) / first.bytes * 1e9).toFixed(1)}, ${of(({ local }) => local.cpuSeconds / local.bytes * 1e9).toFixed(1)} |`,
    '',
  ].join('\n');
}
