/** Damage with a name: the error says which structure and field; and mutated images never do anything but fail in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { crc32c, FormatError, HoldfastError, LimitError, MemorySource, UnsupportedError } from '../../core/index.ts';
import type { DiskImage, ImageFormatName } from './image.ts';
import { probeImage } from './open.ts';
import { buildCowd, buildLogEntry, buildSeSparse, buildVhd, buildVhdx, type Difference, nameLog } from './testing/builders.ts';
import { fixture, fixtureContext, openBytes, wholeDisk } from './testdata/fixture.ts';
import { vhdChecksum } from './vhd/header.ts';

async function changed(name: string, changes: readonly (readonly [number, string])[]): Promise<Uint8Array> {
  const bytes = (await fixture(name)).slice();
  for (const [at, hex] of changes) bytes.set(Buffer.from(hex, 'hex'), at);
  return bytes;
}

/** Image, bytes that are changed, the field that the error names. */
const damages = [
  ['v2.qcow2', [[20, '0000003f']], 'cluster_bits'], ['v2.qcow2', [[24, 'fffffffffffffe00']], 'size'], ['v2.qcow2', [[36, '7fffffff']], 'imageDirectoryBytesMax'],
  ['v2.qcow2', [[40, '00000000ffff0000']], 'l1_table_offset'], ['v2.qcow2', [[24, '0000000100000000']], 'l1_size'], ['v2.qcow2', [[0x30000, '8000000000030000']], 'entry 0'],
  ['v2.qcow2', [[0x40000, '8000000000040000']], 'host cluster offset'], ['v2.qcow2', [[0x40000, '8000000000050001']], 'entry'], ['v2.qcow2', [[0x40000, '8000007700000000']], 'host cluster offset'],
  ['zlib.qcow2', [[0x50000, 'ffffffffffffffffffffffff']], 'data'], ['base.qcow2', [[116, 'fffffff0']], 'length'], ['snapshot.qcow2', [[60, '00100000']], 'imageSnapshotsMax'],
  ['dynamic.vhdx', [[65_540, '00'], [131_076, '00']], 'Checksum'],
  ['sparse.vmdk', [[44, '01000000']], 'numGTEsPerGT'], ['sparse.vmdk', [[20, '0000000000000000']], 'grainSize'], ['sparse.vmdk', [[73, '0d']], 'singleEndLineChar'], ['sparse.vmdk', [[12, 'ffffffffff0f0000']], 'imageDirectoryBytesMax'],
  ['stream.vmdk', [[65_544, 'f0ffffff']], 'size'], ['dynamic.vdi', [[0x178, '00000000']], 'blockSize'], ['dynamic.vdi', [[0x180, '01000000']], 'blocks'], ['dynamic.vdi', [[0x200, '10000000']], 'entry 0'],
] as const;

for (const [name, changes, field] of damages) {
  test(`${name} with a wrong ${field} is refused by that name`, async () => {
    const bytes = await changed(name, changes);
    await assert.rejects(openBytes(bytes).then(wholeDisk), (error: unknown) => {
      assert.ok(error instanceof FormatError || error instanceof LimitError, String(error));
      assert.equal(error instanceof FormatError ? error.fault.field : error.data['limit'], field);
      return true;
    });
  });
}

test('one damaged copy is no loss where there are two', async () => {
  const disk = await fixture('disk.raw');
  for (const [name, at] of [['dynamic.vhdx', 65_540], ['dynamic.vhdx', 131_076], ['dynamic.vhdx', 192 << 10], ['dynamic.vhd', 64]] as const) {
    const image = await openBytes(await changed(name, [[at, '5a5a']]));
    assert.ok(Buffer.compare(await wholeDisk(image), disk) === 0, name);
  }
});

test('a file that was cut is refused when the lost part is read, never read as zeroes', async () => {
  for (const name of ['v2.qcow2', 'zlib.qcow2', 'dynamic.vhdx', 'sparse.vmdk', 'stream.vmdk', 'dynamic.vdi', 'dynamic.vhd', 'fixed.vhd', 'fixed.vhdx', 'extended.qcow2', 'tiny-clusters.qcow2']) {
    const whole = await fixture(name);
    await assert.rejects(openBytes(whole.subarray(0, Math.floor(whole.length * 0.4)), fixtureContext(), name.split('.')[1] as 'vhd').then(wholeDisk), HoldfastError, name);
  }
});

test('a backing file whose format nobody vouches for may not name another one', async () => {
  // A guest wrote a qcow2 header into its raw disk; the overlay does not say that its backing file is raw.
  const overlay = (await fixture('child.qcow2')).slice();
  const at = Buffer.from(overlay).indexOf(Buffer.from('e2792aca', 'hex'));
  overlay.set(Buffer.from('12345678', 'hex'), at);
  await assert.rejects(openBytes(overlay, fixtureContext(new Map([['base.qcow2', await fixture('child.qcow2')]]))), UnsupportedError);
  const image = await openBytes(overlay);
  assert.ok(Buffer.compare(await wholeDisk(image), await fixture('child.raw')) === 0, 'one that stands alone is read');
});

