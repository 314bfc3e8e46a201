/** Totals for a progress bar: counted beforehand, but never for long. */
import { AbortedError } from '../../core/index.ts';
import { walk, type TreeView } from '../trees/walk.ts';

/** Undefined where counting took too long. */
export interface Totals {
  readonly totalFiles?: number;
  readonly totalBytes?: number;
}

const budgetMs = 3_000;

/** Counts files and bytes below a view; gives up after three seconds. What can't be read is left to the real walk to report. */
export async function totalsOf(view: TreeView, signal: AbortSignal): Promise<Totals> {
  let totalFiles = 0;
  let totalBytes = 0;
  const limit = AbortSignal.timeout(budgetMs);
  try {
    if ((await view.tree.stat(view.id)).type !== 'directory') return {};
    await walk(view, {
      page: (entries) => {
        for (const { stat } of entries) {
          if (stat.type !== 'file') continue;
          totalFiles += 1;
          totalBytes += stat.size;
        }
      },
      failed: () => undefined,
    }, AbortSignal.any([limit, signal]));
  } catch (error) {
    if (error instanceof AbortedError && !signal.aborted) return {};
    throw error;
  }
  return { totalFiles, totalBytes };
}
