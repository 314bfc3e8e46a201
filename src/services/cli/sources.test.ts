/**
 * Backups that would store nothing. Sources whose stored paths collide once became an empty snapshot that `latest` meant: the clash was found while the
 * tree was read, and counted as a directory that cannot be read. Now such a backup is refused, and so is one of which nothing can be read or everything is left out.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { guestsDisk } from '../guests/testdata/fixture.ts';
import { commandIn, mainPath, type Command } from '../testing/command.ts';

const testdata = fileURLToPath(new URL('../../../../src/formats/bacula/testdata/', import.meta.url));

let work = '';
let run: Command['run'];
let json: Command['json'];

before(async () => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-sources-')));
  ({ run, json } = commandIn(work));
  const disk = await guestsDisk();
  for (const name of ['web.raw', 'db.raw']) fs.writeFileSync(path.join(work, name), disk);
  fs.mkdirSync(path.join(work, 'src/empty'), { recursive: true });
  fs.writeFileSync(path.join(work, 'src/note.txt'), 'text\n');
  assert.equal(run('init', 'repo').code, 0);
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

/** A backup that must fail without a snapshot. @returns the message. */
function refused(code: number, ...words: readonly string[]): string {
  const { error } = json(code, 'backup', ...words, '--repo', 'repo') as unknown as { readonly error: { readonly message: string } };
  assert.deepEqual(json(0, 'snapshots', 'repo').snapshots, []);
  return error.message;
}

test('two sources that hold the same path are refused, and both are named', () => {
  const volume = path.join(testdata, 'accurate-deleted/volumes/accurate-0002');
  const message = refused(2, `${volume}::job=3`, `${volume}::job=4`);
  assert.match(message, /accurate-0002::job=3' and '.*accurate-0002::job=4': both hold '\//);
});

test('a guest mixes with nothing: not with another one, nor with files of this host', () => {
  assert.match(refused(2, 'web.raw::p1::/', 'db.raw::p1::/'), /'web\.raw::p1::\/' and 'db\.raw::p1::\/' together: both would be stored at '\/'/);
  assert.match(refused(2, 'web.raw::p1::/', 'web.raw::p2::/'), /'web\.raw::p1::\/' and 'web\.raw::p2::\/'/);
  assert.match(refused(2, 'web.raw::p1::/', 'src'), /src' would be stored inside '\/' of the other/);
  assert.match(refused(2, 'web.raw::p1::/etc', 'db.raw::p1::/etc'), /both would be stored at '\/etc'/);
});

test('what cannot be read at all becomes no snapshot', () => {
  assert.match(refused(1, path.join(testdata, 'encrypted/volumes::job=21')), /nothing of the sources can be read, so nothing was stored; .*no private key/);
  const { status, stderr } = spawnSync(process.execPath, [mainPath, 'backup', '-', '--repo', 'repo'], { cwd: work, encoding: 'utf8', input: '' });
  assert.deepEqual([status, /it was empty; the command that writes to it may have failed/.test(stderr)], [1, true]);
  assert.match(refused(2, 'web.raw::p1'), /it is a disk; its files are at 'web\.raw::p1::\/' \(ext4\)/);
});

test('patterns that leave nothing, and a repository inside itself, are mistakes', () => {
  assert.match(refused(2, 'src', '--exclude', '*'), /all that is in them matches a pattern/);
  assert.match(refused(2, 'src', '--exclude', 'src'), /all that is in them matches a pattern/);
  assert.match(refused(2, 'repo'), /is the repository itself/);
});

test('what is empty is stored, and said; a link with a slash is what it leads to', () => {
  const { code, err } = run('backup', 'src/empty', '--repo', 'repo');
  assert.equal(code, 0);
  assert.match(err, /the sources hold no files/);
  fs.symlinkSync('src', path.join(work, 'link'));
  assert.match(run('backup', 'link', '--repo', 'repo').err, /'link' is a symbolic link and is stored as one; 'link\/' stores what it leads to/);
  assert.equal(json(0, 'backup', 'link/', '--repo', 'repo').files, 1);
  assert.equal(json(3, 'backup', 'src', 'absent', '--repo', 'repo').files, 1);
});
