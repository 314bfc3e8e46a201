/** A disk was named where files were meant, or the other way round: the message says what to type next. `ls` of a partition once printed an empty line. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { fixture } from '../../formats/partitions/testdata/fixture.ts';
import { guestsDisk } from '../guests/testdata/fixture.ts';
import { commandIn, mainPath, type Command } from '../testing/command.ts';

let work = '';
let run: Command['run'];

before(async () => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-next-')));
  ({ run } = commandIn(work));
  fs.writeFileSync(path.join(work, 'disk'), await guestsDisk());
  fs.writeFileSync(path.join(work, 'luks'), await fixture('luks1-0'));
  fs.mkdirSync(path.join(work, 'full'));
  fs.writeFileSync(path.join(work, 'full/file'), 'f');
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

const roots = /it is a disk; its files are at 'disk::p1::\/' \(ext4\), 'disk::p2::\/' \(NTFS/;

test('ls of a disk and of a partition names it, and where its files are', () => {
  for (const [location, name, hint] of [['disk', 'disk', roots], ['disk::p1', 'p1', /its files are at 'disk::p1::\/' \(ext4\)$/m], ['luks', 'luks', /encrypted: with --key FILE/]] as const) {
    const { code, out, err } = run('ls', location);
    assert.deepEqual([code, out], [0, `${name}\n`]);
    assert.match(err, hint);
  }
  assert.equal(run('ls', 'disk::p1::/').err, '');
  assert.equal(run('ls', 'full/file').err, '');
});

test('verbs that need files say where they are', () => {
  for (const [words, code] of [[['restore', 'disk::p1', 'out'], 2], [['restore', 'disk', 'out'], 0], [['mount', 'disk::p1', 'out'], 2], [['serve', 'nfs', 'disk'], 2], [['diff', 'full', 'disk'], 2]] as const) {
    const result = run(...words);
    assert.equal(result.code, code, words.join(' '));
    assert.match(result.err, /it is a disk; its files are at 'disk::p1::\/' \(ext4\)/, words.join(' '));
  }
});

test('verbs that need a disk or a file say which disk it is', () => {
  for (const words of [['cat', 'disk::p1::/'], ['convert', 'disk::p1::/etc', '--to', 'raw', 'new']] as const) {
    const { code, err } = run(...words);
    assert.equal(code, 2);
    assert.match(err, /it is a directory, expected .*; the disk that it is on is 'disk::p1'$/m);
  }
});

test('a file beside a directory: what the directory holds is told by its own paths', () => {
  assert.equal(run('diff', 'full/file', 'full').out, '~ / (type)\n+ /file\n');
});

test('a mount over a directory that holds something says so', { skip: fs.existsSync('/dev/fuse') && process.getuid?.() === 0 ? false : 'needs root and /dev/fuse' }, async () => {
  const child = spawn(process.execPath, [mainPath, 'mount', 'disk::p1::/', 'full'], { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] });
  let err = '';
  child.stderr.on('data', (data: Buffer) => { err += data.toString(); });
  await new Promise<void>((resolve) => {
    child.stdout.once('data', () => { resolve(); });
    child.once('exit', () => { resolve(); });
  });
  child.kill('SIGTERM');
  await new Promise<void>((resolve) => { if (child.exitCode === null) child.once('exit', () => { resolve(); }); else resolve(); });
  assert.match(err, /full' is not empty: its 1 entries are hidden until the mount ends/);
});
