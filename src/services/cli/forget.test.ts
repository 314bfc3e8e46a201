/** `forget` and `gc` as a user runs them. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commandIn, type Command, type Reply } from '../testing/command.ts';

interface Forgotten extends Omit<Reply, 'removed'> { readonly removed: readonly string[]; readonly kept: number; readonly gc?: { readonly bytesReclaimed: number } }
interface Collected extends Reply { readonly bytesReclaimed: number; readonly containersRemoved: number; readonly dryRun: boolean }

let work = '';
let run: Command['run'];
let json: Command['json'];
const ids: string[] = [];

before(() => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-forget-')));
  ({ run, json } = commandIn(work));
  fs.mkdirSync(path.join(work, 'src'));
  json(0, 'init', 'repo');
  for (let i = 0; i < 3; i += 1) {
    fs.writeFileSync(path.join(work, 'src/file'), Buffer.from(Array.from({ length: 40_000 }, (_, n) => (n * (i + 3) ** 3) & 0xff)));
    fs.writeFileSync(path.join(work, 'src/same'), 'the same\n');
    ids.push(json(0, 'backup', 'src', '--repo', 'repo', '--tag', `t${i}`).snapshot);
  }
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

describe('forget and gc', () => {
  test('what is asked for wrongly is refused, and nothing is forgotten', () => {
    assert.equal(run('forget', 'repo').code, 2);
    assert.match(run('forget', 'repo').err, /no rule that keeps anything/);
    for (const words of [['--keep-last', '0'], ['--keep-within', '3x'], ['--keep-last', '1', '--group-by', 'colour'], ['--keep-last', '1', '--time-zone', 'Atlantis'], [ids[0] ?? '', '--keep-last', '1']]) {
      assert.equal(run('forget', 'repo', ...words).code, 2, words.join(' '));
    }
    assert.equal(run('forget', 'repo', 'ffffffffffff').code, 1);
    assert.equal(run('gc', 'repo', '--max-unused', '7').code, 2);
    assert.equal(json(0, 'snapshots', 'repo').snapshots.length, 3);
  });

  test('a preview changes nothing', () => {
    const { removed, kept } = json(0, 'forget', 'repo', '--keep-last', '1', '--dry-run') as unknown as Forgotten;
    assert.deepEqual([removed, kept], [ids.slice(0, 2), 1]);
    assert.match(run('forget', 'repo', '--keep-last', '1', '--dry-run').out, /would forget 2 of 3 snapshots/);
    assert.equal(json(0, 'snapshots', 'repo').snapshots.length, 3);
  });

  test('trusted ids may be beginnings, and one that fits nothing is refused', () => {
    assert.equal(run('forget', 'repo', '--keep-last', '1', '--dry-run', '--trust', 'ffffffffffff').code, 1);
    assert.equal(run('forget', 'repo', '--keep-last', '1', '--dry-run', '--trust', (ids[0] ?? '').slice(0, 12)).code, 0);
  });

  test('a damaged snapshot matters to a policy, not to those who name others', () => {
    json(0, 'init', 'other');
    const made = [0, 1].map(() => json(0, 'backup', 'src', '--repo', 'other').snapshot);
    const manifest = path.join(work, 'other/manifests', made[0] ?? '');
    const bytes = fs.readFileSync(manifest);
    fs.rmSync(manifest);
    fs.writeFileSync(manifest, bytes.map((byte, i) => (i === 200 ? byte ^ 1 : byte)));
    assert.equal(run('forget', 'other', '--keep-last', '1', '--dry-run').code, 3);
    assert.deepEqual((json(0, 'forget', 'other', made[1] ?? '') as unknown as Forgotten).removed, [made[1]]);
    assert.deepEqual((json(0, 'forget', 'other', made[0] ?? '') as unknown as Forgotten).removed, [made[0]], 'the damaged one too');
  });

  test('a snapshot by its id, then by policy, then the bytes', () => {
    assert.deepEqual((json(0, 'forget', 'repo', (ids[0] ?? '').slice(0, 12)) as unknown as Forgotten).removed, [ids[0]]);
    assert.deepEqual(json(0, 'snapshots', 'repo').snapshots.map(({ id }) => id), ids.slice(1));
    const preview = json(0, 'gc', 'repo', '--dry-run') as Collected;
    assert.ok(preview.dryRun && preview.bytesReclaimed > 0 && preview.containersRemoved === 0);
    assert.ok((json(0, 'gc', 'repo') as Collected).bytesReclaimed > 0);
    const forgotten = json(0, 'forget', 'repo', '--keep-tag', 't2', '--gc') as unknown as Forgotten;
    assert.deepEqual(forgotten.removed, [ids[1]]);
    assert.ok((forgotten.gc?.bytesReclaimed ?? 0) > 0);
    assert.equal(json(0, 'check', 'repo', '--read-data').ok, true);
    assert.equal(json(0, 'restore', `repo::${ids[2] ?? ''}`, 'out').files, 2);
    assert.equal((json(0, 'gc', 'repo') as Collected).containersRemoved, 0);
  });
});
