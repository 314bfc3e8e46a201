/** The command line as a user runs it: separate processes, real files, a repository in a temporary directory. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commandIn, mainPath, type Command } from '../testing/command.ts';

let work = '';
let run: Command['run'];
let json: Command['json'];

function md5(file: string): string {
  return createHash('md5').update(fs.readFileSync(file)).digest('hex');
}

before(() => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-cli-')));
  ({ run, json } = commandIn(work));
  fs.mkdirSync(path.join(work, 'src/deep'), { recursive: true });
  fs.writeFileSync(path.join(work, 'src/hello.txt'), 'hello\n');
  fs.writeFileSync(path.join(work, 'src/deep/numbers'), Array.from({ length: 50_000 }, (_, i) => `${i}\n`).join(''));
  fs.linkSync(path.join(work, 'src/hello.txt'), path.join(work, 'src/deep/linked'));
  fs.symlinkSync('hello.txt', path.join(work, 'src/link'));
  fs.writeFileSync(Buffer.concat([Buffer.from(`${work}/src/odd`), Buffer.from([0xff]), Buffer.from('\n')]), 'odd\n');
  fs.utimesSync(path.join(work, 'src/hello.txt'), 1_600_000_000, 1_600_000_000.25);
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

describe('a repository from end to end', () => {
  test('init, backup, second backup without new chunks, snapshots', () => {
    const made = json(0, 'init', 'repo');
    assert.match(made.id, /^[0-9a-f]{64}$/);
    assert.equal(made.format, 1);
    const first = json(0, 'backup', 'src', '--repo', 'repo', '--tag', 'one');
    assert.deepEqual(first.errors, []);
    assert.equal(first.files, 4);
    assert.equal(first.durable, true);
    assert.ok(first.chunksNew > 0 && first.bytesStored > 0 && first.bytesIn >= 288_890 && first.seconds >= 0);
    const second = json(0, 'backup', 'src', '--repo', 'repo', '--parent', 'none');
    assert.equal(second.chunksNew, 0);
    assert.equal(second.bytesNew, 0);
    const { snapshots } = json(0, 'snapshots', 'repo');
    assert.deepEqual(snapshots.map((one) => one.id), [first.snapshot, second.snapshot]);
    assert.deepEqual(json(0, 'snapshots', 'repo', '--tag', 'one').snapshots.length, 1);
  });

  test('ls tells every field, and names that are not UTF-8 exactly', () => {
    const { entries } = json(0, 'ls', '-R', `repo::latest::${work}/src`, '--digest', 'md5');
    const at = (name: string) => entries.find((one) => one.path === `${work}/src/${name}`);
    assert.deepEqual(at('hello.txt'), {
      path: `${work}/src/hello.txt`, type: 'file', size: 6, mode: 0o644, modeOctal: '0644', mtime: 1_600_000_000, mtimeNs: '1600000000250000000',
      uid: process.getuid?.(), gid: process.getgid?.(), nlink: 2, md5: 'b1946ac92492d2347c6235b4d2611184',
    });
    assert.deepEqual([at('link')?.type, at('link')?.target, at('deep')?.type], ['symlink', 'hello.txt', 'dir']);
    const odd = entries.find((one) => one.pathBase64 !== undefined);
    assert.deepEqual(Buffer.from(odd?.pathBase64 ?? '', 'base64'), Buffer.concat([Buffer.from(`${work}/src/odd`), Buffer.from([0xff, 0x0a])]));
    assert.match(run('ls', `repo::latest::${work}/src`).out, /^odd\\xff\\x0a$/m);
    assert.equal(run('cat', `repo::latest::${work}/src/odd\\xff\\x0a`).out, 'odd\n');
  });

  test('cat with a range, stat, cp', () => {
    assert.equal(run('cat', `repo::latest::${work}/src/deep/numbers`, '--offset', '10', '--length', '4').out, '5\n6\n');
    const inJson = json(0, 'cat', `repo::latest::${work}/src/deep/numbers`);
    assert.equal(createHash('md5').update(Buffer.from(inJson.contentBase64, 'base64')).digest('hex'), md5(path.join(work, 'src/deep/numbers')));
    assert.deepEqual(inJson.entries.map((one) => one.path), [`${work}/src/deep/numbers`]);
    assert.equal(json(0, 'stat', `repo::latest::${work}/src/hello.txt`, '--digest', 'sha256').sha256.length, 64);
    assert.equal(json(0, 'cp', `repo::latest::${work}/src/deep/numbers`, 'copy').files, 1);
    assert.equal(md5(path.join(work, 'copy')), md5(path.join(work, 'src/deep/numbers')));
  });

  test('restore maps the location to the target, links and times included', () => {
    const whole = json(0, 'restore', 'repo::latest', 'out', '--verify');
    assert.deepEqual([whole.files, whole.verified, whole.errors], [4, 4, []]);
    const root = path.join(work, 'out', work, 'src');
    assert.equal(fs.statSync(path.join(root, 'hello.txt')).ino, fs.statSync(path.join(root, 'deep/linked')).ino);
    assert.equal(fs.statSync(path.join(root, 'hello.txt')).mtimeMs, 1_600_000_000_250);
    assert.equal(fs.readlinkSync(path.join(root, 'link')), 'hello.txt');
    json(0, 'restore', `repo::latest::${work}/src`, 'out2');
    assert.equal(md5(path.join(work, 'out2/deep/numbers')), md5(path.join(work, 'src/deep/numbers')));
    json(0, 'restore', `repo::latest::${work}/src/hello.txt`, 'out3');
    assert.deepEqual(fs.readdirSync(path.join(work, 'out3')), ['hello.txt']);
    const some = json(0, 'restore', `repo::latest::${work}/src`, 'out4', '--include', 'numb*');
    assert.deepEqual([some.files, fs.readdirSync(path.join(work, 'out4'))], [1, ['deep']]);
    const dry = json(0, 'restore', 'repo::latest', 'never', '--dry-run');
    assert.deepEqual([dry.files, fs.existsSync(path.join(work, 'never'))], [4, false]);
  });

  test('overwriting is the user\'s choice', () => {
    fs.writeFileSync(path.join(work, 'out3/hello.txt'), 'mine');
    assert.equal(json(0, 'restore', `repo::latest::${work}/src/hello.txt`, 'out3', '--overwrite', 'never').skipped, 1);
    assert.equal(fs.readFileSync(path.join(work, 'out3/hello.txt'), 'utf8'), 'mine');
    json(0, 'restore', `repo::latest::${work}/src/hello.txt`, 'out3', '--overwrite', 'if-changed');
    assert.equal(fs.readFileSync(path.join(work, 'out3/hello.txt'), 'utf8'), 'hello\n');
  });

  test('diff names what differs, and that is no failure', () => {
    assert.deepEqual(json(0, 'diff', `repo::latest::${work}/src`, 'src'), { added: [], removed: [], changed: [], errors: [] });
    json(0, 'restore', `repo::latest::${work}/src`, 'changed');
    fs.appendFileSync(path.join(work, 'changed/deep/numbers'), 'more');
    fs.rmSync(path.join(work, 'changed/link'));
    fs.writeFileSync(path.join(work, 'changed/new'), '');
    const found = json(0, 'diff', `repo::latest::${work}/src`, 'changed');
    assert.deepEqual(found.added, [{ path: '/new', type: 'file' }]);
    assert.deepEqual(found.removed, [{ path: '/link', type: 'symlink' }]);
    const numbers = found.changed.find((one) => one.path === '/deep/numbers');
    assert.deepEqual(numbers?.what.slice(0, 2), ['content', 'size']);
  });

  test('check finds nothing, then finds a flipped byte; the index can be made new', () => {
    assert.deepEqual([json(0, 'check', 'repo', '--read-data').ok, json(0, 'check', 'repo', '--rebuild-index').ok], [true, true]);
    fs.cpSync(path.join(work, 'repo'), path.join(work, 'bad'), { recursive: true });
    const files = fs.readdirSync(path.join(work, 'bad'), { recursive: true, encoding: 'utf8' }).map((name) => path.join(work, 'bad', name));
    const [largest = ''] = files.filter((name) => name.includes('containers') && fs.statSync(name).isFile()).sort((a, b) => fs.statSync(b).size - fs.statSync(a).size);
    const bytes = fs.readFileSync(largest);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x40;
    fs.writeFileSync(largest, bytes);
    const report = json(1, 'check', 'bad', '--read-data');
    assert.equal(report.ok, false);
    assert.ok(report.problems.length > 0 && report.problems.every((one) => one.kind !== '' && one.where !== ''));
    const restored = json(3, 'restore', 'bad::latest', 'bad-out');
    assert.ok(restored.errors.length > 0);
    assert.ok(!fs.existsSync(path.join(work, 'bad-out', work, 'src/deep/numbers')), 'a damaged file does not get its name');
    assert.equal(md5(path.join(work, 'bad-out', work, 'src/hello.txt')), md5(path.join(work, 'src/hello.txt')));
  });

  test('info shows the layers; a file in a snapshot can be opened further', () => {
    const { layers } = json(0, 'info', `repo::latest::${work}/src/hello.txt`);
    assert.deepEqual(layers.map((one) => one.layer), ['host', 'repository', 'snapshot', 'path']);
    json(0, 'init', 'outer');
    json(0, 'backup', 'repo', '--repo', 'outer');
    assert.equal(run('cat', `outer::latest::${work}/repo::latest::${work}/src/hello.txt`).out, 'hello\n');
  });
});

describe('sources', () => {
  test('stdin, several sources, exclusions, and a repository inside its source', () => {
    const { status } = spawnSync(process.execPath, [mainPath, 'backup', '-', 'src', '--repo', 'repo', '--stdin-filename', 'dump/db.sql', '--exclude', 'numbers', '--quiet'], { cwd: work, input: 'select 1;' });
    assert.equal(status, 0);
    assert.equal(run('cat', 'repo::latest::/dump/db.sql').out, 'select 1;');
    assert.equal(run('cat', `repo::latest::${work}/src/deep/numbers`).code, 1);
    const inside = run('backup', '.', '--repo', 'repo', '--exclude', 'out*');
    assert.match(inside.err, /leaving out the repository/);
    assert.doesNotMatch(run('ls', `repo::latest::${work}`).out, /^repo$/m);
  });

  test('a location of another repository is a source too', () => {
    json(0, 'init', 'second');
    json(0, 'backup', `repo::latest::${work}/src`, '--repo', 'second');
    assert.equal(run('cat', `second::latest::${work}/src/hello.txt`).out, 'hello\n');
    assert.deepEqual(json(0, 'diff', `second::latest::${work}/src`, 'src').changed, []);
  });

  test('a source that is missing is listed, exit code 3; alone it fails', () => {
    const partial = json(3, 'backup', 'src', 'absent', '--repo', 'repo');
    assert.deepEqual(partial.errors.map((one) => one.path), ['absent']);
    assert.equal(json(1, 'backup', 'absent', '--repo', 'repo').error.code, 'NOT_FOUND');
  });
});

describe('what goes wrong', () => {
  test('wrong use is exit code 2, a failure 1; both say it in JSON too', () => {
    assert.equal(run('frobnicate').code, 2);
    assert.equal(run().code, 2);
    assert.equal(json(2, 'ls', 'src', '--no-such-option').error.code, 'USAGE');
    assert.equal(json(2, 'ls', 'repo::job=3').error.code, 'USAGE');
    assert.equal(json(2, 'restore', 'repo', 'x').error.code, 'USAGE');
    assert.equal(json(2, 'ls', 'repo::p1').error.code, 'USAGE');
    assert.equal(json(1, 'ls', 'nowhere').error.code, 'NOT_FOUND');
    assert.equal(json(1, 'snapshots', 'src').error.code, 'NOT_FOUND');
    assert.equal(json(1, 'init', 'repo').error.code, 'BUSY');
    assert.equal(run('help').code, 0);
    assert.match(run('--version').out, /^\d+\.\d+\.\d+\n$/);
  });

  test('a repository of a newer layout is refused', () => {
    fs.cpSync(path.join(work, 'second'), path.join(work, 'newer'), { recursive: true });
    const config = path.join(work, 'newer/config');
    fs.writeFileSync(config, fs.readFileSync(config, 'utf8').replace('holdfast repository 1', 'holdfast repository 99'));
    assert.equal(json(1, 'snapshots', 'newer').error.code, 'UNSUPPORTED');
  });

  test('a reader that goes away is no error message', async () => {
    const child = spawn(process.execPath, [mainPath, 'ls', '-R', '-l', '/usr/share'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let err = '';
    child.stderr.on('data', (data: Buffer) => { err += data.toString(); });
    child.stdout.once('data', () => child.stdout.destroy());
    await new Promise((resolve) => { child.once('close', resolve); });
    assert.equal(err, '');
  });

  test('SIGINT ends a backup without a snapshot, and the repository stays good', async () => {
    json(0, 'init', 'stopped');
    const fifo = path.join(work, 'hangs');
    assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
    const hold = fs.openSync(fifo, fs.constants.O_RDWR);
    const child = spawn(process.execPath, [mainPath, 'backup', '-', '--repo', 'stopped'], { cwd: work, stdio: [hold, 'ignore', 'pipe'] });
    const locks = path.join(work, 'stopped', 'locks');
    for (const end = performance.now() + 30_000; !(fs.existsSync(locks) && fs.readdirSync(locks).length > 0) && performance.now() < end;) await new Promise((resolve) => { setTimeout(resolve, 20); });
    child.kill('SIGINT');
    const code = await new Promise((resolve) => { child.once('close', resolve); });
    fs.closeSync(hold);
    assert.equal(code, 130);
    assert.deepEqual(json(0, 'snapshots', 'stopped').snapshots, []);
    assert.equal(json(0, 'check', 'stopped').ok, true);
    json(0, 'backup', 'src', '--repo', 'stopped');
  });
});
