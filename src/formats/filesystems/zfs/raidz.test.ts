/** RAID-Z: blocks laid out by the comment in OpenZFS's `vdev_raidz.c`, then read with every set of members missing or wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes } from '../../../core/index.ts';
import { MemorySource } from '../../../core/sources/memory.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import { DATA_START } from './label.ts';
import { RaidzVdev } from './raidz.ts';
import { Faults, LeafVdev, MissingVdev, type Vdev } from './vdev.ts';

const ASHIFT = 9;
const SECTOR = 512;

function double(value: number): number {
  return (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}

/** Parity by Horner's rule, column after column; shorter columns end in zeroes. */
function parityOf(columns: readonly Uint8Array[], doublings: number, length: number): Uint8Array {
  const sum = new Uint8Array(length);
  for (const column of columns) {
    for (let i = 0; i < length; i += 1) {
      let value = sum[i] as number;
      for (let d = 0; d < doublings; d += 1) value = double(value);
      sum[i] = value ^ (column[i] ?? 0);
    }
  }
  return sum;
}

/** Writes a block as ZFS does, sector by sector over rows. */
function write(disks: readonly Uint8Array[], offset: number, block: Uint8Array, parity: number): void {
  const width = disks.length;
  const sectors = block.length / SECTOR;
  const dataWidth = width - parity;
  const rows = Math.ceil(sectors / dataWidth);
  const used = Math.min(dataWidth, sectors);
  // Columns are filled one after the other; the first ones are longer by a sector.
  const lengths = Array.from({ length: used }, (_, i) => (Math.floor(sectors / dataWidth) + (i < sectors % dataWidth ? 1 : 0)) * SECTOR);
  let from = 0;
  const data = lengths.map((length) => {
    from += length;
    return block.subarray(from - length, from);
  });
  const columns = [...Array.from({ length: parity }, (_, p) => parityOf(data, p, rows * SECTOR)), ...data];
  const places = columns.map((_, i) => {
    const at = offset / SECTOR + i;
    return { disk: at % width, at: Math.floor(at / width) * SECTOR };
  });
  if (parity === 1 && Math.floor(offset / (1 << 20)) % 2 === 1) [places[0], places[1]] = [places[1] as typeof places[0], places[0] as typeof places[0]];
  columns.forEach((column, i) => disks[(places[i] as { disk: number }).disk]?.set(column, DATA_START + (places[i] as { at: number }).at));
}

function* subsetsOf(count: number, most: number): Iterable<readonly number[]> {
  for (let bits = 0; bits < 2 ** count; bits += 1) {
    const chosen = Array.from({ length: count }, (_, i) => i).filter((i) => (bits >> i & 1) === 1);
    if (chosen.length <= most) yield chosen;
  }
}

async function firstGood(vdev: Vdev, offset: number, block: Uint8Array): Promise<boolean> {
  for await (const copy of vdev.copies(offset, block.length, new Faults())) if (equalBytes(copy, block)) return true;
  return false;
}

for (const [parity, width] of [[1, 2], [1, 3], [1, 5], [2, 4], [2, 6], [3, 5]] as const) {
  test(`raidz${parity} of ${width}: as many members as there are parities may be missing, or wrong`, async () => {
    for (const [sectors, offset] of [[1, 0], [2, 512], [3, 5 * 512], [7, (1 << 20) + 3 * 512], [24, (1 << 20) - 512 * 2], [9, (1 << 20) + 512]] as const) {
      const disks = Array.from({ length: width }, () => new Uint8Array(DATA_START + (1 << 20) + (1 << 19)));
      const block = seededBytes(sectors * SECTOR, sectors + parity);
      write(disks, offset, block, parity);
      const garbled = disks.map((disk) => disk.slice().fill(0x77, DATA_START));
      const leaf = (disk: Uint8Array, i: number): Vdev => new LeafVdev(`disk ${i}`, new MemorySource(disk));
      for (const out of subsetsOf(width, parity)) {
        const missing = new RaidzVdev('test', disks.map((disk, i) => (out.includes(i) ? new MissingVdev(`disk ${i}`) : leaf(disk, i))), { parity, ashift: ASHIFT });
        assert.ok(await firstGood(missing, offset, block), `${sectors} sectors at ${offset} without ${out.join(' ')}`);
        const wrong = new RaidzVdev('test', disks.map((disk, i) => leaf(out.includes(i) ? garbled[i] as Uint8Array : disk, i)), { parity, ashift: ASHIFT });
        if (sectors < 8) assert.ok(await firstGood(wrong, offset, block), `${sectors} sectors at ${offset} with ${out.join(' ')} wrong`);
      }
    }
  });
}

test('more members missing than parities: nothing is made up', async () => {
  const vdev = new RaidzVdev('test', [new MissingVdev('a'), new MissingVdev('b'), new LeafVdev('c', new MemorySource(new Uint8Array(DATA_START + 65_536)))], { parity: 1, ashift: ASHIFT });
  const faults = new Faults();
  assert.equal(await vdev.readInto(0, new Uint8Array(4096), faults), false);
  assert.match(faults.toString(), /'a' is missing|'b' is missing/);
});
