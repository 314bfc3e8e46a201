/** What a new configuration changes while a daemon runs, and what only a restart can change. */
import { isDeepStrictEqual } from 'node:util';
import type { DaemonConfig } from './config.ts';

/** Keys that are applied at once. Site keys are files: their content is read again, while which file it is needs a restart. */
const applied = ['log', 'gc', 'check', 'drain'] as const;

/** Names of keys that differ and take effect at once. */
export function changedNow(before: DaemonConfig, after: DaemonConfig): readonly string[] {
  return applied.filter((key) => !isDeepStrictEqual(before[key], after[key]));
}

/** Names of keys that differ and stay as they were until the daemon is restarted. */
export function changedAtRestart(before: DaemonConfig, after: DaemonConfig): readonly string[] {
  const others = (Object.keys({ ...before, ...after }) as (keyof DaemonConfig)[]).filter((key) => !(applied as readonly string[]).includes(key));
  return others.filter((key) => !isDeepStrictEqual(before[key], after[key]));
}

/** The configuration that holds from now on: what may change from `after`, all else from `before`. */
export function mergeConfig(before: DaemonConfig, after: DaemonConfig): DaemonConfig {
  const { gc: _, check: __, ...kept } = before;
  const { log, drain, gc, check } = after;
  return { ...kept, log, drain, ...(gc === undefined ? {} : { gc }), ...(check === undefined ? {} : { check }) };
}
