/** Check and repair of an open repository. */
import { HoldfastError, type Disk } from '../../core/index.ts';
import { Check, type CheckFindings, type CheckOptions, type CheckParts, type CheckReport } from '../check/check.ts';
import type { CheckProblem } from '../check/problem.ts';
import { STAGING_DIRECTORY } from '../objects/index.ts';
import type { ActionSink, RepairAction } from '../repair/heal-objects.ts';
import { finishRepairs, repairFindings, type RepairOptions, type RepairReport } from '../repair/repair.ts';
import { memoryWorld } from '../world/index.ts';
import type { RepositoryConfig } from './config.ts';
import { WriterLock } from './writer.ts';

/** What a repository gives to its check. */
export interface CheckingParts extends Omit<CheckParts, 'scratch'> {
  readonly lock: WriterLock | undefined;
  readonly config: RepositoryConfig;
}

/** Where a check sorts: beside the caches, or in memory where nothing can be written. */
async function openScratch({ world, lock }: CheckingParts): Promise<{ readonly disk: Disk; readonly prefix: string; release(): Promise<void> }> {
  const prefixOf = ({ writer }: WriterLock): string => `${STAGING_DIRECTORY}/${writer.id}-check${Buffer.from(world.randomBytes(4)).toString('hex')}`;
  if (lock !== undefined) return { disk: world.disk, prefix: prefixOf(lock), release: async () => undefined };
  try {
    const own = await WriterLock.take(world, '');
    await world.disk.makeDirectory(STAGING_DIRECTORY);
    return { disk: world.disk, prefix: prefixOf(own), release: () => own.release() };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return { disk: memoryWorld().disk, prefix: 'check', release: async () => undefined };
  }
}

/** One check, and what a repair needs of it. */
export async function checkParts(parts: CheckingParts, options: CheckOptions): Promise<{ readonly report: CheckReport; readonly findings: CheckFindings }> {
  const scratch = await openScratch(parts);
  try {
    const check = new Check({ ...parts, scratch }, options);
    return { report: await check.run(), findings: check.findings };
  } finally {
    await scratch.release();
  }
}

/** Checks, acts, checks again; `healed` is what was done before the repository could be opened. */
export async function repairParts(parts: CheckingParts, options: RepairOptions & CheckOptions, healed: readonly RepairAction[]): Promise<RepairReport> {
  const { limits, stored, config } = parts;
  const actions = [...healed];
  for (const action of healed) options.onAction?.(action);
  const act: ActionSink = (action, name, message) => {
    actions.push({ action, name, message });
    options.onAction?.({ action, name, message });
  };
  const dryRun = options.dryRun === true;
  const prefix = `${STAGING_DIRECTORY}/${parts.lock?.writer.id ?? ''}-repair`; // it was opened for writing
  const repair = { ...parts, prefix, hash: config.hash, percent: config.parity ?? 0, act, heal: { objects: stored, limits, isDryRun: dryRun } };
  await finishRepairs(repair);
  const found: CheckProblem[] = [];
  const { report: before, findings } = await checkParts(parts, { ...options, readData: options.readData ?? true, onProblem: (problem) => { found.push(problem); } });
  const salvaged = await repairFindings(repair, findings, options.addParity);
  if (dryRun) {
    found.forEach((problem) => { options.onProblem(problem); });
    return { dryRun, actions, before, ...salvaged };
  }
  const { report: after } = await checkParts(parts, { ...options, readData: false });
  return { dryRun, actions, before, after, ...salvaged };
}
