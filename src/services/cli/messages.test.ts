/** What people read: tables of volumes and repositories, remarks on keys and patterns, wrong use. JSON is tested elsewhere. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commandIn, type Command } from '../testing/command.ts';

const testdata = fileURLToPath(new URL('../../../../src/formats/bacula/testdata/', import.meta.url));
const accurate = path.join(testdata, 'accurate-deleted/volumes/accurate-0002');
const files = path.join(testdata, 'encrypted/volumes');
const volume = path.join(testdata, 'b15-volume-encrypted/volumes');
const volumeKey = path.join(testdata, 'b15-volume-encrypted/volume-key.txt');
const clientKey = path.join(testdata, 'keys/fd.pem');

let work = '';
let run: Command['run'];

function keyFile(name: string, text: string): string {
  fs.writeFileSync(path.join(work, name), text);
  return name;
}

before(() => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-messages-')));
  ({ run } = commandIn(work));
  fs.mkdirSync(path.join(work, 'src'));
  fs.writeFileSync(path.join(work, 'src/note.txt'), 'text\n');
  fs.writeFileSync(path.join(work, 'src/page'), 'p');
  assert.equal(run('init', 'repo').code, 0);
  assert.equal(run('backup', 'src', '--repo', 'repo', '--tag', 'first').code, 0);
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

describe('overviews', () => {
  test('ls of a volume shows each job with level, status, counts and time', () => {
    const [head, ...lines] = run('ls', accurate).out.trimEnd().split('\n');
    assert.match(head ?? '', /^STEP +JOB +CLIENT +TYPE +LEVEL +STATUS +FILES +SIZE +STARTED \(UTC\)$/);
    assert.deepEqual(lines.map((line) => line.split(/ {2,}/)).map(([step, , , type, , status]) => [step, type, status]), ['job=3', 'job=4', 'job=5'].map((step) => [step, 'Backup', 'OK']));
    assert.match(lines[0] ?? '', /Full +OK +\d+ +[\d.]+ [kM]?B +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  });

  test('ls of a repository shows each snapshot under its whole id', () => {
    assert.match(run('ls', 'repo').out, /^[0-9a-f]{64} {2}\S+Z {2}\S+ {2}2 files {2}6 B {2}\S+\/src \[first\]\n$/);
  });

  test('info is readable: no JSON, times as dates, jobs in a table', () => {
    const { out } = run('info', accurate);
    assert.doesNotMatch(out, /[{}"]/);
    assert.match(out, /^bacula$/m);
    assert.match(out, /^ {4}job=4 /m);
    assert.match(run('info', `${accurate}::job=3`).out, /^ {2}started +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/m);
    assert.match(run('info', 'repo::latest').out, /^ {2}counts bytes +6 B$/m);
  });
});

describe('keys that fit nothing are named', () => {
  test('for encrypted files', () => {
    const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const locked = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }) as string;
    const restore = (key: string) => run('restore', files, `out-${path.basename(key)}`, '--key', key);
    assert.match(restore(keyFile('foreign.pem', foreign)).err, /keys that do not fit: 'foreign\.pem'/);
    assert.match(restore(keyFile('locked.pem', locked)).err, /key 'locked\.pem' opens nothing: it is protected by a passphrase/);
    assert.match(restore(keyFile('broken.pem', `${foreign.slice(0, 200)}${foreign.slice(300)}`)).err, /key 'broken\.pem' opens nothing: its PEM cannot be read/);
    assert.match(restore(keyFile('note', 'secret')).err, /key 'note' opens nothing here: it is neither/);
    const [pem = ''] = /-----BEGIN CERTIFICATE-----[^]*-----END CERTIFICATE-----\n/.exec(fs.readFileSync(clientKey, 'utf8')) ?? [];
    const certificate = restore(keyFile('fd.crt', pem));
    assert.match(certificate.err, /key 'fd\.crt' opens nothing: it is a certificate/);
    assert.equal(certificate.code, 1);
    assert.doesNotMatch(restore(clientKey).err, /key/);
  });

  test('for encrypted volumes', () => {
    const text = fs.readFileSync(volumeKey, 'utf8');
    const list = (key: string) => run('ls', volume, '--key', key);
    assert.match(list(keyFile('other', text.replace(/volume_name.*/, 'volume_name: Vol-9').replace('cipher_key: ', 'cipher_key: AA').replace('PEWc', 'PE'))).err, /key 'other' opens nothing here: it is for volume 'Vol-9', not for 'enc-0007'/);
    assert.match(list(keyFile('wrong', text.replace('cipher_key: 1', 'cipher_key: 2'))).err, /key 'wrong' does not decrypt it/);
    assert.match(list(clientKey).err, /key '.*fd\.pem' is a private key, which opens files, not volumes/);
    assert.equal(list(volumeKey).err, '');
  });

  test('a thousand files without their key are not a thousand lines', () => {
    const { err } = run('restore', files, 'none');
    assert.equal(err.trimEnd().split('\n').length, 4);
    assert.match(err, /and \d+ more entries: Decrypt content: no private key was given/);
  });
});

