/**
 * There and back: whatever a volume is — built at random, real, damaged, encrypted, no volume at all — its segments give exactly its bytes back, read as a whole or anywhere.
 * Parts that were tampered with fail with a documented error and in bounded memory. A second job of unchanged files repeats heads, meta and data.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, LimitError, MemorySource, defaultLimits, readRange, utf8 } from '../../../core/index.ts';
import { seededBytes, seededRandom } from '../../../core/testing/random.ts';
import { sharedBlockHasher } from '../checksum.ts';
import { SessionWriter, VolumeWriter, encodeAttributes, encodeLstat } from '../testing/volume-writer.ts';
import { fixtureVolume } from '../testdata/fixture.ts';
import { mutate, type Mutation } from '../testing/mutation.ts';
import { foldAttributes, unfoldAttributes, unfoldedLength } from './fold.ts';
import { splitSegment, weave, type Segment, type WovenParts } from './index.ts';

const hasher = await sharedBlockHasher();

/** Splits a volume, checks that each segment gives its bytes back, and returns the segments. */
async function roundTrip(volume: Uint8Array, segmentBytes?: number): Promise<readonly Segment[]> {
  const source = new MemorySource(volume);
  const segments: Segment[] = [];
  for (let at = 0; at < volume.length;) {
    const segment = await splitSegment(source, at, { limits: defaultLimits, hasher, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
    assert.equal(segment.offset, at);
    assert.ok(segment.length > 0 && at + segment.length <= volume.length);
    if (segment.parts !== undefined) await checkWoven(segment.parts, volume.subarray(at, at + segment.length));
    segments.push(segment);
    at += segment.length;
  }
  return segments;
}

async function checkWoven(parts: WovenParts, expected: Uint8Array): Promise<void> {
  const woven = await weave(parts);
  assert.equal(woven.size, expected.length);
  assert.equal(Buffer.compare(await readRange(woven, 0, woven.size), expected), 0, 'woven bytes differ');
  const random = seededRandom(expected.length);
  for (let i = 0; i < 8; i += 1) {
    const at = Math.floor(random() * expected.length);
    const length = Math.floor(random() * Math.min(expected.length - at, 100_000));
    assert.equal(Buffer.compare(await readRange(woven, at, length), expected.subarray(at, at + length)), 0, `woven bytes differ at ${at}+${length}`);
  }
}

interface Built {
  readonly version: 'BB02' | 'BB03';
  readonly blockBytes: number;
  readonly checksum: boolean;
  readonly encrypted: boolean;
  /** Which of three sessions writes what, by turns. */
  readonly records: readonly { readonly session: number; readonly stream: number; readonly length: number; readonly step: number; readonly flush: boolean }[];
}

const built: fc.Arbitrary<Built> = fc.record({
  version: fc.constantFrom('BB02', 'BB03'), blockBytes: fc.constantFrom(64_512, 4096, 1024, 200_000), checksum: fc.boolean(),
  encrypted: fc.integer({ min: 0, max: 7 }).map((value) => value === 0),
  records: fc.array(fc.record({
    session: fc.nat(2), stream: fc.constantFrom(1, 1, 2, 2, 3, 4, 6, 20, 26, 1998, 0, -1, 2 ** 30, -(2 ** 31)), length: fc.nat(14).chain((bits) => fc.nat(2 ** bits)),
    step: fc.constantFrom(0, 0, 1, 1, 1, -3, 1000), flush: fc.integer({ min: 0, max: 9 }).map((value) => value === 0),
  }), { maxLength: 60 }),
});

/** An attribute record that mostly folds: sometimes its number or its time is odd. */
function attributes(fileIndex: number, i: number): Uint8Array {
  const lstat = encodeLstat({ mode: 0o100644, size: i, atime: [1_700_000_000 + i, 0, -5, 2 ** 50][i % 9] ?? 1_600_000_000, mtime: i });
  return encodeAttributes({ fileIndex: i % 11 === 0 ? fileIndex + 1 : fileIndex, type: 3, name: utf8(`/some/dir/file-${i}`) }, i % 13 === 0 ? lstat.replaceAll(' ', '  ') : lstat);
}

function build({ version, blockBytes, checksum, encrypted, records }: Built): Uint8Array {
  const blocks: Uint8Array[] = [];
  const key = encrypted && version === 'BB03' ? { key: { cipher: 'aes-128-xts' as const, key: seededBytes(32, 5), volumeName: 'Vol' } } : {};
  const volume = new VolumeWriter({ version, blockBytes, hasher, checksum, ...key, emit: (block) => { blocks.push(block); } });
  const sessions = [0, 1, 2].map((i) => new SessionWriter(volume, { id: 7 + i, time: 1000, jobId: 40 + i }));
  const indexes = [0, 0, 0];
  volume.label('Vol', { id: 7, time: 1000 }, 0, 1e6);
  for (const session of sessions) session.start();
  for (const [i, { session, stream, length, step, flush }] of records.entries()) {
    const writer = sessions[session] as SessionWriter;
    const fileIndex = indexes[session] = (indexes[session] as number) + step;
    writer.record(fileIndex, stream, stream === 1 ? attributes(fileIndex, i) : seededBytes(length, i));
    if (flush) writer.flush();
  }
  for (const session of sessions) session.end();
  return Buffer.concat(blocks);
}

/** Undefined for a block that AES-XTS cannot encrypt: it takes 16 bytes at least, and the end of a record alone may be less. */
function buildable(values: Built): Uint8Array | undefined {
  try {
    return build(values);
  } catch (error) {
    if (values.encrypted && /unsupported state/.test((error as Error).message)) return undefined;
    throw error;
  }
}

test('whatever is built comes back', async () => {
  await fc.assert(fc.asyncProperty(built, fc.constantFrom(undefined, 20_000), async (values, segmentBytes) => {
    const blocks = buildable(values);
    fc.pre(blocks !== undefined);
    const segments = await roundTrip(blocks, segmentBytes);
    assert.ok(segments.every(({ parts }) => parts !== undefined), 'every segment is woven');
  }), { numRuns: 150 });
});

const mutations: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('flip', 'zero', 'noise', 'remove', 'repeat', 'truncate', 'move'), at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  length: fc.nat(17).chain((bits) => fc.integer({ min: 1, max: 2 ** bits })), value: fc.integer({ min: -200_000, max: 200_000 }),
});

