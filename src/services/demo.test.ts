import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./demo.js', import.meta.url));

test('the demo stores, stores again without new chunks, restores and compares', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /second time {2}0 of [1-9]\d* chunks new/);
  assert.match(stdout, /compared {5}47 md5 digests, all equal/);
  assert.match(stdout, /sizes {8}1950207 bytes of input · store grew by [1-9]\d* and 0 bytes · [1-9]\d* bytes in total/);
});

test('the demo fails on what is not there', () => {
  const { status, stderr } = spawnSync(process.execPath, [script, '/no/such/volume'], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /^demo: /);
});
