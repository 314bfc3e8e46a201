/** Volumes built by the test writer: parse ∘ build = id, over versions, block sizes, interleaving and volume changes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { defaultLimits, FormatError, HoldfastError, IntegrityError, lookupPath, MemorySource, readRange, UnsupportedError, utf8 } from '../../core/index.ts';
import { sharedBlockHasher } from './checksum.ts';
import { STREAM } from './stream.ts';
import { openBytes } from './testdata/fixture.ts';
import { encodeAttributes, encodeLstat, type EndValues, SessionWriter, VolumeWriter } from './testing/volume-writer.ts';
import { openVolumeSet } from './volume-set.ts';

interface Plan {
  readonly version: 'BB02' | 'BB03';
  readonly blockBytes: number;
  readonly volumeBlocks: number;
  readonly sessions: readonly (readonly Uint8Array[])[];
  readonly checksum: boolean;
}

const plans: fc.Arbitrary<Plan> = fc.record({
  version: fc.constantFrom('BB02', 'BB03'),
  blockBytes: fc.integer({ min: 400, max: 3000 }),
  volumeBlocks: fc.integer({ min: 2, max: 40 }),
  sessions: fc.array(fc.array(fc.uint8Array({ maxLength: 4000, size: 'max' }), { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
  checksum: fc.boolean(),
});

/** Writes all sessions by turns, a file at a time, and begins a new volume every few blocks. */
async function build(plan: Plan): Promise<readonly Uint8Array[]> {
  const volumes: Uint8Array[][] = [];
  const hasher = await sharedBlockHasher();
  const names = plan.sessions.map((_files, i) => ({ id: i + 1, time: 1_700_000_000, jobId: 10 + i }));
  let writers: SessionWriter[] = [];
  const begin = (): VolumeWriter => {
    const blocks: Uint8Array[] = [];
    volumes.push(blocks);
    const writer = new VolumeWriter({ version: plan.version, blockBytes: plan.blockBytes, hasher, checksum: plan.checksum, emit: (block) => { blocks.push(block); } });
    const ordinal = volumes.length === 1 ? 0 : volumes.length;
    writer.label(`V${volumes.length}`, names[0] ?? { id: 1, time: 1 }, ordinal, 1.7e15 + volumes.length);
    for (const session of writers) session.changeVolume(writer);
    return writer;
  };
  const first = begin();
  writers = names.map((name, i) => new SessionWriter(first, name, i === 0 ? 1 : 0));
  for (const writer of writers) writer.start();
  const longest = Math.max(0, ...plan.sessions.map((files) => files.length));
  for (let file = 0; file < longest; file += 1) {
    for (const [i, files] of plan.sessions.entries()) {
      const content = files[file];
      const writer = writers[i];
      if (content === undefined || writer === undefined) continue;
      if ((volumes.at(-1)?.length ?? 0) >= plan.volumeBlocks) begin();
      writer.record(file + 1, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex: file + 1, type: content.length === 0 ? 2 : 3, name: utf8(`/s${i}/f${file}`) }, encodeLstat({ mode: 0o100644, size: content.length, mtime: 77 })));
      for (let at = 0; at < content.length; at += 1500) writer.record(file + 1, STREAM.FILE_DATA, content.subarray(at, at + 1500));
      writer.record(file + 1, STREAM.MD5_DIGEST, createHash('md5').update(content).digest());
    }
  }
  for (const writer of writers) writer.end();
  return volumes.map((blocks) => Buffer.concat(blocks));
}

async function checkPlan(plan: Plan, volumes: readonly Uint8Array[]): Promise<void> {
  const set = await openVolumeSet(volumes.map((bytes, i) => ({ name: `v${i}`, source: new MemorySource(bytes) })), { limits: defaultLimits }, { order: 'any' });
  assert.deepEqual(set.problems(), []);
  for (const [i, files] of plan.sessions.entries()) {
    const tree = set.jobTree({ jobId: 10 + i });
    for (const [file, content] of files.entries()) {
      const id = await lookupPath(tree, utf8(`/s${i}/f${file}`));
      assert.ok(id !== undefined);
      const source = await tree.open(id);
      assert.equal(source.size, content.length);
      assert.deepEqual(Buffer.from(await readRange(source, 0, source.size)), Buffer.from(content));
    }
  }
  for await (const problem of set.verifyContents()) assert.fail(problem.message);
}

