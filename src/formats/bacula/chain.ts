/** Which of the jobs that a caller lists make up the tree, and how: Base jobs, Fulls in the middle, Differentials. */
import { FILE_TYPE } from './attributes.ts';
import { nodeType } from './node-type.ts';
import type { SessionIndex } from './session-index.ts';

/** Jobs to be applied one after the other, and Base jobs that hold what a Full left out. */
export interface Chain {
  readonly bases: readonly SessionIndex[];
  readonly sessions: readonly SessionIndex[];
}

/** Level of a session as its label says; a Base job is a level of its own. */
function levelOf(session: SessionIndex): string {
  return session.start?.level ?? '';
}

/**
 * Sorts out the listed jobs. A Full begins anew, a Differential replaces what came after the Full before it. The label alone
 * does not make a Full: 9.6.7 labels the copy of an Incremental as one, and believing it would lose files. `paths`: how many there are.
 */
export function chainOf(listed: readonly SessionIndex[], paths: number): Chain {
  const applied = listed.filter((session) => levelOf(session) !== 'B');
  if (applied.length === 0) return { bases: [], sessions: listed.slice(-1) };
  const bases = listed.filter((session) => levelOf(session) === 'B');
  const fromFull = applied.slice(lastFull(applied, paths));
  const differential = fromFull.findLastIndex((session) => levelOf(session) === 'D');
  const isFull = fromFull[0] !== undefined && levelOf(fromFull[0]) === 'F';
  return { bases, sessions: differential <= 0 ? fromFull : [...(isFull ? fromFull.slice(0, 1) : []), ...fromFull.slice(differential)] };
}

/**
 * Place of the last job that is a Full by label and by content: one that stores again, unchanged, more than half of what the
 * jobs before it left. Incrementals store what changed, so that one is not taken for a Full.
 */
function lastFull(sessions: readonly SessionIndex[], paths: number): number {
  if (!sessions.some((session, i) => i > 0 && levelOf(session) === 'F')) return 0;
  const changed = new Float64Array(paths).fill(NaN);
  let entries = 0;
  let full = 0;
  for (const [i, session] of sessions.entries()) {
    const { files } = session;
    const before = entries;
    let same = 0;
    for (let row = 0; row < files.rows; row += 1) {
      if (nodeType(files.type.get(row), files.owner(row).mode, files.stream.get(row)) === 'directory') continue;
      const path = files.path.get(row);
      const known = !Number.isNaN(changed[path]);
      if (changed[path] === files.changed.get(row)) same += 1;
      const deleted = files.type.get(row) === FILE_TYPE.DELETED;
      if (deleted && known) entries -= 1;
      if (!deleted && !known) entries += 1;
      changed[path] = deleted ? NaN : files.changed.get(row);
    }
    if (i > 0 && levelOf(session) === 'F' && files.deletions === 0 && same * 2 > before) full = i;
  }
  return full;
}
