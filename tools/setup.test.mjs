/** What decides whether packages are installed, which tests run, and which compiled files are stale. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { cleanStale } from './clean-stale.mjs';
import { installReason, runStep } from './setup.mjs';
import { testFiles } from './test.mjs';

let root = '';

function write(name, text = '') {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), text);
}

function writeLocks(locked, installed) {
  write('package-lock.json', JSON.stringify({ packages: { '': {}, ...locked } }));
  write('node_modules/.package-lock.json', JSON.stringify({ packages: installed }));
  for (const name of Object.keys(installed)) write(`${name}/package.json`, '{}');
}

beforeEach(() => { root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-setup-')); });
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

describe('installReason', () => {
  const a = { 'node_modules/a': { version: '1.0.0' } };

  test('a fresh checkout is installed', () => {
    write('package-lock.json', JSON.stringify({ packages: a }));
    assert.equal(installReason(root), 'no packages are installed');
  });

  test('a finished installation is left alone, whatever the dates of files', () => {
    writeLocks(a, a);
    fs.utimesSync(path.join(root, 'node_modules/.package-lock.json'), 1, 1);
    assert.equal(installReason(root), undefined);
  });

  test('another version, a missing package and a deleted folder are noticed', () => {
    writeLocks(a, { 'node_modules/a': { version: '1.0.1' } });
    assert.equal(installReason(root), "'node_modules/a' is not installed as locked");
    writeLocks({ ...a, 'node_modules/b': { version: '2.0.0' } }, a);
    assert.equal(installReason(root), "'node_modules/b' is not installed as locked");
    writeLocks(a, a);
    fs.rmSync(path.join(root, 'node_modules/a'), { recursive: true });
    assert.equal(installReason(root), "'node_modules/a' is not installed as locked");
  });

  test('an optional package may be absent', () => {
    writeLocks({ ...a, 'node_modules/native': { version: '1.0.0', optional: true } }, a);
    assert.equal(installReason(root), undefined);
  });
});

test('a failing step shows all of its output', () => {
  const script = 'console.log("to stdout"); console.error("to stderr"); process.exit(3)';
  assert.throws(() => runStep('work', [process.execPath, '-e', script], { cwd: root }), /'work' failed: exit code 3\nto stdout\nto stderr/);
  assert.throws(() => runStep('work', ['holdfast-no-such-program'], { cwd: root }), /'work' failed: .*ENOENT/);
});

test('compiled files without a source are removed, others stay', () => {
  for (const name of ['src/a/kept.ts', 'dist/src/a/kept.js', 'dist/src/a/kept.d.ts', 'dist/.build/a.tsbuildinfo', 'dist/src/a/data.json']) write(name);
  for (const name of ['gone.test.js', 'gone.test.js.map', 'gone.test.d.ts']) write(`dist/src/a/${name}`);
  assert.deepEqual(cleanStale(root), ['dist/src/a/gone.test.d.ts', 'dist/src/a/gone.test.js', 'dist/src/a/gone.test.js.map']);
  assert.deepEqual(cleanStale(root), []);
  assert.ok(fs.existsSync(path.join(root, 'dist/src/a/data.json')) && fs.existsSync(path.join(root, 'dist/.build/a.tsbuildinfo')));
});

test('only tests that have a source are run', () => {
  for (const name of ['src/a/one.test.ts', 'src/a/one.ts', 'lab/two.test.ts', 'tools/three.test.mjs', 'dist/src/a/gone.test.js']) write(name);
  assert.deepEqual(testFiles(root), ['dist/lab/two.test.js', 'dist/src/a/one.test.js', 'tools/three.test.mjs']);
  assert.deepEqual(testFiles(root, ['lab']), ['dist/lab/two.test.js']);
});
