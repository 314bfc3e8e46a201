/** Damage with a name, and mutated metadata whose checksums are made good again: only errors of ours, in bounded time and memory. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { crc32c, defaultLimits, HoldfastError, MemorySource } from '../../core/index.ts';
import { crc32 } from '../crc32.ts';
import { memberOf, openVolumeTable, probeVolumeTable } from './open.ts';
import { fixture, fixtureDisks } from './testdata/fixture.ts';
import { containers } from './testdata/sums.ts';
import { repairLvm } from './testing/lvm-disk.ts';
import type { VolumeTableName } from './volume-table.ts';

const RUNS = Number(process.env['HOLDFAST_FUZZ_RUNS'] ?? 60);

/** Makes the checksums of one kind of disk good. */
type Repair = (bytes: Uint8Array) => void;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function repairGpt(bytes: Uint8Array): void {
  const view = viewOf(bytes);
  const entries = view.getUint32(512 + 80, true) * view.getUint32(512 + 84, true);
  const at = view.getUint32(512 + 72, true) * 512;
  if (entries < 1 << 20 && at + entries <= bytes.length) view.setUint32(512 + 88, crc32(bytes.subarray(at, at + entries)), true);
  const header = Math.min(512, view.getUint32(512 + 12, true));
  view.setUint32(512 + 16, 0, true);
  view.setUint32(512 + 16, crc32(bytes.subarray(512, 512 + header)), true);
}

function repairMd(at: number): Repair {
  return (bytes) => {
    const view = viewOf(bytes);
    view.setUint32(at + 216, 0, true);
    let sum = 0;
    for (let i = 0; i < 256 + Math.min(1900, view.getUint32(at + 220, true)) * 2; i += 4) sum += i + 4 <= 256 + view.getUint32(at + 220, true) * 2 ? view.getUint32(at + i, true) : view.getUint16(at + i, true);
    view.setUint32(at + 216, (sum % 2 ** 32 + Math.floor(sum / 2 ** 32)) >>> 0, true);
  };
}

function repairLuks2(bytes: Uint8Array): void {
  bytes.fill(0, 448, 512);
  bytes.set(createHash('sha256').update(bytes.subarray(0, 16_384)).digest(), 448);
}

/** Blocks of thin metadata that are on these disks, found by their own numbers. */
function repairThin(bytes: Uint8Array, at: number, xor: number): void {
  viewOf(bytes).setUint32(at, (~crc32c(bytes.subarray(at + 4, at + 4096)) ^ xor) >>> 0, true);
}

interface Victim {
  readonly what: string;
  readonly kind: VolumeTableName;
  readonly disks: () => Promise<readonly Uint8Array[]>;
  /** Ranges of the first disk that hold metadata. */
  readonly places: readonly (readonly [number, number])[];
  readonly repair: Repair;
}

/** The metadata text of a group begins somewhere behind its head. */
const victims: readonly Victim[] = [
  { what: 'MBR', kind: 'mbr', disks: async () => [await fixture('mbr')], places: [[440, 72], [4160 * 512 + 440, 72]], repair: () => undefined },
  { what: 'GPT', kind: 'gpt', disks: async () => [await fixture('gpt')], places: [[512, 92], [1024, 512], [440, 72]], repair: repairGpt },
  { what: 'RAID 5', kind: 'md', disks: () => fixtureDisks('raid5', 3), places: [[4096, 300]], repair: repairMd(4096) },
  { what: 'RAID 0', kind: 'md', disks: () => fixtureDisks('raid0', 3), places: [[0, 300]], repair: repairMd(0) },
  { what: 'LVM label', kind: 'lvm', disks: () => fixtureDisks('lvm', 3), places: [[512, 160], [4096, 100]], repair: repairLvm },
  { what: 'LVM text', kind: 'lvm', disks: () => fixtureDisks('lvm', 3), places: [[4608, 58_000]], repair: repairLvm },
  { what: 'LUKS1', kind: 'luks', disks: async () => [await fixture('luks1-0')], places: [[0, 592]], repair: () => undefined },
  { what: 'LUKS2', kind: 'luks', disks: async () => [await fixture('luks2-0')], places: [[0, 512], [4096, 1200]], repair: repairLuks2 },
];

