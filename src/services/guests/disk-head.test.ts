/** Files that are no disks cost one read of their head; fixed VHDs are told from the disks in them by their end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemorySource, type BlockSource } from '../../core/index.ts';
import { fixture } from '../../formats/images/testdata/fixture.ts';
import { imageFormatOf } from './disk-head.ts';
import { guestsDisk } from './testdata/fixture.ts';

function counted(bytes: Uint8Array): { readonly source: BlockSource; readonly reads: number[] } {
  const memory = new MemorySource(bytes);
  const reads: number[] = [];
  const source: BlockSource = {
    size: memory.size, sectorSize: 1, extents: (offset, length) => memory.extents(offset, length), close: () => memory.close(),
    readInto: (offset, target) => {
      reads.push(offset);
      return memory.readInto(offset, target);
    },
  };
  return { source, reads };
}

test('what is no disk is known by one read', async () => {
  const { source, reads } = counted(Uint8Array.from({ length: 4 << 20 }, (_, i) => (i * 7919) >> 7));
  assert.equal(await imageFormatOf(source, 'disk'), undefined);
  assert.deepEqual(reads, [0]);
});

test('disks with and without a container', async () => {
  const disk = await guestsDisk();
  assert.equal(await imageFormatOf(counted(disk).source, 'disk'), 'raw');
  assert.equal(await imageFormatOf(counted(await fixture('dynamic.vhdx')).source, 'disk'), 'vhdx');
  // Source: VHD specification, "Hard Disk Footer Format": cookie, features, version, offset of a fixed disk, type 2, checksum.
  const footer = Buffer.alloc(512);
  footer.write('conectix');
  for (const [at, value] of [[8, 2], [12, 0x1_0000], [16, 0xffff_ffff], [20, 0xffff_ffff], [44, disk.length], [52, disk.length], [60, 2]] as const) footer.writeUInt32BE(value, at);
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
  assert.equal(await imageFormatOf(counted(new Uint8Array(Buffer.concat([disk, footer]))).source, 'disk'), 'vhd');
});
