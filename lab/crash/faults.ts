/** What can go wrong at a point, and its one-word form for replays. */

/**
 * `cut`: the power goes before point `at`. `kill`: the process at that point ends, the page cache stays, others go on. `eio`, `enospc`: the operation
 * fails, and with `lasting` all later ones that can fail so. `lie`: no sync does anything, and the power goes at `at`.
 */
export interface Fault {
  readonly kind: 'cut' | 'kill' | 'eio' | 'enospc' | 'lie';
  /** Number of a point, from 1. */
  readonly at: number;
  readonly lasting: boolean;
}

/** Such as `cut@17` or `enospc@5+`. */
export function formatFault({ kind, at, lasting }: Fault): string {
  return `${kind}@${at}${lasting ? '+' : ''}`;
}

/** @throws {Error} the text is no fault. */
export function parseFault(text: string): Fault {
  const match = /^(cut|kill|eio|enospc|lie)@([0-9]+)(\+?)$/.exec(text);
  if (match === null) throw new Error(`Read fault '${text}': expected such as 'cut@17', 'kill@3', 'eio@20', 'enospc@5+' or 'lie@40'`);
  return { kind: match[1] as Fault['kind'], at: Number(match[2]), lasting: match[3] === '+' };
}

/** Operations of a disk that an engine asks for, reads included. */
export type PointKind = 'open' | 'read' | 'list' | 'create' | 'write' | 'truncate' | 'sync' | 'syncDirectory' | 'rename' | 'link' | 'remove' | 'makeDirectory' | 'lock';

/** One of them as it is about to happen. */
export interface Point {
  readonly number: number;
  readonly kind: PointKind;
  readonly path: string;
}

const spaceTakers: ReadonlySet<PointKind> = new Set(['create', 'write', 'truncate', 'link', 'rename', 'makeDirectory']);

/** Whether the system could answer so: reading and removing need no space. */
export function canFail(kind: PointKind, fault: Fault['kind']): boolean {
  return fault === 'eio' || (fault === 'enospc' && spaceTakers.has(kind));
}

const readers: ReadonlySet<PointKind> = new Set(['open', 'read', 'list']);

/** Whether a fault before an operation of this kind is another one than before the next operation. */
export function isPlaceFor(fault: Fault['kind'], kind: PointKind): boolean {
  return fault === 'eio' || fault === 'enospc' ? canFail(kind, fault) : !readers.has(kind);
}
