/** Bacula volumes through the command line: the real volumes that the sources carry, compared with manifests of the original files. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commandIn, type Command, type Item } from '../testing/command.ts';

const testdata = fileURLToPath(new URL('../../../../src/formats/bacula/testdata/', import.meta.url));
const special = path.join(testdata, 'special-files/volumes');
const accurate = path.join(testdata, 'accurate-deleted/volumes/accurate-0002');

interface Original {
  readonly path: string;
  readonly path_b64?: string;
  readonly type: string;
  readonly size: number;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly nlink: number;
  readonly md5?: string;
  readonly target?: string;
  readonly rdev?: readonly number[];
}

type Listed = Item & { readonly size: number; readonly mode: number; readonly uid: number; readonly gid: number; readonly mtime: number; readonly nlink: number; readonly md5?: string; readonly rdev?: readonly number[] };

let work = '';
let command: Command;
before(() => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-volumes-')));
  command = commandIn(work);
  command.json(0, 'init', 'repo');
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

function originals(file: string): readonly Original[] {
  return fs.readFileSync(path.join(testdata, file), 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Original);
}

function keyOf(text: string, base64: string | undefined): string {
  return base64 === undefined ? Buffer.from(text).toString('hex') : Buffer.from(base64, 'base64').toString('hex');
}

/** Every original but sockets (Bacula leaves them out) is listed with the same metadata and content. */
function assertListed(entries: readonly Item[], manifest: string): void {
  const listed = new Map((entries as readonly Listed[]).map((entry) => [keyOf(entry.path, entry.pathBase64), entry]));
  for (const original of originals(manifest).filter((one) => one.type !== 'sock')) {
    const entry = listed.get(keyOf(original.path, original.path_b64));
    assert.ok(entry !== undefined, `${original.path} is listed`);
    const { type, mode, uid, gid, mtime, target, rdev } = original;
    assert.deepEqual({ ...entry, mode: type === 'symlink' ? 0 : entry.mode }, {
      ...entry, type, uid, gid, mtime, mode: type === 'symlink' ? 0 : Number(mode),
      ...(target === undefined ? {} : { target }), ...(rdev === undefined ? {} : { rdev }),
      ...(type === 'file' ? { size: original.size, md5: original.md5, nlink: original.nlink } : {}),
    }, original.path);
  }
}

describe('volumes as locations', () => {
  test('a volume, and a directory of volumes, show their jobs', () => {
    assert.deepEqual(command.json(0, 'ls', accurate).entries.map(({ path: name, type }) => [name, type]), [['/job=3', 'dir'], ['/job=4', 'dir'], ['/job=5', 'dir']]);
    assert.deepEqual(command.json(0, 'ls', special).entries.map((one) => one.path), ['/job=12']);
    const { layers } = command.json(0, 'info', special);
    assert.deepEqual(layers.map((one) => one.layer), ['host', 'bacula']);
    assert.equal(command.json(0, 'check', special, '--read-data').ok, true);
  });

  test('a job and a chain of jobs have every original', () => {
    assertListed(command.json(0, 'ls', '-R', `${special}::job=12`, '--digest', 'md5').entries, 'special-files/manifest-special.jsonl');
    assertListed(command.json(0, 'ls', '-R', `${accurate}::job=3`, '--digest', 'md5').entries, 'accurate-deleted/manifest-acc-at-full.jsonl');
    const chain = command.json(0, 'ls', '-R', `${accurate}::jobs=3+4+5`, '--digest', 'md5').entries;
    assertListed(chain, 'accurate-deleted/manifest-acc.jsonl');
    const files = originals('accurate-deleted/manifest-acc.jsonl').filter((one) => one.type === 'file');
    assert.equal(chain.filter((one) => one.type === 'file').length, files.length, 'what was deleted is gone');
  });

  test('through the store and back nothing changes, and the second time nothing is new', () => {
    const location = `${special}::job=12`;
    assert.deepEqual(command.json(0, 'backup', location, '--repo', 'repo').errors, []);
    assert.equal(command.json(0, 'backup', location, '--repo', 'repo', '--parent', 'none').chunksNew, 0);
    assertListed(command.json(0, 'ls', '-R', 'repo::latest', '--digest', 'md5').entries, 'special-files/manifest-special.jsonl');
    assert.deepEqual(command.json(0, 'diff', 'repo::latest', location), { added: [], removed: [], changed: [], errors: [] });
  });

  test('a volume inside a snapshot opens in place', () => {
    command.json(0, 'backup', accurate, special, '--repo', 'repo');
    const [original] = originals('accurate-deleted/manifest-acc-at-full.jsonl').filter((one) => one.type === 'file' && one.size > 0);
    assert.ok(original !== undefined);
    const { contentBase64 } = command.json(0, 'cat', `repo::latest::${accurate}::job=3::${original.path}`);
    assert.equal(createHash('md5').update(Buffer.from(contentBase64, 'base64')).digest('hex'), original.md5);
    assert.deepEqual(command.json(0, 'ls', `repo::latest::${special}::job=12`).entries.map((one) => one.path), ['/tmp']);
  });

  test('exclusions hold for jobs too', () => {
    command.json(0, 'backup', `${accurate}::job=3`, '--repo', 'repo', '--exclude', '*.dat');
    const names = command.json(0, 'ls', '-R', 'repo::latest').entries.map((one) => one.path);
    assert.ok(names.some((name) => name.endsWith('.txt')) && !names.some((name) => name.endsWith('.dat')));
  });
});

