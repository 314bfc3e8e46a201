/** Which sessions are under way, after those were cleared away that surely are not. */
import { HoldfastError, IntegrityError, type Limits, type ObjectStore, type World } from '../../core/index.ts';
import { hasObject } from '../objects/index.ts';
import { fenceSession, listSessions, readSession, type SessionInfo } from '../repository/session.ts';
import { isGone } from '../repository/writer.ts';

/** Whose sessions may be ended from here. */
export interface FenceRules {
  /** Where this process's locks are (see `Writer.cache`): only writers with locks there can be judged. */
  readonly cache: string;
  /** Ends sessions of others that were announced so long ago, milliseconds by the store's clock. Default: never. */
  readonly fenceAfterMs?: number;
  /** Id of a session of our own, whose age is 0: the store's clock. */
  readonly ownSession?: string;
  /** End nobody's session. */
  readonly isDryRun?: boolean;
}

/** A session that is under way, as far as anybody can tell. */
export interface OpenSession extends SessionInfo {
  /** When the store saw it announced, milliseconds since 1970. */
  readonly modified: number;
}

interface Parts extends FenceRules {
  readonly world: World;
  readonly objects: ObjectStore;
  readonly limits: Limits;
}

/**
 * All backups under way. Whoever is surely over gets a fence, so that not even a process that comes back can commit.
 * @throws {IntegrityError} and others, when an announcement can't be read: it may honour no list at all.
 */
export async function openSessions(parts: Parts): Promise<readonly OpenSession[]> {
  const { world, objects, limits, isDryRun = false } = parts;
  const announced = await listSessions(objects);
  const now = announced.find(({ id }) => id === parts.ownSession)?.modified;
  const open: OpenSession[] = [];
  for (const { id, modified } of announced) {
    if (id === parts.ownSession) continue;
    const session = await readSession(objects, id, limits).catch((error: unknown) => {
      if (!(error instanceof HoldfastError) || error.code === 'TOOL') throw error;
      throw new IntegrityError(`Collect garbage: nobody knows what a backup under way may need, because its session can't be read; 'check --repair' ends that session. ${error.message}`, { session: id }, error);
    });
    if (session === undefined) continue;
    const isOver = await hasObject(objects, `manifests/${id}`)
      || (session.writer.cache === parts.cache && !isDryRun && await isGone(world, session.writer.id))
      || (parts.fenceAfterMs !== undefined && now !== undefined && now - modified > parts.fenceAfterMs);
    if (!isOver && session.purpose === 'collect') continue;
    if (!isOver) open.push({ ...session, modified });
    else if (!isDryRun) await fenceSession(world, objects, id);
  }
  return open;
}
