/** What guests say of themselves, in all ways of writing it, and links that lead nowhere good. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { LimitError, NotFoundError, utf8 } from '../../core/index.ts';
import { PosixTree } from '../../fs-adapters/posix/index.ts';
import { findInGuest, textInGuest } from './guest-file.ts';
import { parseOsRelease } from './guest-os.ts';

let work = '';
before(() => {
  work = mkdtempSync(path.join(tmpdir(), 'holdfast-guest-'));
  mkdirSync(path.join(work, 'guest/etc/Deep'), { recursive: true });
  writeFileSync(path.join(work, 'secret'), 'of the host');
  writeFileSync(path.join(work, 'guest/secret'), 'of the guest');
  writeFileSync(path.join(work, 'guest/etc/Deep/file'), 'deep');
  writeFileSync(path.join(work, 'guest/etc/large'), 'x'.repeat((64 << 10) + 1));
  symlinkSync('../../../../../../secret', path.join(work, 'guest/etc/above'));
  symlinkSync('/etc/../secret', path.join(work, 'guest/etc/absolute'));
  symlinkSync('loop', path.join(work, 'guest/etc/loop'));
  symlinkSync('nowhere/at/all', path.join(work, 'guest/etc/dangling'));
  chmodSync(path.join(work, 'guest'), 0o755);
});
after(() => { rmSync(work, { recursive: true, force: true }); });

test('links stay inside the guest, end, and may lead nowhere', async () => {
  const tree = new PosixTree({ root: utf8(path.join(work, 'guest')) });
  assert.equal(await textInGuest(tree, '/etc/above'), 'of the guest');
  assert.equal(await textInGuest(tree, '/etc/absolute'), 'of the guest');
  assert.equal(await textInGuest(tree, '/etc/dangling'), undefined);
  assert.equal(await textInGuest(tree, '/etc/absent'), undefined);
  await assert.rejects(textInGuest(tree, '/etc/loop'), LimitError);
  await assert.rejects(textInGuest(tree, '/etc/large'), LimitError);
  await assert.rejects(textInGuest(tree, '/etc'), NotFoundError);
  assert.equal(await findInGuest(tree, '/ETC/deep/FILE'), undefined);
  assert.equal(await findInGuest(tree, '/ETC/deep/FILE', { ignoreCase: true }), await findInGuest(tree, '/etc/Deep/file'));
  await tree.close();
});

test('os-release as shells read it', () => {
  const fields = parseOsRelease('# comment\nNAME=Plain\nPRETTY_NAME="With \\"quotes\\" and \\$"\nID=\'single\'\n\nnot a field\n  VERSION_ID="9"  \nNAME=Last');
  assert.deepEqual([...fields], [['NAME', 'Last'], ['PRETTY_NAME', 'With "quotes" and $'], ['ID', 'single'], ['VERSION_ID', '9']]);
});
