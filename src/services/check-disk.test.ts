/**
 * `check` of disks. It once read the container and said "no damage found", whatever the filesystems in it looked like. Now each part is told with what was looked
 * at; damage in a filesystem is found behind its container, and what no key opens keeps the exit code from being 0.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import type { CheckedPart } from './check-disk.ts';
import { fixture } from '../formats/partitions/testdata/fixture.ts';
import { guestsDisk } from './guests/testdata/fixture.ts';
import { commandIn } from './testing/command.ts';

const work = mkdtempSync(path.join(tmpdir(), 'holdfast-check-disk-'));
const command = commandIn(work);

interface Report {
  readonly ok: boolean;
  readonly problems: readonly { readonly kind: string; readonly where: string; readonly message: string }[];
  readonly errors: readonly { readonly path: string; readonly code: string }[];
  readonly parts: readonly CheckedPart[];
  readonly files: number;
}

before(async () => {
  const disk = await guestsDisk();
  writeFileSync(path.join(work, 'guests'), disk);
  // Without the volume that nobody can open, a check can end with 0.
  const at = Buffer.from(disk).indexOf('-FVE-FS-');
  assert.ok(at > 0);
  const open = disk.slice();
  open.fill(0, at, at + 8);
  writeFileSync(path.join(work, 'open'), open);
  // The length of a directory entry: of the names in the filesystem, not of the text in files.
  const damaged = Buffer.from(open);
  const entry = damaged.indexOf(Buffer.from([8, 7, ...Buffer.from('hostname')])) - 2; // a symbolic link
  damaged.writeUInt16LE(3, entry);
  writeFileSync(path.join(work, 'damaged'), damaged);
  for (const name of ['open', 'damaged']) assert.equal(command.run('convert', `raw:${name}`, '--to', 'qcow2', `${name}.qcow2`).code, 0);
  writeFileSync(path.join(work, 'luks'), await fixture('luks1-0'));
});
after(() => { rmSync(work, { recursive: true }); });

function check(code: number, ...words: readonly string[]): Report {
  return command.json(code, 'check', ...words) as unknown as Report;
}

test('a sound image: its container, each filesystem by its names, and with --read-data by its content', () => {
  const names = check(0, 'open.qcow2');
  assert.deepEqual(names.parts.map(({ location, type, holds, checked, files, bytes }) => [location, holds ?? type, checked, files, bytes !== undefined]), [
    ['open.qcow2', 'qcow2 container', 'content', undefined, true], ['open.qcow2::p1', 'ext4', 'metadata', 3, false], ['open.qcow2::p2', 'NTFS 3.1', 'metadata', 2, false],
    ['open.qcow2::p3', 'swap', 'nothing', undefined, false], ['open.qcow2::p4', names.parts[4]?.type, 'nothing', undefined, false],
  ]);
  const all = check(0, 'open.qcow2', '--read-data');
  assert.deepEqual(all.parts.slice(1, 3).map(({ checked, files }) => [checked, files]), [['content', 3], ['content', 2]]);
  assert.ok((all.parts[1]?.bytes ?? 0) > 100);
  const { out } = command.run('check', 'open.qcow2');
  assert.match(out, /^disk +qcow2 container +7\.34 MB +all bytes read$/m);
  assert.match(out, /^::p1 +ext4 +1\.05 MB +3 files, 5 directories: names, attributes and maps read, content only with --read-data$/m);
  assert.match(out, /^::p4 .* not checked: nothing that is known is on it$/m);
});

test('damage in a filesystem is found from its image, its partition and its root, with the place', () => {
  for (const location of ['damaged.qcow2', 'damaged', 'damaged.qcow2::p1', 'damaged::p1::/']) {
    const { ok, problems } = check(1, location);
    assert.ok(!ok && problems.length > 0, location);
    if (!location.endsWith('/')) assert.ok(problems.some(({ where }) => where.startsWith(`${location.replace('::p1', '')}::p1`)), `${location}: ${JSON.stringify(problems)}`);
  }
});

test('what no key opens was not checked: exit code 3, and 0 with its key', () => {
  const { ok, errors, parts } = check(3, 'guests');
  assert.deepEqual([ok, errors.map(({ path: where, code }) => [where, code])], [true, [['guests::p4', 'LOCKED']]]);
  assert.match(parts[4]?.why ?? '', /^encrypted/);
  assert.deepEqual(check(3, 'luks').errors.map(({ path: where }) => where), ['luks::luks']);
  writeFileSync(path.join(work, 'key'), 'lab secret');
  assert.deepEqual(check(0, 'luks', '--key', 'key').errors, []);
});

test('a file that is no disk is still refused', () => {
  writeFileSync(path.join(work, 'text'), 'nothing\n');
  const { code, err } = command.run('check', 'text');
  assert.equal(code, 2);
  assert.match(err, /plain files; only a repository, Bacula volumes or a disk/);
});