test('what was built is read, over volumes given in any order', async () => {
  await fc.assert(fc.asyncProperty(plans, fc.boolean(), async (plan, reversed) => {
    const volumes = await build(plan);
    await checkPlan(plan, reversed ? [...volumes].reverse() : volumes);
  }), { numRuns: 150 });
});

const threeVolumes: Plan = { version: 'BB02', blockBytes: 1000, volumeBlocks: 6, checksum: true, sessions: [[...Array(12).keys()].map((i) => new Uint8Array(1700).fill(i + 1))] };

test('a wrong order is named, and the volumes are read in the right one', async () => {
  const volumes = await build(threeVolumes);
  assert.ok(volumes.length >= 3);
  const set = await openBytes([...volumes].reverse());
  assert.deepEqual(set.problems().map((problem) => problem.kind), ['volume-order']);
  assert.equal(set.jobs()[0]?.complete, true);
});

test('a missing first, middle and last volume is named; what needs it is not read, the rest is', async () => {
  const volumes = await build(threeVolumes);
  for (const [missing, kind] of [[0, 'missing-volume'], [1, 'missing-volume'], [volumes.length - 1, 'missing-end-of-session']] as const) {
    const set = await openBytes(volumes.filter((_bytes, i) => i !== missing));
    assert.ok(set.problems().some((problem) => problem.kind === kind), `${missing}: ${JSON.stringify(set.problems())}`);
    assert.equal(set.jobs()[0]?.complete, false);
    const tree = set.jobTree({ session: { id: 1, time: 1_700_000_000 } });
    let readable = 0;
    for (let file = 0; file < 12; file += 1) {
      const id = await lookupPath(tree, utf8(`/s0/f${file}`));
      if (id === undefined) continue;
      try {
        const source = await tree.open(id);
        assert.deepEqual(new Set(await readRange(source, 0, source.size)), new Set([file + 1]));
        readable += 1;
      } catch (error) {
        assert.ok(error instanceof IntegrityError, String(error));
        assert.equal(typeof error.data['volume'], 'string');
      }
    }
    assert.ok(readable > 0 && readable < 12, `${readable} files can be read without volume ${missing}`);
  }
});

test('a volume given twice is named and read once', async () => {
  const volumes = await build(threeVolumes);
  const set = await openBytes([...volumes, volumes.at(-1) ?? new Uint8Array()]);
  assert.deepEqual(set.problems().map((problem) => problem.kind), ['duplicate-volume']);
});

/** One session from records; `extra` may add what a daemon would not. */
async function oneSession(fill: (session: SessionWriter) => void, counts: EndValues = {}): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  const writer = new VolumeWriter({ version: 'BB03', blockBytes: 64_512, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  const names = { id: 5, time: 1_700_000_000, jobId: 9 };
  writer.label('V', names, 0, 1.7e15);
  const session = new SessionWriter(writer, names);
  session.start();
  fill(session);
  session.end(counts);
  return Buffer.concat(blocks);
}

async function kinds(fill: (session: SessionWriter) => void, counts: EndValues = {}): Promise<readonly string[]> {
  return (await openBytes([await oneSession(fill, counts)])).problems().map((problem) => problem.kind);
}

const file = (index: number, name: string, size: number, type = 3): Uint8Array => encodeAttributes({ fileIndex: index, type, name: utf8(name) }, encodeLstat({ mode: 0o100644, size }));

test('what a session should not hold has a name', async () => {
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 0, 2)); }, { files: 2 }), ['end-count-differs']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 0, 2)); }, { bytes: 2 }), ['end-count-differs']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 5)); }), ['missing-data']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 5)); s.record(1, 2, utf8('abc')); }), ['size-differs']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/../a', 0, 2)); }), ['bad-path']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, utf8('nonsense')); }), ['bad-attributes']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 0, 2)); s.record(2, 1, file(2, '/a', 0, 2)); }), [], 'overlapping FileSets');
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 0, 2)); s.record(2, 1, file(2, '/a', 1)); s.record(2, 2, utf8('x')); }), ['duplicate-path']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(2, '/a', 0, 2)); s.record(2, 1, file(1, '/b', 0, 2)); }), ['bad-attributes']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 3, 24)); }), ['missing-base']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/pipe', -1)); s.record(1, 3, new Uint8Array(16)); }), [], 'a pipe whose size nobody knew');
  assert.deepEqual(await kinds((s) => { s.record(1, 2, utf8('abc')); }), ['orphan-record']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 0, 2)); s.record(1, 777, utf8('abc')); s.record(1, 777, utf8('abc')); }), ['unknown-stream']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 0, 2)); s.record(1, 1005, utf8('abc')); }), ['stream-not-applied']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 3)); s.record(1, 11, utf8('abc')); }), ['unsupported-stream']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, file(1, '/a', 3)); s.record(1, 2, utf8('abc')); s.record(1, 3, new Uint8Array(16)); s.record(1, 3, new Uint8Array(16)); }), ['duplicate-stream']);
  assert.deepEqual(await kinds((s) => { s.record(1, 1, encodeAttributes({ fileIndex: 1, type: 1, name: utf8('/l') }, encodeLstat({ mode: 0o100644, linkFileIndex: 7 }))); }), ['missing-link-target']);
});

