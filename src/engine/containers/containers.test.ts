/** Containers on their own: round trips, golden bytes, hostile bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sampleId } from '../../core/conformance/chunk-index.ts';
import { FormatError, IntegrityError, LimitError, UnsupportedError, crc32c, defaultLimits, type DiskFile, type World } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { DiskObjects } from '../objects/index.ts';
import { memoryWorld } from '../world/index.ts';
import { crc32 } from './checksums.ts';
import { TABLE_ROW_BYTES, containerHeader, containerTrailer, groupHeader } from './container.layout.ts';
import { containerNumber, containerPath, encodeContainerHeader, listContainers, readContainerHeader, readGroup, scanGroups } from './container.ts';
import { ContainerWriter } from './container-writer.ts';
import { encodeFooter, readFooter } from './footer.ts';
import { decodeGroup, encodeGroupHead, type GroupParts } from './group.ts';

const number = containerNumber(Uint8Array.from([0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89]));
const repository = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);

function partsOf(chunks: readonly Uint8Array[]): GroupParts {
  const table = new Uint8Array(chunks.length * TABLE_ROW_BYTES);
  chunks.forEach((chunk, i) => {
    table.set(sampleId(i), i * TABLE_ROW_BYTES);
    new DataView(table.buffer).setUint32(i * TABLE_ROW_BYTES + 32, chunk.length);
  });
  const payload = new Uint8Array(Buffer.concat(chunks));
  return { codec: 'none', table, count: chunks.length, rawLength: payload.length, payload };
}

function recordOf(parts: GroupParts, place: { readonly containerLow: number; readonly offset: number }): Uint8Array {
  return new Uint8Array(Buffer.concat([encodeGroupHead(parts, place), parts.table, parts.payload]));
}

async function fileOf(bytes: Uint8Array): Promise<DiskFile> {
  const file = await memoryWorld().disk.create('f');
  await file.writeFrom(0, bytes);
  return file;
}

async function bytesOf(world: World): Promise<Uint8Array> {
  const file = await world.disk.open(containerPath(number), 'read');
  const bytes = new Uint8Array(file.size);
  await file.readInto(0, bytes);
  return bytes;
}

async function written(groups: readonly (readonly Uint8Array[])[]): Promise<Uint8Array> {
  const world = memoryWorld();
  const writer = await ContainerWriter.create(new DiskObjects(world, 'test'), { number, kind: 'data', repository });
  for (const chunks of groups) await writer.append(partsOf(chunks));
  await writer.seal();
  return bytesOf(world);
}

const chunks = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 12 });
const isDocumented = (error: unknown): boolean => error instanceof FormatError || error instanceof LimitError || error instanceof UnsupportedError || error instanceof IntegrityError;

test('a container has the bytes that docs/formats/container.md tells', async () => {
  const bytes = await written([[Buffer.from('hello')]]);
  const parts = [
    '4846435400010000abcdef0123456789010203040506070800000000beb3cfeb', // header
    '48464752010000000000000100000005000000052345678900000020da86c8143610a6862f0a6d87', // head of the group
    '327fbcafc916e187d1dd45414a6137eac8d78aabce5c531bbd67b1ada89dc14a00000005', // its table: id and length
    '68656c6c6f', // its payload
    '4846465400010000000000010000000100000071', // head of the footer
    '000000200000005100000001', // its row
    'e078d836bd800f20953fedc4cd405b662e89f4914088b139123f5ee957f21e180000002090faca124846454e', // trailer
  ];
  assert.equal(Buffer.from(bytes).toString('hex'), parts.join(''), 'a change here is a change of the format: it needs a new version');
  assert.equal(bytes.length, 32 + 40 + 36 + 5 + 20 + 12 + 44);
});

test('groups come back as they were written, from the footer and without it', async () => {
  await fc.assert(fc.asyncProperty(fc.array(chunks, { maxLength: 5 }), async (groups) => {
    const bytes = await written(groups);
    const file = await fileOf(bytes);
    assert.equal(await readContainerHeader(file, number), 'data');
    const rows = await readFooter(file, defaultLimits);
    assert.deepEqual(rows?.map(({ chunkCount }) => chunkCount), groups.map(({ length }) => length));
    const unsealed = await fileOf(bytes.subarray(0, bytes.length - containerTrailer.size - 20 - 12 * groups.length));
    for (const [source, known] of [[file, rows], [unsealed, undefined]] as const) {
      let i = 0;
      for await (const found of scanGroups(source, number, defaultLimits, known)) {
        assert.ok('group' in found);
        const parts = partsOf(groups[i] as readonly Uint8Array[]);
        assert.deepEqual(Buffer.from(found.group.table), Buffer.from(parts.table));
        const record = await readGroup(source, number, { offset: found.group.offset, length: found.group.head.recordLength }, defaultLimits);
        assert.deepEqual(Buffer.from(record.payload), Buffer.from(parts.payload));
        i += 1;
      }
      assert.equal(i, groups.length);
    }
  }), { numRuns: 60 });
});

test('a record that belongs elsewhere is refused, however sound it is', () => {
  const place = { containerLow: number.low, offset: 32 };
  const record = recordOf(partsOf([seededBytes(100, 1)]), place);
  assert.equal(decodeGroup(record, place, defaultLimits).head.count, 1);
  assert.throws(() => decodeGroup(record, { ...place, containerLow: number.low ^ 1 }, defaultLimits), (error: FormatError) => error.fault.field === 'containerLow');
  assert.throws(() => decodeGroup(record, { ...place, offset: 33 }, defaultLimits), (error: FormatError) => error.fault.field === 'offset');
});

test('a header of another container, kind or version is refused', async () => {
  const good = encodeContainerHeader(number, 'metadata', repository);
  assert.equal(await readContainerHeader(await fileOf(good), number), 'metadata');
  const other = containerNumber(Uint8Array.from([1, 1, 1, 1, 1, 1, 1, 1]));
  await assert.rejects(readContainerHeader(await fileOf(good), other), (error: FormatError) => error.fault.field === 'number');
  const changed = async (offset: number, value: number): Promise<DiskFile> => {
    const bytes = good.slice();
    bytes[offset] = value;
    new DataView(bytes.buffer).setUint32(containerHeader.offsets.headerCrc32c, crc32c(bytes.subarray(0, containerHeader.offsets.headerCrc32c)));
    return fileOf(bytes);
  };
  await assert.rejects(readContainerHeader(await changed(5, 2), number), UnsupportedError, 'version 2');
  await assert.rejects(readContainerHeader(await changed(7, 2), number), UnsupportedError, 'an unknown flag');
  await assert.rejects(readContainerHeader(await changed(containerHeader.offsets.kind + 1, 9), number), FormatError);
});

test('counts and lengths beyond the limits are refused before anything is allocated for them', () => {
  const place = { containerLow: number.low, offset: 32 };
  for (const [field, value] of [['chunkCount', 0xffff_ffff], ['rawLength', 0xffff_ffff], ['storedLength', 0x8000_0000]] as const) {
    const head = encodeGroupHead(partsOf([seededBytes(10, 1)]), place);
    const view = new DataView(head.buffer);
    view.setUint32(groupHeader.offsets[field], value);
    view.setUint32(groupHeader.offsets.headerCrc32c, crc32c(head.subarray(0, groupHeader.offsets.headerCrc32c)));
    assert.throws(() => decodeGroup(head, place, defaultLimits), LimitError, field);
  }
  const parts = partsOf([seededBytes(10, 1)]);
  new DataView(parts.table.buffer).setUint32(32, 0xffff_ffff);
  assert.throws(() => decodeGroup(recordOf(parts, place), place, defaultLimits), LimitError, 'a chunk longer than a chunk can be');
});

test('changed and random bytes give documented errors, never others, and never a changed table', async () => {
  const bytes = await written([[seededBytes(200, 1), seededBytes(50, 2)], [seededBytes(99, 3)]]);
  const tables = new Set<string>();
  for await (const found of scanGroups(await fileOf(bytes), number, defaultLimits, undefined)) if ('group' in found) tables.add(Buffer.from(found.group.table).toString('hex'));
  const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const hostile = fc.oneof(
    changes.map((list) => { const copy = bytes.slice(); for (const [at, value] of list) copy[at] = value; return copy; }),
    fc.tuple(fc.nat(bytes.length), fc.uint8Array({ maxLength: 200 })).map(([cut, tail]) => new Uint8Array(Buffer.concat([bytes.subarray(0, cut), tail]))),
    fc.uint8Array({ maxLength: 400 }),
  );
  await fc.assert(fc.asyncProperty(hostile, async (input) => {
    const file = await fileOf(input);
    const attempt = async <T>(run: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await run();
      } catch (error) {
        assert.ok(isDocumented(error), String(error));
        return undefined;
      }
    };
    await attempt(() => readContainerHeader(file, number));
    const rows = await attempt(() => readFooter(file, defaultLimits));
    for (const known of [rows, undefined]) {
      for await (const found of scanGroups(file, number, defaultLimits, known)) {
        if ('group' in found) assert.ok(tables.has(Buffer.from(found.group.table).toString('hex')));
        else assert.ok(isDocumented(found.fault));
      }
    }
    await attempt(async () => decodeGroup(input, { containerLow: number.low, offset: 32 }, defaultLimits));
  }), { numRuns: 500 });
});

test('each changed byte of footer and trailer is noticed', async () => {
  const rows = [{ offset: 32, length: 100, chunkCount: 2 }, { offset: 132, length: 50, chunkCount: 1 }];
  const body = new Uint8Array(182);
  const whole = new Uint8Array(Buffer.concat([body, encodeFooter(rows, 182)]));
  assert.deepEqual(await readFooter(await fileOf(whole), defaultLimits), rows);
  for (let at = 182; at < whole.length; at += 1) {
    const copy = whole.slice();
    copy[at] = (copy[at] as number) ^ 0x10;
    const isMagic = at >= whole.length - 4;
    if (isMagic) assert.equal(await readFooter(await fileOf(copy), defaultLimits), undefined, 'without its last bytes it looks unsealed');
    else await assert.rejects(readFooter(await fileOf(copy), defaultLimits), FormatError, `byte ${at}`);
  }
  assert.equal(await readFooter(await fileOf(whole.subarray(0, whole.length - 1)), defaultLimits), undefined);
});

test('a writer whose disk failed is dead', async () => {
  const world = memoryWorld();
  const writer = await ContainerWriter.create(new DiskObjects(world, 'test'), { number, kind: 'data', repository });
  await writer.abandon();
  await assert.rejects(writer.append(partsOf([seededBytes(10, 1)])), /abandoned/);
  await assert.rejects(writer.seal(), /abandoned/);
});

test('only containers are listed, in order', async () => {
  const world = memoryWorld();
  for (const name of ['containers/ab/abcdef0123456789.hfc', 'containers/00/0000000000000001.hfc', 'containers/ab/zz.hfc', 'containers/aa/abcdef0123456789.hfc', 'containers/readme']) {
    await (await world.disk.create(name)).close();
  }
  assert.deepEqual((await listContainers(new DiskObjects(world, 'test'))).map((one) => one.number.text), ['0000000000000001', 'abcdef0123456789']);
});

test('checksums have their published values', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf4_3926);
  assert.equal(crc32c(Buffer.from('123456789')), 0xe306_9283);
});
