/** Forget: which snapshots a policy or a list of ids drops, and dropping them. What only they need goes with the next garbage collection. */
import {
  planExplicit, planRetention, wholeId, type Repository, type RetentionPlan, type RetentionPolicy, type RetentionSnapshot, type SnapshotInfo,
} from '../engine/index.ts';

/** What to forget: by ids, or by a policy over the snapshots that `consider` admits. */
export interface ForgetRequest {
  /** Whole ids or unique beginnings. With ids there is no policy. */
  readonly ids?: readonly string[];
  readonly policy?: RetentionPolicy;
  /** Snapshots that the policy sees; the others stay. Default: all. */
  consider?(snapshot: SnapshotInfo): boolean;
  /** Only plan. */
  readonly dryRun?: boolean;
}

/** What was, or with `dryRun` would be forgotten. */
export interface ForgetReport {
  readonly plan: RetentionPlan;
  readonly dryRun: boolean;
}

/**
 * Forgets snapshots; durable when it resolves. Ids that a policy trusts may be unique beginnings too. A manifest that can't be read is not seen by a policy, and stays; it can be forgotten by its whole id.
 * @throws {UsageError} no policy and no ids, a policy that keeps nothing. @throws {NotFoundError} an id that fits no snapshot.
 */
export async function forgetSnapshots(repository: Repository, request: ForgetRequest, onDamaged: (id: string, error: Error) => void): Promise<ForgetReport> {
  const damaged: string[] = [];
  const snapshots = await repository.snapshots((id, error) => {
    damaged.push(id);
    onDamaged(id, error);
  });
  const stored = await repository.storedTimes();
  const dated = (list: readonly SnapshotInfo[]): readonly RetentionSnapshot[] => list.map(({ id, time, host, sources, tags }) => ({
    id, claimed: time, stored: stored.get(id) ?? Number.NaN, host, sources, tags,
  }));
  const { consider = () => true, ids = [] } = request;
  const policy = request.policy?.trustedIds === undefined ? request.policy
    : { ...request.policy, trustedIds: new Set([...request.policy.trustedIds].map((text) => wholeId(snapshots, text, 'Trust snapshot'))) };
  const plan = policy === undefined
    ? planExplicit([...dated(snapshots), ...damaged.map((id) => ({ id, claimed: 0, stored: stored.get(id) ?? Number.NaN, host: '', sources: [], tags: [] }))], ids)
    : planRetention(dated(snapshots.filter(consider)), policy);
  if (request.dryRun !== true) await repository.forget(plan.remove);
  return { plan, dryRun: request.dryRun === true };
}