describe('volumes that can\'t be read as they should', () => {
  test('several jobs need a choice; a plain file and an unknown job say so', () => {
    assert.match(command.run('restore', accurate, 'x').err, /'job=3', 'job=4', 'job=5'/);
    assert.equal(command.json(2, 'restore', accurate, 'x').error.code, 'USAGE');
    assert.equal(command.json(1, 'ls', `${accurate}::job=99`).error.code, 'NOT_FOUND');
    assert.equal(command.json(2, 'ls', `${fileURLToPath(import.meta.url)}::job=1`).error.code, 'USAGE');
  });

  test('damage is found with its place, and what it touches is not restored as good', () => {
    const bytes = fs.readFileSync(accurate);
    bytes[700_000] = (bytes[700_000] ?? 0) ^ 1;
    fs.writeFileSync(path.join(work, 'flipped'), bytes);
    const { ok, problems } = command.json(1, 'check', 'flipped');
    assert.equal(ok, false);
    const checksum = problems.find((one) => one.kind === 'bad-checksum');
    assert.match(checksum?.where ?? '', /volume 'flipped', block \d+, offset \d+/);
    const { errors } = command.json(3, 'restore', 'flipped::job=3', 'damaged');
    assert.ok(errors.length > 0);
    for (const original of originals('accurate-deleted/manifest-acc-at-full.jsonl').filter((one) => one.type === 'file')) {
      const file = path.join(work, 'damaged', original.path);
      if (fs.existsSync(file)) assert.equal(createHash('md5').update(fs.readFileSync(file)).digest('hex'), original.md5, original.path);
    }
    assert.equal(command.json(3, 'backup', 'flipped::job=3', '--repo', 'repo').errors.length > 0, true);
  });

  test('a missing key is one error per volume or file, never content', () => {
    const crypt = path.join(testdata, 'encrypted/volumes');
    assert.equal(command.json(1, 'restore', crypt, 'clear').files, 1, 'the one empty file');
    const key = path.join(testdata, 'keys/fd.pem');
    assertListed(command.json(0, 'ls', '-R', `${crypt}::job=21`, '--digest', 'md5', '--key', key).entries, 'encrypted/manifest-small.jsonl');
    const volume = path.join(testdata, 'b15-volume-encrypted/volumes');
    assert.match(command.run('ls', volume).err, /no key/);
    assert.equal(command.run('ls', volume).code, 1);
    assert.deepEqual(command.json(0, 'ls', volume, '--key-cmd', `cat '${path.join(testdata, 'b15-volume-encrypted/volume-key.txt')}'`).entries.length, 1);
  });

  test('names in ACLs can be given ids', () => {
    const acl = path.join(testdata, 'b15-acl-xattr/volumes::job=9::/tmp/r/bacula/trees/pub15/aclx/acl/file1');
    const withId = (id: number): string => JSON.stringify(command.json(0, 'stat', acl, '--map-user', `cloudsdk=${id}`, '--map-user', 'nobody=65534', '--map-group', 'users=100').entries);
    assert.notEqual(withId(1000), withId(1001));
    assert.equal(command.json(2, 'stat', acl, '--map-user', 'nonsense').error.code, 'USAGE');
  });
});