for (const [set, runs] of [['b15-acl-xattr', 25], ['b15-volume-encrypted', 10], ['encrypted', 15], ['special-files', 25]] as const) {
  test(`${set} comes back, also damaged`, async () => {
    const volume = await fixtureVolume(set);
    await roundTrip(volume);
    await fc.assert(fc.asyncProperty(mutations, async (mutation) => { await roundTrip(mutate(volume, mutation)); }), { numRuns: runs });
  });
}

test('any bytes come back, and are no blocks', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 5000, size: 'max' }), async (bytes) => { await roundTrip(bytes); }), { numRuns: 100 });
  const [zeroes, ...others] = await roundTrip(new Uint8Array(20_000_000));
  assert.equal(zeroes?.parts, undefined);
  assert.ok(others.length > 0, 'what is no block ends a segment, too');
});

test('a volume that ends inside a block has that end as a segment of its own', async () => {
  const volume = await fixtureVolume('b15-acl-xattr');
  for (const cut of [10, 30_000]) {
    const segments = await roundTrip(volume.subarray(0, 64_512 + 231 + cut));
    assert.deepEqual(segments.map(({ length, torn }) => [length, torn]), [[229, false], [64_512, false], [2 + cut, true]]);
  }
});

test('an attribute record is folded only when it comes back', () => {
  fc.assert(fc.property(fc.nat(2 ** 31 - 1), fc.nat(3000), fc.uint8Array({ maxLength: 40 }), fc.nat(200), (fileIndex, i, noise, at) => {
    const record = attributes(fileIndex, i);
    record.set(noise.subarray(0, Math.max(0, record.length - at)), Math.min(at, record.length));
    const folded = foldAttributes(record, fileIndex);
    if (folded === undefined) return;
    assert.equal(unfoldedLength(folded.rest.length, fileIndex, folded.time), record.length);
    assert.deepEqual(Buffer.from(unfoldAttributes(folded.rest, fileIndex, folded.time) ?? []), Buffer.from(record));
  }), { numRuns: 2000 });
});

