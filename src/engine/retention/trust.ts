/**
 * Which time of a snapshot counts. Its own (`claimed`) was written by the machine that made it, which may be in the wrong hands; the store's
 * (`stored`) was not. Reasons and limits: `docs/retention.md`.
 */
import { isInstant } from './calendar.ts';
import { CLOCK_TOLERANCE_MS, type RetentionPolicy } from './policy.ts';

/** A snapshot as retention sees it. Times are milliseconds since 1970. */
export interface RetentionSnapshot {
  readonly id: string;
  /** What its manifest says. */
  readonly claimed: number;
  /** When the store says that the manifest was created (`ObjectRow.modified`). */
  readonly stored: number;
  readonly host: string;
  readonly sources: readonly string[];
  readonly tags: readonly string[];
}

/** Why a snapshot's time is not believed. */
export type Suspicion = 'dated-back' | 'dated-ahead' | 'no-date';

/** A snapshot with the time that counts for it. */
export interface TimedSnapshot {
  readonly snapshot: RetentionSnapshot;
  readonly time: number;
}

/** The two kinds of snapshots of a group. */
export interface TrustedSnapshots {
  /** Newest first. */
  readonly timed: readonly TimedSnapshot[];
  readonly suspicious: readonly { readonly snapshot: RetentionSnapshot; readonly suspicion: Suspicion }[];
}

function isVouchedFor(snapshot: RetentionSnapshot, policy: RetentionPolicy): boolean {
  return policy.trustedIds?.has(snapshot.id) === true || (policy.trustStoredBefore !== undefined && snapshot.stored <= policy.trustStoredBefore);
}

function suspicionOf(snapshot: RetentionSnapshot, policy: RetentionPolicy): Suspicion | undefined {
  if (!isInstant(snapshot.claimed) || !isInstant(snapshot.stored)) return 'no-date';
  if (isVouchedFor(snapshot, policy)) return undefined;
  const ahead = snapshot.claimed - snapshot.stored;
  if (Math.abs(ahead) <= (policy.toleranceMs ?? CLOCK_TOLERANCE_MS)) return undefined;
  return ahead > 0 ? 'dated-ahead' : 'dated-back';
}

/** The order of the store's clock, which no writer can change. */
function byStored(a: RetentionSnapshot, b: RetentionSnapshot): number {
  return a.stored - b.stored || a.claimed - b.claimed || (a.id < b.id ? -1 : 1);
}

/**
 * Sorts the snapshots of one group by the time that counts: what a snapshot claims, but not later than it was stored, and not earlier than
 * a snapshot that was stored before it. So whoever adds one can only add a newest one, whatever it claims within the tolerance.
 */
export function trustSnapshots(group: readonly RetentionSnapshot[], policy: RetentionPolicy): TrustedSnapshots {
  const timed: TimedSnapshot[] = [];
  const suspicious: { readonly snapshot: RetentionSnapshot; readonly suspicion: Suspicion }[] = [];
  let newest = Number.NEGATIVE_INFINITY;
  for (const snapshot of [...group].sort(byStored)) {
    const suspicion = suspicionOf(snapshot, policy);
    if (suspicion !== undefined) {
      suspicious.push({ snapshot, suspicion });
      continue;
    }
    const believable = Math.min(snapshot.claimed, snapshot.stored);
    const time = isVouchedFor(snapshot, policy) ? believable : Math.max(newest, believable);
    newest = Math.max(newest, time);
    timed.push({ snapshot, time });
  }
  // Stable: of equal times the one stored last comes first.
  return { timed: timed.reverse().sort((a, b) => b.time - a.time), suspicious };
}