const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', '01', '30', '39', '7b', 'ffffffff', '00000000', 'ffffffffffffffff', '3939393939'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));

/** Opens the disks and reads a little of each volume. */
async function readSome(disks: readonly Uint8Array[], kind: VolumeTableName): Promise<void> {
  // Derivations cost what their parameters say: here they may cost little.
  const limits = { ...defaultLimits, volumeKdfWorkBytesMax: 1 << 20, volumeKdfMemoryBytesMax: 1 << 20 };
  const table = await openVolumeTable(disks.map((bytes) => new MemorySource(bytes)), { limits, keys: [Buffer.from(containers[0].key)] }, kind);
  for (const volume of table.volumes) {
    try {
      const source = await volume.open();
      for (const at of [0, Math.floor(source.size / 2), Math.max(0, source.size - 4096)]) await source.readInto(at, new Uint8Array(Math.min(4096, source.size - at)));
      let count = 0;
      for await (const { length } of source.extents(0, Math.min(source.size, 2 ** 30))) {
        assert.ok(length > 0);
        if ((count += 1) > 2000) break;
      }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  }
}

async function survives(work: () => Promise<void>): Promise<void> {
  const before = process.memoryUsage().arrayBuffers;
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof HoldfastError, String((error as Error).stack));
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 256 << 20, 'memory');
}

for (const { what, kind, disks, places, repair } of victims) {
  test(`mutated ${what} reads or fails in order, within bounds`, async () => {
    const good = await disks();
    const place = fc.oneof(...places.map(([start, length]) => fc.nat(length - 1).map((by) => start + by)));
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(place, values), { minLength: 1, maxLength: 4 }), fc.boolean(), async (changes, sound) => {
      const first = (good[0] as Uint8Array).slice();
      for (const [at, hex] of changes) first.set(Buffer.from(hex, 'hex').subarray(0, first.length - at), at);
      if (sound) repair(first);
      await survives(async () => {
        await probeVolumeTable(new MemorySource(first));
        await memberOf(new MemorySource(first));
      });
      await survives(() => readSome([first, ...good.slice(1)], kind));
    }), { numRuns: RUNS });
  });
}

test('mutated thin metadata reads or fails in order', async () => {
  const good = await fixtureDisks('lvm', 3);
  const blocks = good.flatMap((bytes, disk) => {
    const found: { readonly disk: number; readonly at: number; readonly xor: number }[] = [];
    const view = viewOf(bytes);
    for (let at = 0; at + 4096 <= bytes.length; at += 4096) {
      const stored = view.getUint32(at, true);
      const plain = ~crc32c(bytes.subarray(at + 4, at + 4096));
      for (const xor of [160_774, 121_107]) if (stored !== 0 && (plain ^ xor) >>> 0 === stored) found.push({ disk, at, xor });
    }
    return found;
  });
  assert.ok(blocks.length >= 4, `blocks of thin metadata: ${blocks.length}`);
  await fc.assert(fc.asyncProperty(fc.constantFrom(...blocks), fc.array(fc.tuple(fc.oneof(fc.nat(40), fc.nat(400), fc.nat(4080)), values), { minLength: 1, maxLength: 3 }), async ({ disk, at, xor }, changes) => {
    const disks = good.map((bytes, i) => (i === disk ? bytes.slice() : bytes));
    for (const [by, hex] of changes) disks[disk]?.set(Buffer.from(hex, 'hex'), at + by);
    repairThin(disks[disk] as Uint8Array, at, xor);
    await survives(() => readSome(disks, 'lvm'));
  }), { numRuns: RUNS });
});

test('disks cut anywhere fail in order', async () => {
  for (const { kind, disks } of victims) {
    const good = await disks();
    for (const part of [0, 1, 511, 512, 600, 4096, 4200, 70_000, 1 << 20]) {
      const first = (good[0] as Uint8Array).subarray(0, part);
      await survives(async () => { await probeVolumeTable(new MemorySource(first)); });
      await survives(() => readSome([first, ...good.slice(1)], kind));
    }
  }
});
