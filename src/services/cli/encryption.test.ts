/** Encrypted repositories from the command line: what opens them, and the `key` verb. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { commandIn, type Command } from '../testing/command.ts';

let work = '';
let run: Command['run'];
let json: Command['json'];

before(() => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-encryption-')));
  ({ run, json } = commandIn(work));
  fs.mkdirSync(path.join(work, 'src'));
  fs.writeFileSync(path.join(work, 'src/file'), 'what nobody may read\n'.repeat(1_000));
  fs.writeFileSync(path.join(work, 'a.key'), randomBytes(32), { mode: 0o600 });
  fs.writeFileSync(path.join(work, 'b.key'), `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  fs.writeFileSync(path.join(work, 'wrong.key'), randomBytes(32).toString('base64'), { mode: 0o644 });
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

test('init, backup, restore, check and gc with a key; without it a clear refusal that names the slots', () => {
  assert.match(run('init', 'repo', '--encrypt').err, /give --key FILE/);
  assert.match(run('init', 'repo', '--key', 'a.key').err, /--encrypt is missing/);
  const made = json(0, 'init', 'repo', '--encrypt', '--key', 'a.key', '--label', 'office') as unknown as { parameters: { encryption: string } };
  assert.equal(made.parameters.encryption, 'aes-256-gcm');
  json(0, 'backup', 'src', '--repo', 'repo', '--key', 'a.key');
  assert.equal(json(0, 'backup', 'src', '--repo', 'repo', '--key', 'a.key', '--parent', 'none').chunksNew, 0);
  json(0, 'restore', `repo::latest::${work}/src`, 'out', '--key', 'a.key');
  assert.deepEqual(fs.readFileSync(path.join(work, 'out/file')), fs.readFileSync(path.join(work, 'src/file')));
  json(0, 'check', 'repo', '--read-data', '--key', 'a.key');
  json(0, 'gc', 'repo', '--key', 'a.key');
  for (const more of [[], ['--key', 'wrong.key']]) {
    for (const verb of [['snapshots', 'repo'], ['ls', 'repo::latest'], ['backup', 'src', '--repo', 'repo']]) {
      const { code, err } = run(...verb, ...more);
      assert.equal(code, 2, err);
      assert.match(err, more.length === 0 ? /Give a key or passphrase.*\(key, "office"\)/ : /no slot opens with key 'wrong\.key'.*\(key, "office"\)/);
    }
  }
  assert.match(run('snapshots', 'repo', '--key', 'wrong.key').err, /can be read by others \(mode 0644\)/);
});

test('a key for a repository in the clear is refused where it can be for nothing else', () => {
  json(0, 'init', 'plain');
  assert.match(run('backup', 'src', '--repo', 'plain', '--key', 'a.key').err, /it is not encrypted/);
  assert.match(run('snapshots', 'plain', '--key', 'a.key').err, /it is not encrypted/);
  json(0, 'backup', 'src', '--repo', 'plain');
  json(0, 'ls', 'plain::latest', '--key', 'a.key');
});

test('the index is built again without a key', () => {
  const result = json(0, 'check', 'repo', '--rebuild-index') as unknown as { ok: boolean; checked: boolean; rebuilt: { chunks: number } };
  assert.deepEqual([result.ok, result.checked], [true, false]);
  assert.ok(result.rebuilt.chunks > 0);
  json(0, 'check', 'repo', '--read-data', '--key', 'a.key');
});

test('key list, add, remove and rotate', () => {
  type Slots = { slots: { id: string; kind: string; label: string }[] };
  const [first] = (json(0, 'key', 'list', 'repo') as unknown as Slots).slots;
  assert.deepEqual([first?.kind, first?.label], ['key', 'office']);
  assert.equal(run('key', 'remove', 'repo', first?.id ?? '', '--key', 'a.key').code, 2);
  const [second] = (json(0, 'key', 'add', 'repo', '--key', 'a.key', '--new-key', 'b.key') as unknown as Slots).slots;
  const [third] = (json(0, 'key', 'add', 'repo', '--key', 'b.key', '--new-key-cmd', 'printf "%s\\n" "correct horse"', '--label', 'safe') as unknown as Slots).slots;
  assert.deepEqual([second?.kind, third?.kind], ['key', 'passphrase']);
  assert.equal((json(0, 'snapshots', 'repo', '--key-cmd', 'printf "correct horse"').snapshots).length, 2);
  assert.match(run('snapshots', 'repo', '--key-cmd', 'printf wrong').err, /no slot opens with passphrase 'of --key-cmd'/);
  json(0, 'key', 'rotate', 'repo', '--key', 'b.key', '--cipher', 'chacha20-poly1305');
  json(0, 'key', 'remove', 'repo', (first?.id ?? '').slice(0, 9), '--key', 'b.key');
  assert.equal(run('snapshots', 'repo', '--key', 'a.key').code, 2);
  fs.writeFileSync(path.join(work, 'src/later'), 'written under the second data key\n');
  json(0, 'backup', 'src', '--repo', 'repo', '--key', 'b.key');
  json(0, 'key', 'rotate', 'repo', '--key', 'b.key', '--new-root', '--new-key', 'a.key');
  assert.equal(run('snapshots', 'repo', '--key', 'b.key').code, 2);
  json(0, 'check', 'repo', '--read-data', '--key', 'a.key');
  assert.equal((json(0, 'key', 'list', 'repo') as unknown as Slots).slots.length, 1);
  assert.equal(run('key', 'sing', 'repo').code, 2);
  assert.equal(run('key', 'rotate', 'repo', '--key', 'a.key', '--new-key', 'b.key').code, 2);
});
