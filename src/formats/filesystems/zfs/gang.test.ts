/** A gang of an encrypted dataset, as OpenZFS wrote it: its header's checksum is cut as the block's own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { defaultLimits, IntegrityError } from '../../../core/index.ts';
import { BlockPointer } from './block-pointer.ts';
import { BlockReader } from './block-reader.ts';
import type { Vdev } from './vdev.ts';

/** The pointer to a block of 4,096 bytes, the gang's header, and its three pieces; see the README there. */
const bytes = new Uint8Array(readFileSync(new URL('../../../../../src/formats/filesystems/zfs/testdata/gang-sealed.bin', import.meta.url)));
const HEADER_AT = 128;
const PIECES_AT = HEADER_AT + 512;
/** Where they were on the device, and where they are in the fixture. */
const places = new Map([[5_238_784, HEADER_AT], [18_513_920, HEADER_AT], [5_431_296, PIECES_AT], [5_435_392, PIECES_AT + 1536], [5_439_488, PIECES_AT + 3072]]);

function read(content: Uint8Array): Promise<Uint8Array> {
  const device: Vdev = {
    name: 'device', missing: false, readInto: () => Promise.reject(new Error('only copies are read')),
    async *copies(offset, length) {
      const at = places.get(offset);
      assert.ok(at !== undefined, `offset ${offset}`);
      yield content.slice(at, at + length);
    },
  };
  const reader = new BlockReader({ limits: defaultLimits, repaired: () => undefined });
  reader.vdevs = [device];
  return reader.readRaw(new BlockPointer(content.subarray(0, HEADER_AT)));
}

test('its pieces are put together', async () => {
  assert.deepEqual(await read(bytes), new Uint8Array(bytes.subarray(PIECES_AT)));
});

test('a flipped bit is noticed in what the checksum is made of, in its kept half, and in a piece', async () => {
  // Bytes 496 to 511 of the header held the other half: nothing is there.
  for (const at of [0, 100, 383, 471, 480, 495, 512, 512 + 4095]) {
    const damaged = new Uint8Array(bytes);
    damaged[HEADER_AT + at] = (damaged[HEADER_AT + at] as number) ^ 1;
    await assert.rejects(read(damaged), IntegrityError, `byte ${at}`);
  }
});