test('patterns that match nothing are told; the exit code stays 0', () => {
  const restored = run('restore', 'repo::latest', 'some', '--include', '*.txt', '--include', '*.doc', '--exclude', 'nowhere');
  assert.equal(restored.code, 0);
  assert.match(restored.err, /pattern '\*\.doc' matches nothing/);
  assert.match(restored.err, /pattern 'nowhere' matches nothing/);
  assert.doesNotMatch(restored.err, /'\*\.txt'/);
  const stored = run('backup', 'src', '--repo', 'repo', '--exclude', '*.tmp', '--exclude', 'note*');
  assert.equal(stored.code, 0);
  assert.match(stored.err, /pattern '\*\.tmp' matches nothing in the sources/);
  assert.doesNotMatch(stored.err, /note/);
});

test('a pattern for something inside a selected directory has matched', () => {
  assert.equal(run('backup', 'src', '--repo', 'repo').code, 0);
  assert.equal(run('restore', 'repo::latest', 'inside', '--include', 'src', '--include', 'note.txt').err, '');
});

test('a missing and an unknown verb are told with the verbs there are', () => {
  for (const [words, message] of [[[], /a verb is missing, the verbs are init, backup,/], [['nope'], /there is no verb 'nope', the verbs are init/], [['help', 'nope'], /Show help: there is no verb 'nope'/]] as const) {
    const { code, out, err } = run(...words);
    assert.equal(code, 2);
    assert.match(err, message);
    assert.equal(out, '');
    assert.equal(err.split('\n').length, 3, 'the message and where to find help');
  }
  assert.match(run('help', 'restore').out, /^Usage: holdfast restore/);
  assert.match(run('help').out, /Exit codes/);
});

test('where the words or options are wrong the help of the verb is named, elsewhere the message says what to do', () => {
  const last = (...words: readonly string[]): string | undefined => run(...words).err.trimEnd().split('\n').at(-1);
  assert.equal(last('ls', 'src', '--no-such-option'), "Try 'holdfast help ls'.");
  assert.equal(last('cat', 'src/note.txt', '--length', 'x'), "Try 'holdfast help cat'.");
  assert.equal(last('nope'), "Try 'holdfast help'.");
  assert.equal(last('help', 'nope'), "Try 'holdfast help'.");
  for (const words of [['check', 'src'], ['init', 'new', '--label', 'x'], ['ls', 'holdfast://host']]) {
    const { code, err } = run(...words);
    assert.deepEqual([code, err.trimEnd().split('\n').length], [2, 1], err);
  }
});

test('what must run beside the repository says where, exit code 2, also without a key of the wire', () => {
  for (const words of [['check'], ['check', '--repair'], ['gc'], ['forget', '--keep-last', '1'], ['init'], ['clone', 'repo'], ['key', 'list']]) {
    const { code, err } = run(...words, 'holdfast://host/x');
    assert.equal(code, 2, `${words.join(' ')}: ${err}`);
    assert.match(err, /run the same command on the daemon's host, with the directory or bucket that its configuration names \('repository:'\) instead of 'holdfast:\/\/host\/x'\n$/);
  }
});
