/** Retention: which snapshots to keep. Decides only; forgetting is the repository's. */
export { formatDuration, parseDuration, type Duration } from './duration.ts';
export type { Period } from './calendar.ts';
export { CLOCK_TOLERANCE_MS, PERIODS, parseKeepCount, type GroupKey, type KeepCount, type KeepRules, type RetentionPolicy } from './policy.ts';
export { planExplicit, planRetention, wholeId, type RetentionGroup, type RetentionPlan, type RetentionRow } from './plan.ts';
export { previewLines } from './preview.ts';
export type { RetentionSnapshot, Suspicion } from './trust.ts';
