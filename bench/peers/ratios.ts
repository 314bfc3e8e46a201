/** The targets of the project, each as one ratio of medians within a compression class of one interleaved run. */
import type { Operation } from './session.ts';
import type { ToolRow } from './statistics.ts';

/** A ratio against a target. For times it is peer / holdfast (more is better), for bytes holdfast / peer (less is better). */
export interface Ratio {
  readonly target: string;
  /** The peer compared with; undefined when the class has no figure to compare. */
  readonly peer?: string;
  readonly ratio?: number;
  /** What the target asks for; undefined for rows that only inform. */
  readonly wanted?: number;
  readonly verdict: 'met' | 'missed' | 'no figure' | 'for information';
}

interface TimeRule {
  readonly target: string;
  readonly operation: Operation;
  readonly isPeer: (row: ToolRow) => boolean;
  readonly wanted?: number;
}

const isBorg = (row: ToolRow): boolean => row.family === 'borg';
const isSmallChunkBorg = (row: ToolRow): boolean => isBorg(row) && row.name.endsWith('16K');
const isRestic = (row: ToolRow): boolean => row.family === 'restic';
const isAny = (): boolean => true;

const TIME_RULES: readonly TimeRule[] = [
  { target: 'first backup, borg (its faster setting)', operation: 'first', isPeer: isBorg, wanted: 1.5 },
  { target: 'first backup, borg at 16 KiB chunks', operation: 'first', isPeer: isSmallChunkBorg },
  { target: 'first backup, restic', operation: 'first', isPeer: isRestic, wanted: 2.5 },
  { target: 'later versions, borg (its faster setting)', operation: 'later', isPeer: isBorg },
  { target: 'later versions, restic', operation: 'later', isPeer: isRestic },
  { target: 'unchanged second backup, fastest peer', operation: 'unchanged', isPeer: isAny, wanted: 2 },
  { target: 'touched second backup, fastest peer', operation: 'touched', isPeer: isAny },
  { target: 'restore (ours verified), fastest peer', operation: 'restore', isPeer: isAny, wanted: 1.5 },
];

/** Stored bytes at most the best peer's plus 5 %. */
const STORED_WANTED = 1.05;

/**
 * Ratios of one class. `rows` are all rows of that class, holdfast's among them. Tools that failed in a round or restored
 * something else than the source are no reference; a holdfast that did meets no target.
 */
export function classRatios(rows: readonly ToolRow[]): Ratio[] {
  const own = rows.find((row) => row.family === 'holdfast');
  if (own === undefined) return [];
  const peers = rows.filter((row) => row !== own && isSound(row));
  const times = TIME_RULES.flatMap((rule) => timeRatio(rule, own, peers) ?? []);
  const zstdPeers = peers.filter((row) => row.codec.startsWith('zstd'));
  if (own.class !== 'zstd') return [...times, storedRatio('stored bytes, best peer', own, peers, STORED_WANTED)];
  return [
    ...times,
    storedRatio('stored bytes, best peer with zstd', own, zstdPeers, STORED_WANTED),
    storedRatio('stored bytes, best peer with any codec', own, peers, undefined),
  ];
}

function isSound(row: ToolRow): boolean {
  return row.failures.length === 0 && row.content === 'same';
}

function timeRatio(rule: TimeRule, own: ToolRow, peers: readonly ToolRow[]): Ratio | undefined {
  // Only a series has later versions: no row at all rather than an empty one.
  const known = [own, ...peers].some((row) => row.operations[rule.operation] !== undefined);
  if (rule.operation === 'later' && !known) return undefined;
  const ownS = own.operations[rule.operation]?.wallS.median;
  const best = lowest(peers.filter(rule.isPeer), (row) => row.operations[rule.operation]?.wallS.median);
  if (ownS === undefined || best === undefined) return { target: rule.target, ...wantedPart(rule.wanted), verdict: 'no figure' };
  const ratio = best.value / ownS;
  const isMet = isSound(own) && ratio >= (rule.wanted ?? 0);
  return { target: rule.target, peer: best.row.name, ratio, ...wantedPart(rule.wanted), verdict: verdict(rule.wanted, isMet) };
}

function storedRatio(target: string, own: ToolRow, peers: readonly ToolRow[], wanted: number | undefined): Ratio {
  const best = lowest(peers, (row) => row.storedBytes?.median);
  const ownBytes = own.storedBytes?.median;
  if (ownBytes === undefined || best === undefined) return { target, ...wantedPart(wanted), verdict: 'no figure' };
  const ratio = ownBytes / best.value;
  return { target, peer: best.row.name, ratio, ...wantedPart(wanted), verdict: verdict(wanted, isSound(own) && ratio <= (wanted ?? 0)) };
}

function lowest(rows: readonly ToolRow[], read: (row: ToolRow) => number | undefined): { row: ToolRow; value: number } | undefined {
  let best: { row: ToolRow; value: number } | undefined;
  for (const row of rows) {
    const value = read(row);
    if (value !== undefined && (best === undefined || value < best.value)) best = { row, value };
  }
  return best;
}

function wantedPart(wanted: number | undefined): { wanted?: number } {
  return wanted === undefined ? {} : { wanted };
}

function verdict(wanted: number | undefined, isMet: boolean): Ratio['verdict'] {
  if (wanted === undefined) return 'for information';
  return isMet ? 'met' : 'missed';
}
