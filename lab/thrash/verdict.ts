/** Compares a repository with what its processes wrote down. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { MemoryTree } from '../../src/core/testing/memory-tree.ts';
import { Repository, nodeWorld } from '../../src/engine/index.ts';
import type { Checks } from '../checks.ts';
import { md5Of, treeOf } from './content.ts';
import { readJournals } from './journal.ts';

/** What was found at the end. */
export interface Verdict {
  readonly snapshots: number;
  readonly steps: string;
}

/** Nobody may be using the repository. Reads all of it: each snapshot's MD5, a check with data, a collection, and all again. */
export async function judge(checks: Checks, repositoryDirectory: string, journalDirectory: string): Promise<Verdict> {
  const { saved, asked, forgotten, troubles, counts } = readJournals(journalDirectory);
  const explained = troubles.filter(({ what, id }) => what === 'get' && id !== undefined && asked.has(id));
  const rest = troubles.filter((one) => !explained.includes(one));
  for (const what of new Set(['wrong bytes', 'open', 'put', 'get', 'forget', 'gc', 'check', 'close', ...rest.map((one) => one.what)])) {
    const met = rest.filter((one) => one.what === what);
    checks.expect(`no process met: ${what}`, met.length === 0, `${met.length}: ${met.slice(0, 3).map(({ message, id }) => `${id?.slice(0, 8) ?? ''} ${message.slice(0, 300)}`).join(' | ')}`);
  }
  const repository = await Repository.open(nodeWorld(repositoryDirectory), { mode: 'write', index: 'log', workers: 0 });
  let snapshots = 0;
  for (const round of ['before', 'after'] as const) {
    const visible = new Map((await repository.snapshots()).map(({ id, tags }) => [id, Number(tags[0])]));
    const lost = [...saved.keys()].filter((id) => !asked.has(id) && !visible.has(id));
    checks.expect(`${round} a last collection no acknowledged snapshot is lost`, lost.length === 0, lost.join());
    const back = [...forgotten].filter((id) => visible.has(id));
    checks.expect(`${round} a last collection no forgotten snapshot is back`, back.length === 0, back.join());
    const wrong: string[] = [];
    for (const [id, seed] of visible) {
      const expected = saved.get(id) ?? await md5Of(new MemoryTree(treeOf(seed)));
      const found = await md5Of(await repository.openSnapshot(id)).catch(String);
      if (found !== expected) wrong.push(`${id}: '${found}', expected '${expected}'`);
    }
    checks.expect(`${round} a last collection all ${visible.size} snapshots have their MD5`, wrong.length === 0, wrong.slice(0, 3).join('; '));
    snapshots = visible.size;
    const problems: string[] = [];
    await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { problems.push(`${kind} ${where}: ${message}`); } });
    checks.expect(`${round} a last collection check finds nothing`, problems.length === 0, problems.slice(0, 3).join('; '));
    if (round === 'before') await repository.collect();
  }
  await repository.close();
  for (const directory of ['temporary', 'sessions', 'tombstones']) {
    const where = path.join(repositoryDirectory, directory);
    const left = existsSync(where) ? readdirSync(where) : [];
    checks.expect(`nothing is left in '${directory}'`, left.length === 0, left.slice(0, 5).join());
  }
  return { snapshots, steps: [...counts].map(([what, count]) => `${count} ${what}`).join(', ') };
}
