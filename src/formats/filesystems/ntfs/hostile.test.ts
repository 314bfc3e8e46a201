/** Damage with a name: the error says which structure and field; spare copies are used; and mutated volumes never do anything but fail in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, HoldfastError, IntegrityError, LimitError, lookupPath, MemorySource, type NodeId, readRange, textOf, utf8 } from '../../../core/index.ts';
import type { Filesystem } from '../filesystem.ts';
import { parseBoot } from './boot.ts';
import { ntfsDriver } from './ntfs.ts';
import { fixture, imageNames, lines, openBytes } from './testdata/fixture.ts';
import { attributeAt, editBlock, findBlocks, recordBlock } from './testing/record-editor.ts';

/** Runs of each property; the long run sets it. */
const RUNS = Number(process.env['HOLDFAST_FUZZ_RUNS'] ?? 60);
const ENTRIES_MAX = 3_000;

async function changed(change: (bytes: Uint8Array) => void, name: (typeof imageNames)[number] = 'narrow'): Promise<Uint8Array> {
  const bytes = (await fixture(name)).slice();
  change(bytes);
  return bytes;
}

/** Changes both boot sectors. */
function inBoot(bytes: Uint8Array, at: number, hex: string): void {
  for (const start of [0, bytes.length - 512]) bytes.set(Buffer.from(hex, 'hex'), start + at);
}

/** Changes a record and its spare copy. */
function inRecord(bytes: Uint8Array, number: number, change: (view: DataView) => void): void {
  const boot = parseBoot(bytes.subarray(0, 512), 0);
  const { at, bytes: size } = recordBlock(bytes, number);
  editBlock(bytes, { at, bytes: size }, (_, view) => { change(view); });
  if (number < 4) editBlock(bytes, { at: boot.mirrorCluster * boot.clusterBytes + number * size, bytes: size }, (_, view) => { change(view); });
}

/** Replaces the run list of the attribute at `at`; it is followed by zeroes. */
function setRuns(view: DataView, at: number, hex: string): void {
  const start = at + view.getUint16(at + 32, true);
  const end = at + view.getUint32(at + 4, true);
  const runs = Buffer.from(hex, 'hex');
  for (let i = start; i < end; i += 1) view.setUint8(i, runs[i - start] ?? 0);
}

function refused(field: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof FormatError || error instanceof LimitError, String(error));
    assert.equal(error instanceof FormatError ? error.fault.field : error.data['limit'], field);
    return true;
  };
}

/** Field that the error names, and the change. */
const damages: readonly (readonly [field: string, change: (bytes: Uint8Array) => void])[] = [
  ['bytesPerSector', (bytes) => { inBoot(bytes, 11, '0000'); }], ['sectorsPerCluster', (bytes) => { inBoot(bytes, 13, '00'); }], ['sectorsPerCluster', (bytes) => { inBoot(bytes, 13, '81'); }],
  ['totalSectors', (bytes) => { inBoot(bytes, 40, '0000000000000000'); }], ['totalSectors', (bytes) => { inBoot(bytes, 40, 'ffffffffffffff00'); }], ['mftCluster', (bytes) => { inBoot(bytes, 48, 'ffffff0000000000'); }],
  ['recordSize', (bytes) => { inBoot(bytes, 64, '00'); }], ['recordSize', (bytes) => { inBoot(bytes, 64, '80'); }], ['indexSize', (bytes) => { inBoot(bytes, 68, '03'); }],
  ['size', (bytes) => { inRecord(bytes, 0, (view) => { view.setUint32(view.getUint16(20, true) + 4, 0, true); }); }],
  ['attributes', (bytes) => { inRecord(bytes, 0, (view) => { view.setUint32(24, view.getUint16(20, true), true); }); }],
  ['usedSize', (bytes) => { inRecord(bytes, 0, (view) => { view.setUint32(24, 0xffff_ffff, true); }); }],
  ['attributesOffset', (bytes) => { inRecord(bytes, 0, (view) => { view.setUint16(20, 3, true); }); }],
  ['index', (bytes) => { inRecord(bytes, 0, (view) => { view.setUint32(44, 7, true); }); }],
  ['runsOffset', (bytes) => { inRecord(bytes, 0, (view) => { view.setUint16(attributeAt(view, 0x80) + 32, 0xffff, true); }); }],
  ['head', (bytes) => { inRecord(bytes, 0, (view) => { const at = attributeAt(view, 0x80); view.setUint8(at + view.getUint16(at + 32, true), 0xff); }); }],
  ['cluster', (bytes) => { inRecord(bytes, 0, (view) => { const at = attributeAt(view, 0x80); setRuns(view, at, '3108ffff7f00'); }); }],
  ['lowestVcn', (bytes) => { inRecord(bytes, 0, (view) => { view.setUint32(attributeAt(view, 0x80) + 16, 5, true); }); }],
  ['dataSize', (bytes) => { inRecord(bytes, 3, (view) => { view.setUint32(attributeAt(view, 0x70) + 16, 0xff_ffff, true); }); }],
];

