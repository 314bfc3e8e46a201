/** Hives: one that hivex wrote, each kind of list, and bytes that are none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, HoldfastError, MemorySource, UnsupportedError } from '../../core/index.ts';
import { baseBlockChecksum, baseBlockLayout } from './hive.layout.ts';
import { openHive, type RegistryHive } from './hive.ts';
import { madeHive } from './testdata/fixture.ts';
import { hiveBytes } from './testing/hive-writer.ts';

const currentVersion = 'Microsoft\\Windows NT\\CurrentVersion';

function open(bytes: Uint8Array): Promise<RegistryHive> {
  return openHive(new MemorySource(bytes));
}

/** The same bytes with another field of the base block, and the checksum that fits. */
function changed(bytes: Uint8Array, field: keyof typeof baseBlockLayout.offsets, value: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const data = new DataView(copy.buffer);
  data.setUint32(baseBlockLayout.offsets[field], value, true);
  data.setUint32(baseBlockLayout.offsets.checksum, baseBlockChecksum(copy), true);
  return copy;
}

test('values of a hive that hivex wrote', async () => {
  const hive = await open(await madeHive());
  assert.equal(await hive.value(currentVersion, 'ProductName'), 'Windows Server 2022 Standard');
  assert.equal(await hive.value(currentVersion.toLowerCase(), 'PRODUCTNAME'), 'Windows Server 2022 Standard', 'case does not count');
  assert.equal(await hive.value(currentVersion, 'UBR'), 0x82c);
  assert.equal(await hive.value(currentVersion, 'Empty'), '');
  assert.equal(await hive.value(currentVersion, 'DigitalProductId'), undefined, 'neither text nor number');
  assert.equal(await hive.value('ControlSet002\\Control\\ComputerName\\ComputerName', 'ComputerName'), 'DC01');
  assert.equal(await hive.value('Many\\key 0999', 'x'), undefined);
  assert.equal(await hive.value('Microsoft', 'x'), undefined);
});

test('each kind of list, other letters, and a hive that was being written', async () => {
  for (const list of ['lf', 'lh', 'li', 'ri'] as const) {
    const keys = Object.fromEntries(['one', 'Two', 'THREE', 'Schlüssel', '鍵'].map((name, i) => [name, { values: { here: `${name} text`, number: i } }]));
    const hive = await open(hiveBytes({ keys: { top: { list, keys } } }, { dirty: list === 'li' }));
    assert.equal(hive.dirty, list === 'li');
    for (const [i, name] of Object.keys(keys).entries()) {
      assert.equal(await hive.value(`top\\${name}`, 'HERE'), `${name} text`, list);
      assert.equal(await hive.value(`TOP\\${name}`, 'number'), i, list);
    }
  }
});

test('values longer than a cell are refused, not cut', async () => {
  const hive = await open(hiveBytes({ keys: { k: { values: { long: 'x'.repeat(9_000), near: 'y'.repeat(8_000) } } } }));
  await assert.rejects(hive.value('k', 'long'), UnsupportedError);
  assert.equal(await hive.value('k', 'near'), 'y'.repeat(8_000));
});

test('what is no hive, or not a whole one, says so', async () => {
  const bytes = hiveBytes({ keys: { k: { values: { v: 'text' } } } });
  const wrong: readonly (readonly [string, Uint8Array])[] = [
    ['signature', new Uint8Array(8_192)], ['size', bytes.subarray(0, 100)], ['checksum', Uint8Array.from(bytes, (byte, i) => (i === 200 ? 1 : byte))], ['hive_bins_size', bytes.subarray(0, 5_000)],
    ['hive_bins_size', changed(bytes, 'hive_bins_size', 0xffff_f000)], ['first hbin', Uint8Array.from(bytes, (byte, i) => (i === 4_096 ? 0 : byte))],
  ];
  for (const [field, one] of wrong) await assert.rejects(open(one), (error: Error) => error instanceof FormatError && error.fault.field === field, field);
  await assert.rejects(open(changed(bytes, 'major_version', 2)), UnsupportedError);
  for (const root of [0xffff_ffff, 0, 33, 4_088]) await assert.rejects((await open(changed(bytes, 'root_cell', root))).value('k', 'v'), FormatError, String(root));
});

test('a list of lists that leads to itself ends', async () => {
  const bytes = hiveBytes({ keys: { top: { list: 'ri', keys: { a: {}, b: {} } } } });
  const at = Buffer.from(bytes).indexOf('ri');
  new DataView(bytes.buffer).setUint32(at + 4, at - 4 - 4_096, true);
  await assert.rejects((await open(bytes)).value('top\\b', 'v'), FormatError);
});

test('changed bytes give the value, none, or a documented error, and never hang', async () => {
  const good = hiveBytes({ keys: { Microsoft: { list: 'ri', keys: { 'Windows NT': { list: 'lf', keys: { CurrentVersion: { values: { ProductName: 'Windows', UBR: 7 } } } }, Other: { list: 'li', keys: { x: {} } } } } } });
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(1_400), fc.nat(255)), { minLength: 1, maxLength: 6 }), async (changes) => {
    const bytes = Uint8Array.from(good);
    for (const [at, byte] of changes) bytes[4_096 + at] = byte;
    try {
      const hive = await open(bytes);
      for (const name of ['ProductName', 'UBR']) assert.ok(['string', 'number', 'undefined'].includes(typeof await hive.value(currentVersion, name)));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  }), { numRuns: 500 });
});