const names = ['v2.qcow2', 'tiny-clusters.qcow2', 'zlib.qcow2', 'zstd.qcow2', 'extended.qcow2', 'child.qcow2', 'snapshot.qcow2', 'data-file.qcow2', 'dynamic.vhdx', 'dynamic.vhd', 'sparse.vmdk', 'stream.vmdk', 'split.vmdk', 'dynamic.vdi'] as const;

/** Images to damage: those of qemu-img, and kinds that only our builders make. */
async function goodImage(name: string): Promise<Uint8Array> {
  const sectors = new Map([[3, new Uint8Array(512).fill(1)], [700, new Uint8Array(512).fill(2)]]);
  const { length: size } = await fixture('disk.raw');
  const difference = async (parentName: string, blockBytes: number): Promise<Difference> => (
    { size, blockBytes, sectors, parentName, parentIdentity: (await openBytes(await fixture(parentName))).facts.identity ?? '' }
  );
  switch (name) {
    case 'difference.vhd': return buildVhd(await difference('dynamic.vhd', 65_536));
    case 'difference.vhdx': return buildVhdx(await difference('dynamic.vhdx', 1 << 20));
    case 'cowd.vmdk': return buildCowd(size, sectors);
    case 'snapshot.vmdk': return buildSeSparse(size, new Map([[5, new Uint8Array(4096).fill(1)]]), [7]);
    case 'log.vhdx': {
      const file = (await fixture('dynamic.vhdx')).slice();
      const guid = new Uint8Array(16).fill(3);
      file.set(buildLogEntry([{ offset: 2 << 20, bytes: file.slice(2 << 20, (2 << 20) + 4096) }], { sequence: 1, tail: 0, fileBytes: file.length, guid }), 1 << 20);
      nameLog(file, guid);
      return file;
    }
    default: return fixture(name);
  }
}

/** Places that hold metadata: the first 4 KiB, tables, the end; and anywhere. */
const places = fc.oneof(fc.nat(600), fc.nat(4096), fc.constantFrom(0x10000, 0x20000, 0x30000, 0x40000, 0x100000, 0x200000, 0x210000, 0x300000).chain((at) => fc.nat(256).map((by) => at + by)), fc.nat(700).map((back) => -1 - back), fc.nat(3 << 20));
const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', 'ffffffff', '00000000', 'ffffffffffffffff'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));
const mutations = fc.record({ changes: fc.array(fc.tuple(places, values), { minLength: 1, maxLength: 4 }), cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 6, nil: 1 }) });

function damaged(good: Uint8Array, { changes, cut }: { readonly changes: readonly (readonly [number, string])[]; readonly cut: number }): Uint8Array {
  const bytes = good.slice(0, Math.floor(good.length * cut));
  for (const [place, hex] of changes) {
    const at = place < 0 ? bytes.length + place : place;
    if (at >= 0 && at < bytes.length) bytes.set(Buffer.from(hex, 'hex').subarray(0, bytes.length - at), at);
  }
  return bytes;
}

/** Reads both ends of a disk, some of its extents, and its snapshots: a disk may say that it is huge. */
async function readSome(image: DiskImage): Promise<void> {
  const part = new Uint8Array(Math.min(image.size, 1 << 20));
  await image.readInto(0, part);
  await image.readInto(image.size - part.length, part);
  let count = 0;
  for await (const { length } of image.extents(0, Math.min(image.size, 2 ** 32))) {
    assert.ok(length > 0);
    if ((count += 1) > 20_000) break;
  }
  for (const { name } of image.facts.snapshots ?? []) {
    const snapshot = await image.openSnapshot?.(name);
    await snapshot?.readInto(0, part.subarray(0, Math.min(512, snapshot.size)));
  }
}

/** Checksums would refuse most damage to a VHD or VHDX before it is looked at: half of the runs have them made good. */
function repaired(bytes: Uint8Array, name: string): Uint8Array {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (name.endsWith('.vhd') && bytes.length > 2048) {
    for (const [start, length, at] of [[0, 512, 64], [512, 1024, 36], [bytes.length - 512, 512, 64]] as const) view.writeUInt32BE(vhdChecksum(bytes.subarray(start, start + length), at), start + at);
  }
  if (name.endsWith('.vhdx') && bytes.length > 1 << 20) {
    for (const [start, length] of [[65_536, 4096], [131_072, 4096], [196_608, 65_536], [262_144, 65_536]] as const) {
      view.writeUInt32LE(0, start + 4);
      view.writeUInt32LE(crc32c(bytes.subarray(start, start + length)), start + 4);
    }
  }
  return bytes;
}

for (const name of [...names, 'difference.vhd', 'difference.vhdx', 'cowd.vmdk', 'snapshot.vmdk', 'log.vhdx']) {
  test(`mutated ${name} reads or fails in order, within bounds`, async () => {
    const good = await goodImage(name);
    await fc.assert(fc.asyncProperty(mutations, fc.boolean(), async (mutation, repair) => {
      const bytes = repair ? repaired(damaged(good, mutation), name) : damaged(good, mutation);
      const before = process.memoryUsage().arrayBuffers;
      try {
        await probeImage(new MemorySource(bytes));
        const image = await openBytes(bytes, fixtureContext(), name.split('.')[1] as ImageFormatName);
        await readSome(image);
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 256 << 20, 'memory');
    }), { numRuns: 60 });
  });
}
