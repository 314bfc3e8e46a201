/**
 * Hard links at restore. The story: with `--overwrite never` the first name of an inode was left alone because the target had it, and further
 * names became links to the target's own file: another's bytes under the backup's name, exit 0.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { utf8 } from '../core/index.ts';
import { PosixTree } from '../fs-adapters/posix/index.ts';
import { restoreTree } from './restore.ts';

let work = '';
before(() => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-links-'));
  const source = path.join(work, 'source');
  fs.mkdirSync(source);
  fs.writeFileSync(path.join(source, 'a'), 'of the backup');
  fs.linkSync(path.join(source, 'a'), path.join(source, 'b'));
  fs.symlinkSync('nowhere', path.join(source, 'l1'));
  fs.linkSync(path.join(source, 'l1'), path.join(source, 'l2'));
  execFileSync('mkfifo', [path.join(source, 'p1')]);
  fs.linkSync(path.join(source, 'p1'), path.join(source, 'p2'));
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

async function restore(target: string, overwrite: 'always' | 'never'): ReturnType<typeof restoreTree> {
  const tree = new PosixTree({ root: utf8(path.join(work, 'source')) });
  try {
    return await restoreTree({ tree, id: tree.rootId, path: new Uint8Array() }, target, { overwrite });
  } finally {
    await tree.close();
  }
}

test('a name whose first one was kept by the target is not linked to it', async () => {
  const target = path.join(work, 'kept');
  fs.mkdirSync(target);
  fs.writeFileSync(path.join(target, 'a'), 'of the user');
  const result = await restore(target, 'never');
  assert.equal(fs.readFileSync(path.join(target, 'a'), 'utf8'), 'of the user');
  assert.equal(fs.readFileSync(path.join(target, 'b'), 'utf8'), 'of the backup');
  assert.deepEqual([result.files, result.skipped, result.errors], [1, 1, []]);
});

test('symlinks and fifos with several names come back as links, and a second restore that overwrites nothing is no error', async () => {
  const target = path.join(work, 'links');
  const first = await restore(target, 'always');
  assert.deepEqual([first.files, first.others, first.errors], [2, 4, []]);
  for (const name of ['a', 'b', 'l1', 'l2', 'p1', 'p2']) assert.equal(fs.lstatSync(path.join(target, name)).nlink, 2, name);
  assert.equal(fs.lstatSync(path.join(target, 'l1')).ino, fs.lstatSync(path.join(target, 'l2')).ino);
  const second = await restore(target, 'never');
  assert.deepEqual([second.files, second.others, second.skipped, second.errors], [0, 0, 6, []]);
});
