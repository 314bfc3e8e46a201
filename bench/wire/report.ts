/** The result as Markdown. */
import type { BackupFigures, DaemonFigures } from './role.ts';

/** One round: a local backup and four over loopback into one repository, then a local and a remote one with a core for each process. */
export interface WireRound {
  readonly local: BackupFigures;
  readonly first: BackupFigures;
  /** Unchanged, compared with the first snapshot, whose pages of directories the client has kept. */
  readonly again: BackupFigures;
  /** The same where nothing was kept. */
  readonly fetched: BackupFigures;
  /** Unchanged, without a parent: all content is read, and all ids are asked for. */
  readonly exchanged: BackupFigures;
  readonly daemon: DaemonFigures;
  /** First backups by a process that has one core; the daemon of the remote one has another core. */
  readonly apart: { readonly local: BackupFigures; readonly first: BackupFigures };
}

/** Everything a run found. */
export interface WireReport {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly loadAverage: readonly number[] };
  readonly sources: readonly { readonly source: string; readonly rounds: readonly WireRound[] }[];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length - 1 >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

function wireShare({ sent, received, bytes }: BackupFigures): string {
  return `${((sent + received) / bytes * 100).toFixed(3)} %`;
}

/** One cell of each row of the table. */
const rows: readonly (readonly [what: string, of: (rounds: readonly WireRound[], one: WireRound) => string])[] = [
  ['MB, files', (_, { local }) => `${(local.bytes / 1e6).toFixed(0)}, ${local.files}`],
  ['first backup, local, MB/s', (rounds) => median(rounds.map(({ local }) => local.bytes / local.seconds / 1e6)).toFixed(0)],
  ['first backup, over loopback, MB/s', (rounds) => median(rounds.map(({ first }) => first.bytes / first.seconds / 1e6)).toFixed(0)],
  ['ratio to the local backup of its round, all on the same cores', (rounds) => median(rounds.map(({ local, first }) => local.seconds / first.seconds)).toFixed(2)],
  ['processor seconds of the client, ratio to local', (rounds) => median(rounds.map(({ local, first }) => first.cpuSeconds / local.cpuSeconds)).toFixed(2)],
  ['processor seconds of the daemon for it, ratio to local', (rounds) => median(rounds.map(({ local, daemon }) => daemon.cpuSeconds / local.cpuSeconds)).toFixed(2)],
  ['ratio with one core for the backup, local or remote, and another one for the daemon', (rounds) => median(rounds.map(({ apart: { local, first } }) => local.seconds / first.seconds)).toFixed(2)],
  ['bytes on the socket: first backup', (_, { first }) => wireShare(first)],
  ['unchanged, with parent, pages kept by the client', (_, { again }) => wireShare(again)],
  ['unchanged, with parent, pages fetched', (_, { fetched }) => wireShare(fetched)],
  ['unchanged, all content read and all ids asked for', (_, { exchanged }) => wireShare(exchanged)],
  ['daemon, resident at most, MB', (rounds) => (Math.max(...rounds.map(({ daemon }) => daemon.residentBytesMax)) / 1e6).toFixed(0)],
];

/** The whole report. */
export function renderWire({ machine, sources }: WireReport): string {
  const cell = (of: (typeof rows)[number][1]): string => sources.map(({ rounds }) => (rounds[0] === undefined ? '' : of(rounds, rounds[0]))).join(' | ');
  return [
    '# Backups over the wire', '',
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, load ${machine.loadAverage.map((load) => load.toFixed(1)).join(' ')}: what else the machine does shows in all times. `
    + 'Sources in the page cache. Local and over loopback in turns, either first; medians. The daemon is a process of its own on the same cores, warmed by one backup of `node_modules`, as daemons live for long.', '',
    `| what | ${sources.map(({ source, rounds }) => `${source}, ${rounds.length} rounds`).join(' | ')} |`, `|---|${sources.map(() => '---|').join('')}`,
    ...rows.map(([what, of]) => `| ${what} | ${cell(of)} |`), '',
  ].join('\n');
}
