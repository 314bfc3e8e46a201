import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the library example of the README stores a tree and reads a file back', () => {
  const work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-example-')));
  try {
    fs.mkdirSync(path.join(work, 'etc'));
    fs.writeFileSync(path.join(work, 'etc/hostname'), 'example\n');
    const script = fileURLToPath(new URL('./readme.js', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, path.join(work, 'repo'), path.join(work, 'etc')], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^stored snapshot [0-9a-f]{64}: [1-9]\d* new chunks\nexample\n/);
  } finally {
    fs.rmSync(work, { recursive: true });
  }
});
