/** Disk images from the command line: what is in them, their bytes, chains, damage, and new images made from them. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { fixture } from '../formats/images/testdata/fixture.ts';
import { commandIn } from './testing/command.ts';

const work = mkdtempSync(path.join(tmpdir(), 'holdfast-images-'));
const command = commandIn(work);

before(async () => {
  for (const name of ['zstd.qcow2', 'base.qcow2', 'child.qcow2', 'snapshot.qcow2', 'flat.vmdk', 'flat-flat.vmdk', 'dynamic.vhdx', 'disk.raw']) writeFileSync(path.join(work, name), await fixture(name));
});
after(() => { rmSync(work, { recursive: true }); });

function disk(location: string): Buffer {
  return Buffer.from(command.json(0, 'cat', location).contentBase64, 'base64');
}

test('cat gives the disk in an image, with the files that it names, in a snapshot, or inside a directory', async () => {
  for (const [location, raw] of [
    ['zstd.qcow2', 'disk.raw'], ['child.qcow2,base.qcow2', 'child.raw'], ['flat.vmdk,flat-flat.vmdk', 'disk.raw'], ['snapshot.qcow2', 'snapshot.raw'], ['snapshot.qcow2::snapshot=before', 'disk.raw'],
    ['.::/dynamic.vhdx::disk', 'disk.raw'], ['.::vhdx:/dynamic.vhdx', 'disk.raw'], ['disk.raw', 'disk.raw'],
  ] as const) assert.ok(disk(location).equals(Buffer.from(await fixture(raw))), location);
  assert.ok(disk('raw:zstd.qcow2').equals(readFileSync(path.join(work, 'zstd.qcow2'))), 'raw: is the file itself');
  assert.ok(disk('.::/zstd.qcow2').equals(readFileSync(path.join(work, 'zstd.qcow2'))), 'a path is the file that it is');
  const content = `QED\0${'q'.repeat(600)}`;
  writeFileSync(path.join(work, 'own.qed'), content);
  const { code, out, err } = command.run('cat', 'own.qed');
  assert.deepEqual([code, out], [0, content]);
  assert.match(err, /not read \('qed'\): these are the bytes of the file/);
});

test('info tells the layer and its geometry; a name in an image is not followed', () => {
  const { layers } = command.json(0, 'info', 'zstd.qcow2');
  assert.deepEqual(layers.map(({ layer }) => layer), ['host', 'image']);
  assert.equal(command.json(1, 'info', 'child.qcow2').error.code, 'NOT_FOUND');
  assert.equal(command.json(2, 'cat', 'disk.raw::disk').error.code, 'USAGE');
});

test('a damaged image fails, and check says so', async () => {
  writeFileSync(path.join(work, 'cut.qcow2'), (await fixture('base.qcow2')).subarray(0, 1 << 20));
  assert.equal(command.json(1, 'cat', 'cut.qcow2').error.code, 'FORMAT');
  assert.ok(command.json(1, 'check', 'cut.qcow2').problems.length > 0);
  assert.equal(command.json(0, 'check', 'zstd.qcow2').ok, true);
});

test('convert writes a disk in another format, never over a file, and leaves nothing behind when it fails', async () => {
  for (const format of ['raw', 'vhdx', 'vdi']) {
    command.json(0, 'convert', 'child.qcow2,base.qcow2', '--to', format, `new.${format}`);
    assert.ok(disk(`new.${format}`).equals(Buffer.from(await fixture('child.raw'))), format);
  }
  assert.equal(command.json(2, 'convert', 'zstd.qcow2', '--to', 'vdi', 'new.vdi').error.code, 'USAGE');
  assert.equal(command.json(2, 'convert', 'zstd.qcow2', '--to', 'qed', 'new.qed').error.code, 'USAGE');
  writeFileSync(path.join(work, 'a.qed'), `QED\0${'\0'.repeat(4_096)}`);
  assert.match(command.run('convert', 'a.qed', '--to', 'raw', 'new-qed.raw').err, /QED images are recognised and not read/);
  writeFileSync(path.join(work, 'short.qcow2'), (await fixture('base.qcow2')).subarray(0, 1 << 20));
  assert.equal(command.json(1, 'convert', 'short.qcow2', '--to', 'raw', 'short.raw').error.code, 'FORMAT');
  assert.ok(!existsSync(path.join(work, 'short.raw')) && !readdirSync(work).some((name) => name.endsWith('.partial')));
});
