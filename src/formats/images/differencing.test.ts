/** Kinds that no free tool writes, built here; parents are images that qemu-img made. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, LimitError, MemorySource } from '../../core/index.ts';
import { buildCowd, buildLogEntry, buildSeSparse, buildVdi, buildVhd, buildVhdx, nameLog } from './testing/builders.ts';
import { fixture, fixtureContext, openBytes, wholeDisk } from './testdata/fixture.ts';

const SECTOR = 512;

/** Some sectors, none of which the parent has like that. */
const sectorSets = fc.array(fc.tuple(fc.nat(6150), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 12 }).map((runs) => {
  const sectors = new Map<number, Uint8Array>();
  for (const [start, count] of runs) for (let i = start; i < Math.min(start + count, 6151); i += 1) sectors.set(i, new Uint8Array(SECTOR).fill(0x80 | i & 0x7f));
  return sectors;
});

function applied(parent: Uint8Array, sectors: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const disk = parent.slice();
  for (const [sector, bytes] of sectors) disk.set(bytes, sector * SECTOR);
  return disk;
}

async function identityOf(name: string): Promise<string> {
  const { identity } = (await openBytes(await fixture(name))).facts;
  assert.ok(identity !== undefined);
  return identity;
}

for (const [format, build, parentName, blockBytes] of [['vhd', buildVhd, 'dynamic.vhd', 64 << 10], ['vhdx', buildVhdx, 'dynamic.vhdx', 1 << 20]] as const) {
  test(`a differencing ${format} holds its sectors, and its parent the others`, async () => {
    const parent = await fixture('disk.raw');
    const parentIdentity = await identityOf(parentName);
    await fc.assert(fc.asyncProperty(sectorSets, async (sectors) => {
      const image = await openBytes(build({ size: parent.length, blockBytes, sectors, parentName, parentIdentity }));
      assert.equal(image.facts.variant, 'differencing');
      assert.ok(Buffer.compare(await wholeDisk(image), applied(parent, sectors)) === 0);
      await image.close();
    }), { numRuns: 15 });
  });

  test(`a differencing ${format} refuses another parent, and a chain that turns in a circle`, async () => {
    const sectors = new Map([[3, new Uint8Array(SECTOR).fill(1)]]);
    const size = (await fixture('disk.raw')).length;
    const stranger = build({ size, blockBytes, sectors, parentName, parentIdentity: '00112233-4455-6677-8899-aabbccddeeff' });
    await assert.rejects(openBytes(stranger), (error: unknown) => error instanceof FormatError && error.fault.field === 'identity');
    // Its own parent: identities are those that the builders give.
    const own = format === 'vhd' ? '07070707-0707-0707-0707-070707070707' : '02020202-0202-0202-0202-020202020202';
    const circle = build({ size, blockBytes, sectors, parentName: 'self', parentIdentity: own });
    await assert.rejects(openBytes(circle, fixtureContext(new Map([['self', circle]]))), LimitError);
  });
}

test('a differencing VDI has blocks, zero blocks, and its parent for the others', async () => {
  const parent = await fixture('disk.raw');
  const block = new Uint8Array(64 << 10).fill(0x5a);
  const image = await openBytes(
    buildVdi({ size: parent.length, blockBytes: 64 << 10, blocks: new Map([[2, block], [40, block]]), zeroes: [1], parentIdentity: await identityOf('dynamic.vdi') }),
    { ...fixtureContext(), resolveReference: async () => new MemorySource(await fixture('dynamic.vdi')) },
  );
  const expected = parent.slice();
  expected.fill(0, 64 << 10, 128 << 10);
  expected.set(block, 2 * (64 << 10));
  expected.set(block, 40 * (64 << 10));
  assert.ok(Buffer.compare(await wholeDisk(image), expected) === 0);
});

