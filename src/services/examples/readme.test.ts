import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { guestsDisk } from '../guests/testdata/fixture.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

test('the library example of the README stores a tree and reads a file back, the first time and again', () => {
  const work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-example-')));
  try {
    fs.mkdirSync(path.join(work, 'etc'));
    fs.writeFileSync(path.join(work, 'etc/hostname'), 'example\n');
    const script = fileURLToPath(new URL('./readme.js', import.meta.url));
    for (const chunks of ['[1-9]\\d*', '0']) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [script, path.join(work, 'repo'), path.join(work, 'etc')], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      assert.match(stdout, new RegExp(`^stored snapshot [0-9a-f]{64}: ${chunks} new chunks\\nexample\\n`));
    }
  } finally {
    fs.rmSync(work, { recursive: true });
  }
  const source = fs.readFileSync(path.join(root, 'src/services/examples/readme.ts'), 'utf8');
  assert.ok(fs.readFileSync(path.join(root, 'README.md'), 'utf8').includes(source.slice(source.indexOf('import ')).replace("'../index.ts'", "'holdfast'")));
});

test('the example of a disk lists a directory in it, and is the one of the README', async () => {
  const work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-example-')));
  try {
    fs.writeFileSync(path.join(work, 'disk'), await guestsDisk());
    const script = fileURLToPath(new URL('./guest.js', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, `${path.join(work, 'disk')}::p1::/etc`], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.deepEqual(stdout.trimEnd().split('\n').sort(), ['fstab', 'host.real', 'hostname', 'os-release']);
  } finally {
    fs.rmSync(work, { recursive: true });
  }
  const source = fs.readFileSync(path.join(root, 'src/services/examples/guest.ts'), 'utf8');
  const shown = source.slice(source.indexOf('import ')).replace("'../index.ts'", "'holdfast'");
  assert.ok(fs.readFileSync(path.join(root, 'README.md'), 'utf8').includes(shown));
});

test('the README names every entry point of the package, and no other', () => {
  const { exports } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as { readonly exports: Readonly<Record<string, string>> };
  const there = Object.keys(exports).filter((name) => name !== '.' && name !== './package.json').map((name) => name.replace('.', 'holdfast'));
  const named = [...fs.readFileSync(path.join(root, 'README.md'), 'utf8').matchAll(/`(holdfast\/[a-z/-]+)`/g)].map(([, name]) => name);
  assert.deepEqual([...new Set(named)].sort(), there.sort());
});