for (const [field, change] of damages) {
  test(`NTFS with a wrong ${field} is refused by that name`, async () => {
    await assert.rejects(openBytes(await changed(change)), refused(field));
  });
}

test('one damaged copy is no loss where there are two', async () => {
  const narrow = await fixture('narrow');
  const mft = recordBlock(narrow, 0).at;
  const single: readonly (readonly [string, (bytes: Uint8Array) => void])[] = [
    ['boot sector', (bytes) => { bytes.fill(0, 0, 512); }], ['boot sector', (bytes) => { bytes[13] = 0; }], ['mirror', (bytes) => { bytes.set([0x5a, 0x5a], mft + 510); }], ['mirror', (bytes) => { bytes.fill(0, mft, mft + 4096); }],
    ['mirror', (bytes) => { bytes.set(utf8('BAAD'), mft); }],
  ];
  for (const [what, change] of single) {
    const tree = await openBytes(await changed(change));
    const id = await lookupPath(tree, utf8('pieces.bin'));
    assert.ok(id !== undefined);
    const source = await tree.open(id);
    assert.ok(Buffer.compare(await readRange(source, 0, source.size), lines('pieces.bin', 320_000)) === 0);
    assert.match(tree.facts.remarks.join(), new RegExp(what));
  }
});

test('a spare boot sector alone is no filesystem where another one claims the place', async () => {
  const bytes = await changed((image) => { image.set(utf8('-FVE-FS-'), 3); });
  assert.deepEqual(await ntfsDriver.probe(new MemorySource(bytes)), { match: 'no' });
});

async function listing(tree: Filesystem, directory: NodeId): Promise<{ readonly names: readonly string[]; readonly failure?: unknown }> {
  const names: string[] = [];
  try {
    for await (const page of tree.list(directory)) names.push(...page.map(({ name }) => textOf(name)));
  } catch (failure) {
    return { names, failure };
  }
  return { names };
}

test('a damaged block of a directory costs its names alone, and is told', async () => {
  const good = await fixture('rich');
  const all = await openBytes(good).then(async (tree) => (await listing(tree, await lookupPath(tree, utf8('many')) as NodeId)).names);
  const lost: string[] = [];
  for (const { at } of findBlocks(good, 'INDX')) {
    const bytes = good.slice();
    bytes.set([0x5a, 0x5a], at + 510);
    const tree = await openBytes(bytes);
    const many = await lookupPath(tree, utf8('many')).catch((error: unknown) => { assert.ok(error instanceof IntegrityError); });
    // The block was one of the root's.
    if (many === undefined) continue;
    const { names, failure } = await listing(tree, many);
    if (failure === undefined) assert.deepEqual(names, all);
    else {
      assert.ok(failure instanceof IntegrityError && names.length > 0 && names.length < all.length);
      assert.ok(tree.problems().some(({ kind }) => kind === 'unreadable'));
      lost.push(...all.filter((name) => !names.includes(name)));
    }
  }
  assert.ok(lost.length > 100 && new Set(lost).size === lost.length, `${lost.length} names in blocks of their own`);
});

test('a damaged record costs its file alone', async () => {
  const good = await openBytes(await fixture('rich'));
  const id = await lookupPath(good, utf8('hello.txt')) as NodeId;
  const tree = await openBytes(await changed((image) => { image.set([0x5a, 0x5a], recordBlock(image, id).at + 510); }, 'rich'));
  await assert.rejects(tree.stat(id), IntegrityError);
  const { names, failure } = await listing(tree, tree.rootId);
  assert.equal(failure, undefined);
  assert.ok(names.includes('hello.txt') && names.includes('pieces.bin'));
  assert.equal(tree.problems().length, 1);
});

test('an entry of a record that is of another file now is left out', async () => {
  const good = await openBytes(await fixture('rich'));
  const id = await lookupPath(good, utf8('pieces.bin')) as NodeId;
  const tree = await openBytes(await changed((image) => { inRecord(image, id, (view) => { view.setUint16(16, view.getUint16(16, true) + 1, true); }); }, 'rich'));
  assert.ok(!(await listing(tree, tree.rootId)).names.includes('pieces.bin'));
  assert.equal(await lookupPath(tree, utf8('pieces.bin')), undefined);
  assert.deepEqual(tree.problems().map(({ kind }) => kind), ['stale-entry']);
});