test('a COWD redo log above a parent', async () => {
  const parent = await fixture('disk.raw');
  const { identity = '' } = (await openBytes(await fixture('sparse.vmdk'))).facts;
  await fc.assert(fc.asyncProperty(sectorSets, async (sectors) => {
    const descriptor = `# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=${identity}\ncreateType="vmfsSparse"\nparentFileNameHint="sparse.vmdk"\nRW ${parent.length / SECTOR} VMFSSPARSE "redo.vmdk"\n`;
    const image = await openBytes(Buffer.from(descriptor), fixtureContext(new Map([['redo.vmdk', buildCowd(parent.length, sectors)]])));
    assert.ok(Buffer.compare(await wholeDisk(image), applied(parent, sectors)) === 0);
  }), { numRuns: 10 });
});

test('an SEsparse snapshot above a parent: grains that are here, zero, or its parent\'s', async () => {
  const parent = await fixture('disk.raw');
  const { identity = '' } = (await openBytes(await fixture('sparse.vmdk'))).facts;
  const grains = new Map([700, 3, 4, 5].map((grain) => [grain, new Uint8Array(4096).fill(grain & 0x7f | 0x80)]));
  const descriptor = `# Disk DescriptorFile\nCID=00000001\nparentCID=${identity}\ncreateType="seSparse"\nparentFileNameHint="sparse.vmdk"\nRW ${parent.length / SECTOR} SESPARSE "snapshot.vmdk"\n`;
  const image = await openBytes(Buffer.from(descriptor), fixtureContext(new Map([['snapshot.vmdk', buildSeSparse(parent.length, grains, [9, 10])]])));
  const expected = parent.slice();
  for (const [grain, bytes] of grains) expected.set(bytes, grain * 4096);
  expected.fill(0, 9 * 4096, 11 * 4096);
  assert.ok(Buffer.compare(await wholeDisk(image), expected) === 0);
});

/** Where qemu-img put the log of `dynamic.vhdx`. */
const LOG_AT = 1 << 20;
const guid = new Uint8Array(16).fill(0x33);

/** `dynamic.vhdx` with sectors of 4 KiB lost, which its log holds; the entry at `logAt` of the log. */
async function withLog(lost: readonly number[], logAt: number): Promise<Uint8Array> {
  const file = (await fixture('dynamic.vhdx')).slice();
  const at = { fileBytes: file.length, guid, tail: logAt };
  // Two entries: the first writes rubbish that the second makes good.
  const first = buildLogEntry(lost.map((offset) => ({ offset, bytes: new Uint8Array(4096).fill(0x11) })), { ...at, sequence: 7 });
  const second = buildLogEntry(lost.map((offset) => ({ offset, bytes: file.slice(offset, offset + 4096) })), { ...at, sequence: 8 });
  const ring = new Uint8Array(1 << 20);
  const both = Buffer.concat([first, second]);
  for (const [i, byte] of both.entries()) ring[(logAt + i) % ring.length] = byte;
  for (const offset of lost) file.fill(0xee, offset, offset + 4096);
  file.set(ring, LOG_AT);
  nameLog(file, guid);
  return file;
}

test('a VHDX log is replayed in memory: newest write wins, also around the end of the ring', async () => {
  const disk = await fixture('disk.raw');
  const clean = await fixture('dynamic.vhdx');
  // The region table names the BAT's place: its first sector is lost, and one of the disk's data.
  const table = Buffer.from(clean.subarray(192 << 10, 256 << 10));
  const batAt = Number(table.readBigUInt64LE(16 + 16));
  const metadataAt = Number(table.readBigUInt64LE(48 + 16));
  for (const logAt of [0, (1 << 20) - 8192, 40_960]) {
    const damaged = await withLog([batAt, metadataAt + 65_536], logAt);
    const image = await openBytes(damaged);
    assert.ok(Buffer.compare(await wholeDisk(image), disk) === 0, `log at ${logAt}`);
    assert.match(image.facts.remarks.join(), /2 entries/);
  }
});

test('a VHDX log that cannot be replayed is an error, never ignored', async () => {
  const damaged = await withLog([2 << 20], 0);
  for (let at = LOG_AT; at < LOG_AT + 65_536; at += 4096) damaged[at + 100]! ^= 1;
  await assert.rejects(openBytes(damaged), (error: unknown) => error instanceof FormatError && error.fault.structure === 'VHDX log');
});