test('parts that were tampered with are refused or give other bytes, and nothing else', async () => {
  const volume = await fixtureVolume('special-files');
  const [, segment] = await roundTrip(volume);
  const parts = segment?.parts ?? assert.fail('it is woven');
  const whole: Record<keyof WovenParts, Uint8Array> = {
    layout: await readRange(parts.layout, 0, parts.layout.size), heads: await readRange(parts.heads, 0, parts.heads.size),
    meta: await readRange(parts.meta, 0, parts.meta.size), data: await readRange(parts.data, 0, parts.data.size),
  };
  const name = fc.constantFrom<keyof WovenParts>('layout', 'layout', 'layout', 'heads', 'heads', 'meta', 'data');
  await fc.assert(fc.asyncProperty(name, mutations, async (part, mutation) => {
    const bytes = mutate(whole[part], { ...mutation, length: Math.min(mutation.length, 50) });
    const sources = Object.fromEntries(Object.entries(whole).map(([key, value]) => [key, new MemorySource(key === part ? bytes : value)])) as unknown as WovenParts;
    try {
      const woven = await weave(sources);
      assert.ok(woven.size <= 2 ** 30);
      await readRange(woven, 0, Math.min(woven.size, 1 << 20));
    } catch (error) {
      assert.ok(error instanceof FormatError || error instanceof LimitError, String((error as Error).stack));
    }
  }), { numRuns: 800 });
});

/** A Full of files that did not change: only what Bacula itself makes new differs, and `st_atime`. */
function fullJob(volume: VolumeWriter, run: number): void {
  const clients = [0, 1].map((client) => ({ client, file: 0, index: 0, writer: new SessionWriter(volume, { id: 10 * run + client, time: 1000 + run, jobId: 100 + 17 * run + client }) }));
  const random = seededRandom(run);
  for (const { writer } of clients) writer.start();
  for (let left = clients; left.length > 0; left = left.filter(({ file }) => file < 900)) {
    const one = left[Math.floor(random() * left.length)] as (typeof clients)[number];
    if (run > 1 && one.file === 3) one.index += 1; // a file that was deleted had a number here
    const [fileIndex, data] = [one.index += 1, seededBytes(1500, one.client * 7919 + one.file * 104_729)];
    const lstat = encodeLstat({ mode: 0o100644, size: data.length, mtime: 1_500_000_000 + one.file, atime: 1_600_000_000 + run * 86_400 + (one.file >> 4) });
    one.writer.record(fileIndex, 1, encodeAttributes({ fileIndex, type: 3, name: utf8(`/client-${one.client}/file-${one.file}`) }, lstat));
    one.writer.record(fileIndex, 2, data);
    one.writer.record(fileIndex, 3, createHash('md5').update(data).digest());
    one.file += 1;
  }
  for (const { writer } of clients) writer.end();
}

for (const version of ['BB02', 'BB03'] as const) {
  test(`a second Full of two concurrent ${version} jobs repeats heads, meta and data`, async () => {
    const seen: Record<string, string[]>[] = [];
    let layoutBytes = 0;
    let bytes = 0;
    for (const run of [1, 2]) {
      const blocks: Uint8Array[] = [];
      const volume = new VolumeWriter({ version, blockBytes: 64_512, hasher, emit: (block) => { blocks.push(block); } });
      fullJob(volume, run);
      const [segment, ...others] = await roundTrip(Buffer.concat(blocks));
      assert.equal(others.length, 0);
      const parts = segment?.parts ?? assert.fail('it is woven');
      layoutBytes = parts.layout.size;
      bytes = segment?.length ?? 0;
      const { sessions } = (await import('./layout.ts')).decodeLayout(await readRange(parts.layout, 0, parts.layout.size));
      const columns: Record<string, string[]> = {};
      for (const part of ['meta', 'data'] as const) {
        let at = 0;
        columns[part] = [];
        for (const session of sessions) {
          columns[part].push(createHash('sha256').update(await readRange(parts[part], at, session[part])).digest('hex'));
          at += session[part];
        }
        columns[part].sort(); // which session comes first in the volume is chance
      }
      seen.push(columns);
    }
    assert.deepEqual(seen[0], seen[1]);
    assert.ok(layoutBytes < bytes / 200, `layout of ${layoutBytes} of ${bytes} bytes`);
  });
}
