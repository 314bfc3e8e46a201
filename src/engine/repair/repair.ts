/**
 * `check --repair` of an open repository: what the check found is healed where parity suffices, salvaged where not, and whatever can be told of a
 * repository's small objects is put right. Nothing is removed before a copy of it is in `quarantine/`. Doing it again changes nothing.
 */
import { HoldfastError, NotFoundError, type World } from '../../core/index.ts';
import { readSession, fenceSession, listSessions } from '../repository/session.ts';
import type { CheckFindings, CheckReport } from '../check/check.ts';
import { containerPath, listContainers, type ContainerRow } from '../containers/container.ts';
import { Replay } from '../containers/replay.ts';
import type { HashName } from '../hashing/hasher.ts';
import { listTombstones, readTombstone } from '../snapshots/manifest.ts';
import { sidecarName } from '../parity/index.ts';
import { protectedNames } from '../check/object-check.ts';
import { hasObject } from '../objects/index.ts';
import { healObject, renewSidecar, type HealParts } from './heal.ts';
import { protectObjects, type ActionSink, type RepairAction } from './heal-objects.ts';
import { quarantine } from './quarantine.ts';
import { Salvage, type SalvageParts, type SalvageReport } from './salvage.ts';

/** How to repair. */
export interface RepairOptions {
  /** Say what would be done. */
  readonly dryRun?: boolean;
  /** Gives all containers without parity a sidecar of this percentage. */
  readonly addParity?: number;
  /** What `Repository.healObjects` did before; without it that is done first. */
  readonly healed?: readonly RepairAction[];
  onAction?(action: RepairAction): void;
}

/** What was done. `before` and `after` are the checks; after a dry run there is no second one. */
export interface RepairReport extends SalvageReport {
  readonly dryRun: boolean;
  readonly actions: readonly RepairAction[];
  readonly before: CheckReport;
  readonly after?: CheckReport;
}

/** What a repair works with. */
export interface RepairParts extends SalvageParts {
  readonly world: World;
  readonly hash: HashName;
  /** The objects without what keeps their parity. */
  readonly heal: HealParts;
  /** Percent of the repository's own parity; 0: none. */
  readonly percent: number;
  readonly act: ActionSink;
}

/** Before a check: ends what an earlier repair began. */
export async function finishRepairs(parts: RepairParts): Promise<void> {
  const { heal, catchUp } = parts;
  if (heal.isDryRun || catchUp.repairs.length === 0) return;
  for (const number of await new Salvage(parts).finish()) parts.act('finished', containerPath(number), 'removed, as an earlier repair had decided');
}

/** A session that can't be read honours nobody knows what: it is ended, which its writer will notice. */
async function repairSessions({ world, objects, heal, act }: RepairParts): Promise<void> {
  for (const { id } of await listSessions(objects)) {
    try {
      await readSession(objects, id, heal.limits);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      act('fenced', `sessions/${id}`, 'ended, as it cannot be read');
      if (heal.isDryRun) continue;
      await quarantine(heal.objects, `sessions/${id}`);
      await fenceSession(world, objects, id);
    }
  }
}

/** A tombstone's name is what counts; forgetting is finished, so that none is needed any more. */
async function repairTombstones({ objects, heal, act }: RepairParts): Promise<void> {
  for (const id of await listTombstones(objects)) {
    try {
      await readTombstone(objects, id, heal.limits);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      act('forgotten', `tombstones/${id}`, 'its snapshot, which had been forgotten, was removed with it');
      if (heal.isDryRun) continue;
      for (const name of [`manifests/${id}`, `tombstones/${id}`]) {
        await quarantine(heal.objects, name).catch((cause: unknown) => { if (!(cause instanceof NotFoundError)) throw cause; });
        await objects.remove(name);
      }
    }
  }
}

