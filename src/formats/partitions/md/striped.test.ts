/** Sizes of RAID 0 arrays, as Linux 6.1 showed them of the same disks. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MemorySource } from '../../../core/index.ts';
import { raid0Size, StripedMap } from './striped.ts';

const file = new MemorySource(new Uint8Array());
const disks = [38_912, 40_960, 65_536].map((sectors) => ({ file, at: 0, length: sectors * 512 }));

test('a RAID 0 array whose chunks are no power of two ends where Linux ends it', () => {
  assert.equal(raid0Size(disks, 20 << 10), 74_391_552);
  assert.equal(new StripedMap(disks, 20 << 10).size, 74_424_320, 'its zones go on');
  assert.equal(raid0Size(disks, 4 << 10), new StripedMap(disks, 4 << 10).size);
});