test('an index whose blocks point to each other ends', async () => {
  const tree = await openBytes(await changed((image) => {
    for (const block of findBlocks(image, 'INDX')) {
      editBlock(image, block, (bytes, view) => {
        // The first entry points back to the block itself, and stands behind all names.
        const at = 24 + view.getUint32(24, true);
        const size = view.getUint16(at + 8, true);
        view.setUint16(at + 12, 3, true);
        bytes.copyWithin(at + size - 8, 16, 24);
      });
    }
  }, 'rich'));
  for (const name of ['Deep', 'many']) {
    const id = await lookupPath(tree, utf8(name)).catch(() => undefined);
    if (id !== undefined) await assert.rejects(tree.lookup(id, utf8('zzz')), HoldfastError);
  }
  await assert.rejects(tree.lookup(tree.rootId, utf8('zzz')).then(() => { throw new LimitError('none', 0, 0, 'no index of blocks'); }), LimitError);
});

test('a volume that was cut is refused where the lost part is read, never read as zeroes', async () => {
  const whole = await fixture('narrow');
  for (const part of [0.1, 0.3, 0.5, 0.7, 0.9]) {
    const cut = whole.subarray(0, Math.floor(whole.length * part / 512) * 512);
    const tree = await openBytes(cut).catch((error: unknown) => { assert.ok(error instanceof HoldfastError, String(error)); });
    if (tree === undefined) continue;
    assert.match(tree.facts.remarks.join(), /bytes are here|only/);
    const id = await lookupPath(tree, utf8('pieces.bin')).catch((error: unknown) => { assert.ok(error instanceof HoldfastError); });
    if (id === undefined) continue;
    const read = tree.open(id).then((source) => readRange(source, 0, source.size));
    const content = await read.catch((error: unknown) => { assert.ok(error instanceof HoldfastError); });
    if (content !== undefined) assert.ok(Buffer.compare(content, lines('pieces.bin', 320_000)) === 0);
  }
});

/** Reads all that can be read, within bounds: a volume may say that it is huge. */
async function readSome(tree: Filesystem): Promise<void> {
  const guarded = async (work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => { assert.ok(error instanceof HoldfastError, String((error as Error).stack)); });
  };
  const queue: NodeId[] = [tree.rootId];
  const seen = new Set<NodeId>(queue);
  const visit = async (id: NodeId): Promise<void> => {
    await guarded(() => tree.attributes(id));
    await guarded(() => tree.readLink(id));
    await guarded(async () => {
      const source = await tree.open(id);
      for (const at of [0, Math.max(0, source.size - 70_000)]) await guarded(() => readRange(source, at, Math.min(70_000, source.size - at)));
      let extents = 0;
      await guarded(async () => { for await (const { length } of source.extents(0, Math.min(source.size, 2 ** 26))) { assert.ok(length > 0); if ((extents += 1) > 2_000) break; } });
    });
  };
  for (let next = queue.pop(); next !== undefined && seen.size < ENTRIES_MAX; next = queue.pop()) {
    const directory = next;
    await guarded(async () => {
      for await (const page of tree.list(directory)) {
        for (const { id, name } of page) {
          if (seen.has(id) || seen.size >= ENTRIES_MAX) continue;
          seen.add(id);
          await guarded(() => tree.lookup(directory, name));
          await guarded(async () => { if ((await tree.stat(id)).type === 'directory') queue.push(id); });
          if (seen.size % 8 === 0 || seen.size < 60) await visit(id);
        }
      }
    });
  }
}

const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', '0000', 'ffff', 'ffffffff', '00000000', 'ffffffffffffffff'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));
/** Which block (from all records and index blocks), where in it, and what. */
const changes = fc.array(fc.tuple(fc.nat(2 ** 20), fc.oneof(fc.nat(1023), fc.nat(200)), values), { minLength: 1, maxLength: 6 });

for (const name of imageNames) {
  test(`mutated ${name} reads or fails in order, within bounds`, async () => {
    const good = await fixture(name);
    const records = findBlocks(good, 'FILE');
    const blocks = [...records, ...findBlocks(good, 'INDX')];
    await fc.assert(fc.asyncProperty(changes, fc.boolean(), async (list, anywhere) => {
      const bytes = good.slice();
      for (const [which, at, hex] of list) {
        const value = Buffer.from(hex, 'hex');
        if (anywhere && which % 3 === 0) bytes.set(value, Math.min(which * 5 + at, bytes.length - value.length));
        // Records of the volume's own files more often than those of the many users' files.
        const block = blocks[which % 2 === 0 ? (which >>> 1) % Math.min(12, blocks.length) : (which >>> 1) % blocks.length];
        if (block !== undefined) editBlock(bytes, block, (plain) => { if (at > 8) plain.set(value.subarray(0, plain.length - at), at); });
      }
      const before = process.memoryUsage().arrayBuffers;
      try {
        await ntfsDriver.probe(new MemorySource(bytes));
        await readSome(await openBytes(bytes));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 256 << 20, 'memory');
    }), { numRuns: RUNS });
  });
}