test('a wrong digest is an IntegrityError on the last byte and a problem when contents are verified', async () => {
  const set = await openBytes([await oneSession((s) => { s.record(1, 1, file(1, '/a', 3)); s.record(1, 2, utf8('abc')); s.record(1, 3, new Uint8Array(16)); })]);
  assert.deepEqual(set.problems(), []);
  const tree = set.jobTree({ jobId: 9 });
  const source = await tree.open(await lookupPath(tree, utf8('/a')) ?? tree.rootId);
  assert.equal(Buffer.from(await readRange(source, 0, 2)).toString(), 'ab');
  await assert.rejects(readRange(source, 2, 1), IntegrityError);
  const found = [];
  for await (const problem of set.verifyContents()) found.push(problem.kind);
  assert.deepEqual(found, ['digest-mismatch']);
});

test('the size of compressed content is that of the content, even where the attributes say otherwise', async () => {
  const content = Buffer.alloc(150_000, 'holdfast');
  const set = await openBytes([await oneSession((s) => {
    s.record(1, 1, file(1, '/grown', 140_000));
    for (let at = 0; at < content.length; at += 65_536) s.record(1, STREAM.GZIP_DATA, deflateSync(content.subarray(at, at + 65_536)));
    s.record(1, STREAM.MD5_DIGEST, createHash('md5').update(content).digest());
  })]);
  const tree = set.jobTree({ jobId: 9 });
  const source = await tree.open(await lookupPath(tree, utf8('/grown')) ?? tree.rootId);
  assert.equal(source.size, content.length);
  assert.deepEqual(Buffer.from(await readRange(source, 0, source.size)), content);
  assert.deepEqual(set.problems().map((problem) => problem.kind), ['size-differs']);
});

test('the size of a pipe and of a raw device is that of what was read', async () => {
  const content = Buffer.alloc(100_000, 'pipe');
  const set = await openBytes([await oneSession((s) => {
    s.record(1, 1, file(1, '/pipe', -1));
    for (let at = 0; at < content.length; at += 65_536) s.record(1, STREAM.GZIP_DATA, deflateSync(content.subarray(at, at + 65_536)));
    s.record(2, 1, encodeAttributes({ fileIndex: 2, type: 16, name: utf8('/device') }, encodeLstat({ mode: 0o60600 })));
    s.record(2, STREAM.SPARSE_DATA, Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 1, 0, 0]), utf8('last')]));
  })]);
  const tree = set.jobTree({ jobId: 9 });
  for (const [path, size] of [['/pipe', content.length], ['/device', 65_540]] as const) {
    const id = await lookupPath(tree, utf8(path)) ?? tree.rootId;
    assert.equal((await tree.stat(id)).size, size);
    assert.equal((await readRange(await tree.open(id), 0, size)).length, size);
  }
  for await (const problem of set.verifyContents()) assert.fail(problem.message);
  assert.deepEqual(set.problems(), []);
});