async function replay({ objects, index, limits, hash }: RepairParts, rows: readonly ContainerRow[]): Promise<void> {
  if (rows.length > 0) await new Replay(objects, index, { limits, hash, verify: true }).run(rows);
  await index.flush();
}

/** Containers that are gone and have a sidecar: a repair was about to put them back when it was stopped. @returns numbers of those that are there again. */
async function repairMissing({ heal, act, catchUp }: RepairParts): Promise<Set<string>> {
  const healed = new Set<string>();
  for await (const name of protectedNames(heal.objects)) {
    const [, high = '', low = ''] = /^containers\/..\/([0-9a-f]{8})([0-9a-f]{8})\.hfc$/.exec(name) ?? [];
    if (high === '' || catchUp.dead.has(parseInt(high, 16), parseInt(low, 16)) || await hasObject(heal.objects, name)) continue;
    const outcome = await healObject(heal, name);
    if (outcome === 'healed') {
      healed.add(`${high}${low}`);
      act('healed', name, 'was gone, and made again from its parity');
    } else {
      act('left', name, 'it is gone, and its parity alone does not suffice to make it again');
      if (heal.isDryRun) continue;
      await quarantine(heal.objects, sidecarName(name));
      await heal.objects.remove(sidecarName(name));
    }
  }
  return healed;
}

/** From parity if possible, else salvaged. */
async function repairContainers(parts: RepairParts, damaged: readonly ContainerRow[]): Promise<SalvageReport> {
  const { heal, act, objects } = parts;
  const rest: ContainerRow[] = [];
  const healed = await repairMissing(parts);
  for (const row of damaged) {
    const name = containerPath(row.number);
    const outcome = await healObject(heal, name);
    if (outcome === 'healed') {
      healed.add(row.number.text);
      act('healed', name, 'made whole from its parity');
    } else if (outcome === 'sound') {
      act('left', name, 'it is as it was written: whoever wrote it was wrong');
    } else {
      rest.push(row);
    }
  }
  if (heal.isDryRun) {
    for (const { number } of rest) act('salvaged', containerPath(number), 'good chunks would be copied out of it, the others given up');
    return { saved: 0, foundElsewhere: 0, lost: 0 };
  }
  if (healed.size > 0) await replay(parts, (await listContainers(objects)).filter(({ number }) => healed.has(number.text)));
  await parts.store.groups.forget();
  if (rest.length === 0) return { saved: 0, foundElsewhere: 0, lost: 0 };
  const report = await new Salvage(parts).run(rest);
  for (const { number } of rest) act('salvaged', containerPath(number), 'good chunks were copied out of it; it is in quarantine');
  return report;
}

/** Sidecars: those that are damaged, and with `addParity` those that are missing. */
async function repairParity(parts: RepairParts, addParity: number | undefined): Promise<void> {
  const { heal, act, percent, objects, catchUp } = parts;
  await protectObjects(heal, act);
  for (const { number } of await listContainers(objects)) {
    const name = containerPath(number);
    if (catchUp.dead.has(number.high, number.low)) continue;
    const hasSidecar = await hasObject(objects, sidecarName(name));
    const wanted = addParity ?? (hasSidecar ? percent === 0 ? 5 : percent : 0);
    if (wanted > 0 && await renewSidecar(heal, name, wanted)) act('parity', name, 'got a new sidecar');
  }
}

/** Acts on what a check found. */
export async function repairFindings(parts: RepairParts, findings: CheckFindings, addParity: number | undefined): Promise<SalvageReport> {
  await repairSessions(parts);
  await repairTombstones(parts);
  const report = await repairContainers(parts, findings.damaged);
  for (const { number } of findings.unindexed) parts.act('indexed', containerPath(number), 'its chunks entered the index again');
  if (!parts.heal.isDryRun) await replay(parts, findings.unindexed);
  const damaged = new Set(findings.damaged.map(({ number }) => number.text));
  if (!parts.heal.isDryRun || damaged.size === 0) await repairParity(parts, addParity);
  return report;
}
