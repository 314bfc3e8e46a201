/**
 * Pools with damages, which checksums find, and with lies that have right checksums: blocks are altered behind the check, as a hostile writer could
 * have stored them. Nothing may come out but errors with a class, in bounded time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BlockSource, type FileTree, HoldfastError, lookupPath, MemorySource, type NodeId, readRange, textOf, utf8 } from '../../../core/index.ts';
import type { Filesystem } from '../filesystem.ts';
import type { BlockPointer } from './block-pointer.ts';
import type { Alter } from './block-reader.ts';
import { sha256Words } from './checksum.ts';
import { labelOffsets } from './label.ts';
import { decodeNvList } from './nvlist.ts';
import { context, fixture, pools, sourcesOf } from './testdata/fixture.ts';
import { openZfs, zfsDriver } from './zfs.ts';

/** Reads a little of everything; errors with a class end only what they are about. */
async function visit(tree: FileTree, directory: NodeId, budget: { entries: number }, depth = 0): Promise<void> {
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  };
  await attempt(async () => {
    for await (const page of tree.list(directory)) {
      for (const { id, name } of page) {
        budget.entries -= 1;
        if (budget.entries < 0) return;
        await attempt(async () => { await tree.lookup(directory, name); });
        await attempt(async () => { await tree.attributes(id); });
        await attempt(async () => {
          const { type } = await tree.stat(id);
          if (type === 'directory' && depth < 4) await visit(tree, id, budget, depth + 1);
          if (type === 'symlink') await tree.readLink(id);
          if (type !== 'file') return;
          const source = await tree.open(id);
          await readRange(source, Math.max(0, source.size - 5000), Math.min(5000, source.size));
        });
      }
    }
  });
}

async function visitPool(sources: readonly BlockSource[], altered?: Alter): Promise<void> {
  let pool: Filesystem | undefined;
  try {
    pool = await openZfs(sources, context, altered);
    await visit(pool, pool.rootId, { entries: 60 });
    for (const { kind, name } of (await pool.volumes?.() ?? []).slice(0, 5)) {
      const opened = await pool.openVolume?.(kind, name);
      if (opened !== undefined) await visit(opened, opened.rootId, { entries: 20 });
    }
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
  }
  await pool?.close();
}

/** Runs of fast-check; longer with FUZZ_RUNS. */
const RUNS = Number(process.env['HOLDFAST_FUZZ_RUNS'] ?? 60);

/** Numbers that lie: small, large, all bits, neighbours of powers of two. */
const lie = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255));
const edit = fc.record({ place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), value: lie, length: fc.constantFrom(1, 1, 2, 4, 8) });

function editBlock(block: Uint8Array, edits: readonly { readonly place: number; readonly value: number; readonly length: number }[]): Uint8Array {
  const copy = block.slice();
  for (const { place, value, length } of edits) {
    const at = Math.floor(place * copy.length);
    copy.fill(value, at, at + length);
  }
  return copy;
}

for (const [name, members] of Object.entries(pools)) {
  test(`pool '${name}': metadata that lies with right checksums`, { timeout: 600_000 }, async () => {
    const sources = await sourcesOf(members);
    await fc.assert(fc.asyncProperty(fc.nat(400), fc.integer({ min: 1, max: 60 }), fc.array(edit, { minLength: 1, maxLength: 6 }), async (first, every, edits) => {
      let count = 0;
      await visitPool(sources, (pointer: BlockPointer, block) => {
        // Blocks of files are no structure.
        if (pointer.type === 19 && pointer.level === 0) return block;
        count += 1;
        return count >= first && (count - first) % every === 0 ? editBlock(block, edits) : block;
      });
    }), { numRuns: RUNS });
  });

  test(`pool '${name}': damage that checksums find never gives other bytes`, { timeout: 600_000 }, async () => {
    const whole = await Promise.all(members.map(fixture));
    await fc.assert(fc.asyncProperty(fc.nat(members.length - 1), fc.array(fc.record({ place: fc.nat(16 << 20), value: fc.nat(255) }), { minLength: 200, maxLength: 400 }), async (which, edits) => {
      const bytes = whole.map((one, i) => (i === which ? one.slice() : one));
      const victim = bytes[which] as Uint8Array;
      for (const { place, value } of edits) victim.fill(value, (4 << 20) + place, (4 << 20) + place + 64);
      await visitPool(bytes.map((one) => new MemorySource(one)));
    }), { numRuns: Math.ceil(RUNS / 6) });
  });
}