test('the file that a cancelled job was storing is no whole file', async () => {
  const set = await openBytes([await oneSession((s) => {
    s.record(1, 1, file(1, '/whole', 3));
    s.record(1, 2, utf8('abc'));
    s.record(1, 3, createHash('md5').update('abc').digest());
    s.record(2, 1, file(2, '/part', -1));
    s.record(2, STREAM.GZIP_DATA, deflateSync(utf8('abc')));
  }, { status: 'A' })]);
  assert.deepEqual(set.problems().map((problem) => [problem.kind, problem.jobId, problem.session?.id]), [['damaged-file', 9, 5], ['job-not-ok', 9, 5]]);
  const tree = set.jobTree({ jobId: 9 });
  assert.equal((await tree.open(await lookupPath(tree, utf8('/whole')) ?? tree.rootId)).size, 3);
  await assert.rejects(tree.open(await lookupPath(tree, utf8('/part')) ?? tree.rootId), /status 'A' before all of the file/);
});

test('random reads of compressed content are those of the content', async () => {
  const content = Buffer.from([...Array(400_000).keys()].map((i) => (i * i) >>> 7));
  const set = await openBytes([await oneSession((s) => {
    s.record(1, 1, file(1, '/a', content.length));
    for (let at = 0; at < content.length; at += 65_536) s.record(1, STREAM.GZIP_DATA, deflateSync(content.subarray(at, at + 65_536)));
    s.record(1, STREAM.MD5_DIGEST, createHash('md5').update(content).digest());
  })]);
  const tree = set.jobTree({ jobId: 9 });
  const id = await lookupPath(tree, utf8('/a')) ?? tree.rootId;
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(content.length - 1), fc.nat(100_000)), { maxLength: 8 }), async (reads) => {
    const source = await tree.open(id);
    await Promise.all(reads.map(async ([offset, length]) => {
      const size = Math.min(length, content.length - offset);
      assert.deepEqual(Buffer.from(await readRange(source, offset, size)), content.subarray(offset, offset + size));
    }));
  }), { numRuns: 25 });
});

test('restore objects come back, compressed or not', async () => {
  const data = Buffer.alloc(2000, 'object ');
  const packed = deflateSync(data);
  const head = (index: number, stored: number, compression: number): Uint8Array => utf8(`${index} 25 1 ${stored} ${data.length} ${compression} plugin\0name-${index}\0`);
  const set = await openBytes([await oneSession((s) => {
    s.record(1, STREAM.RESTORE_OBJECT, Buffer.concat([head(1, packed.length, 1), packed]));
    s.record(2, STREAM.RESTORE_OBJECT, Buffer.concat([head(2, data.length, 0), data]));
  })]);
  assert.deepEqual(set.problems(), []);
  const objects = await set.restoreObjects({ jobId: 9 });
  assert.deepEqual(objects.map((object) => [object.objectName, Buffer.from(object.bytes).equals(data)]), [['name-1', true], ['name-2', true]]);
});

test('other files are no volumes; an old or cloud volume is refused by name', async () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(10), new Uint8Array(100_000), utf8('#!/bin/sh\n'.repeat(50))]) await assert.rejects(openBytes([bytes]), FormatError);
  const old = await oneSession(() => {});
  old[15] = 0x31;
  await assert.rejects(openBytes([old]), UnsupportedError);
  const cloud = Buffer.from(await oneSession(() => {}));
  const at = cloud.indexOf('Bacula 1.0 immortal');
  cloud.write('Bacula 1.0 Metadata', at);
  const size = cloud.readUInt32BE(4);
  cloud.fill(0, 24, 32);
  cloud.set((await sharedBlockHasher()).init().update(cloud.subarray(0, size)).digest('binary'), 24);
  await assert.rejects(openBytes([cloud]), /Bacula 1.0 Metadata/);
});

test('random bytes behind a good head give documented errors only, in bounded time', async () => {
  const good = await oneSession((s) => { s.record(1, 1, file(1, '/a', 3)); s.record(1, 2, utf8('abc')); });
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 3000, size: 'max' }), fc.nat(good.length), async (noise, at) => {
    try {
      const set = await openBytes([Buffer.concat([good.subarray(0, at), noise, Buffer.from('BB02BB03'), noise])]);
      set.problems();
      for (const { session } of set.jobs()) for await (const page of set.jobTree({ session }).list(set.jobTree({ session }).rootId)) assert.ok(page.length >= 0);
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error));
    }
  }), { numRuns: 300 });
});
