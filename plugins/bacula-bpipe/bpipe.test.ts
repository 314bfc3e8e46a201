/** Receipts and settings that are right and wrong, and notes of jobs. What real daemons do: lab, scenario `bacula-bpipe`. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { HoldfastError, IntegrityError, NotFoundError, UsageError } from '../../src/core/index.ts';
import { encodeDocument } from '../../src/engine/objects/index.ts';
import { Ledger } from './ledger.ts';
import { decodeReceipt, demandSame, encodeReceipt, type Receipt } from './receipt.ts';
import { overwriteOf } from './restore.ts';
import { parseSettings, readSettings } from './settings.ts';

const receipt: Receipt = {
  repository: 'ab'.repeat(32), snapshot: 'cd'.repeat(32), kind: 'tree', sources: ['/etc', '/srv/a b'], time: 1_790_000_000_000, files: 3, directories: 2, others: 1, bytes: 4096, problems: 0,
};
let work = '';
before(() => { work = mkdtempSync(path.join(tmpdir(), 'holdfast-bpipe-test-')); });
after(() => { rmSync(work, { recursive: true }); });

test('a receipt comes back as it was', () => {
  assert.deepEqual(decodeReceipt(encodeReceipt(receipt)), receipt);
  demandSame(receipt, { ...receipt });
  assert.throws(() => { demandSame(receipt, { ...receipt, bytes: 4097 }); }, IntegrityError);
});

test('no cut or changed receipt is taken for one', () => {
  const bytes = encodeReceipt(receipt);
  for (let length = 0; length < bytes.length; length += 1) assert.throws(() => decodeReceipt(bytes.subarray(0, length)), HoldfastError, `cut to ${length}`);
  fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
    const changed = bytes.slice();
    changed[at] = (changed[at] as number) ^ flip;
    assert.throws(() => decodeReceipt(changed), HoldfastError);
  }));
  assert.throws(() => decodeReceipt(new Uint8Array([...bytes, 10])), HoldfastError);
});

test('a receipt with a right digest and a wrong field is refused', () => {
  for (const wrong of [{ snapshot: 'cd' }, { snapshot: 1 }, { kind: 'other' }, { sources: [] }, { sources: [''] }, { sources: '/etc' }, { files: -1 }, { bytes: 1.5 }, { time: '1' }]) {
    assert.throws(() => decodeReceipt(encodeDocument({ kind: 'receipt', version: 1 }, { ...receipt, ...wrong })), HoldfastError, JSON.stringify(wrong));
  }
  assert.throws(() => decodeReceipt(encodeDocument({ kind: 'receipt', version: 2 }, receipt)), /newer holdfast/);
  assert.throws(() => decodeReceipt(encodeDocument({ kind: 'manifest', version: 1 }, receipt)), HoldfastError);
});

test('settings: paths begin at the file, unknown keys and wrong types are named, nobody else may change the file', () => {
  const settings = parseSettings('repository: repo\nstate: /var/state\nkeys: [a.key]\n', '/etc/holdfast/bpipe.yaml');
  assert.deepEqual([settings.repository, settings.state, settings.keys], ['/etc/holdfast/repo', '/var/state', ['/etc/holdfast/a.key']]);
  assert.equal(parseSettings('repository: holdfast://h:9104\nstate: s\n', '/e/f').repository, 'holdfast://h:9104');
  assert.throws(() => parseSettings('repository: r\nstate: s\nrepo: x\n', 'f'), /repo/);
  assert.throws(() => parseSettings('state: s\n', 'f'), /repository/);
  for (const text of ['', '[', 'repository: 1\nstate: s', '- a']) assert.throws(() => parseSettings(text, 'f'), UsageError, text);
  const file = path.join(work, 'settings.yaml');
  writeFileSync(file, 'repository: r\nstate: s\n');
  assert.equal(readSettings(file).state, path.join(work, 's'));
  chmodSync(file, 0o666);
  assert.throws(() => readSettings(file), /others may change/);
  assert.throws(() => readSettings(path.join(work, 'none')), /ENOENT/);
});

test('notes belong to one job, and a job that is over gets none', () => {
  const ledger = new Ledger(path.join(work, 'state'));
  assert.equal(ledger.current(), undefined);
  assert.throws(() => ledger.of('a.1'), NotFoundError);
  ledger.begin('a.1');
  const early = ledger.current();
  early?.receipt(encodeReceipt(receipt));
  early?.failure('no room');
  assert.deepEqual(ledger.of('a.1').receipts(), [encodeReceipt(receipt)]);
  assert.deepEqual(ledger.of('a.1').failures(), ['no room']);
  ledger.begin('a.2');
  early?.receipt(encodeReceipt(receipt)); // a reader that outlived its job
  assert.deepEqual([ledger.of('a.2').receipts(), ledger.of('a.2').failures()], [[], []]);
  assert.throws(() => ledger.of('a.1'), NotFoundError);
});

test("Bacula's letters for replace", () => {
  assert.deepEqual([overwriteOf('a'), overwriteOf('n')], ['always', 'never']);
  assert.throws(() => overwriteOf('w'), UsageError);
});