/** A label whose list is changed, with a checksum that holds. */
async function relabelled(change: (list: Uint8Array) => void): Promise<Uint8Array> {
  const bytes = (await fixture('plain-1')).slice();
  for (const at of labelOffsets(bytes.length)) {
    const start = at + (16 << 10);
    const block = bytes.subarray(start, start + (112 << 10));
    change(block);
    const view = new DataView(block.buffer, block.byteOffset, block.length);
    const end = block.length - 32;
    view.setBigUint64(end, BigInt(start), true);
    block.fill(0, end + 8);
    block.set(sha256Words(block), end);
  }
  return bytes;
}

function textAt(bytes: Uint8Array, text: string): number {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(text);
  assert.ok(at > 0, text);
  return at;
}

/** What is changed in the label, and what the error names. */
const labelLies: readonly (readonly [what: string, change: (list: Uint8Array) => void, message: RegExp])[] = [
  ['a version of the future', (list) => { list.set([0, 0, 0, 0, 0, 0, 0x20, 0], textAt(list, 'version') + 8 + 8); }, /version '8192' is not supported/],
  ['a feature nobody knows', (list) => { list.set(Buffer.from('com.delphix:hole_bread'), textAt(list, 'com.delphix:hole_birth')); }, /'com\.delphix:hole_bread'/],
  ['another encoding', (list) => { list[0] = 7; }, /nvlist\.encoding/],
  ['sectors of 2^40 bytes', (list) => { list[textAt(list, 'ashift') + 8 + 15] = 40; }, /ashift/],
  ['a type of device nobody knows', (list) => { list.set(Buffer.from('wile'), textAt(list, 'file')); }, /'wile'/],
  ['a pair that is longer than it says', (list) => { list[textAt(list, 'pool_guid') - 9] = 99; }, /nvlist\./],
];

for (const [what, change, message] of labelLies) {
  test(`a label with ${what} is refused by name`, async () => {
    await assert.rejects(zfsDriver.open([new MemorySource(await relabelled(change))], context), (error: unknown) => {
      assert.ok(error instanceof HoldfastError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

test('one label of four is enough, and it is told; without the newest state an older one is used, and that is told', async () => {
  const bytes = (await fixture('plain-1')).slice();
  for (const at of labelOffsets(bytes.length).slice(0, 3)) bytes.fill(0x33, at + (16 << 10), at + (20 << 10));
  const pool = await zfsDriver.open([new MemorySource(bytes)], context);
  assert.match(pool.facts.remarks.join(), /3 of 4 labels/);
  await pool.close();
});

test('a cut member gives the right bytes or an error, never zeroes for what was lost', async () => {
  const whole = await fixture('plain-1');
  const text = async (bytes: Uint8Array): Promise<string> => {
    const pool = await zfsDriver.open([new MemorySource(bytes)], context);
    const id = await lookupPath(pool, utf8('text'));
    assert.ok(id !== undefined);
    const source = await pool.open(id);
    return textOf(await readRange(source, 0, source.size));
  };
  const expected = await text(whole);
  let refused = 0;
  for (let cut = 4 << 20; cut < 12 << 20; cut += 256 << 10) {
    try {
      assert.equal(await text(whole.subarray(0, cut)), expected);
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error));
      refused += 1;
    }
  }
  assert.ok(refused > 0);
});

test('two members with one identity, and members of two pools, are refused', async () => {
  const [plain] = await sourcesOf(pools.plain);
  const [old] = await sourcesOf(pools.old);
  assert.ok(plain !== undefined && old !== undefined);
  await assert.rejects(zfsDriver.open([plain, new MemorySource(await fixture('plain-1'))], context), /different guids/);
  await assert.rejects(zfsDriver.open([plain, old], context), /pool_guid/);
});

test('lists of names and values: any bytes give a list or an error with a class', () => {
  fc.assert(fc.property(fc.constantFrom([1, 1, 0, 0], [0, 1, 0, 0]), fc.uint8Array({ maxLength: 300 }), (head, rest) => {
    try {
      decodeNvList(Uint8Array.from([...head, ...rest]));
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error));
    }
  }), { numRuns: 3000 });
});
