/** An object with its sidecar in a store that tests may damage. */
import assert from 'node:assert/strict';
import { crc32c, defaultLimits } from '../../../core/index.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import { createParity, type ParityOptions } from '../create-parity.ts';
import { BLOCK_BYTES, dataBlocks, type Geometry } from '../geometry.ts';
import { parityHeader } from '../parity.layout.ts';
import { repairWithParity, verifyWithParity, type ParityRepair } from '../repair.ts';
import { readSidecar, sidecarName } from '../sidecar.ts';
import { MemoryObjects } from './memory-objects.ts';

/** Name of the object of each scene. */
export const NAME = 'containers/ab/00000000000000ab.hfc';

/** See {@link makeScene}. */
export interface Scene {
  readonly objects: MemoryObjects;
  /** The object as written. */
  readonly original: Uint8Array;
  /** The stored bytes, to be damaged. */
  readonly object: Uint8Array;
  readonly sidecar: Uint8Array;
  readonly geometry: Geometry;
  /** Where the parts of the sidecar are. */
  readonly regions: Readonly<Record<'front header' | 'front table' | 'parity' | 'back table' | 'back header', readonly [start: number, end: number]>>;
}

/** Writes `size` random bytes and their sidecar. */
export async function makeScene(size: number, options: Partial<ParityOptions> = {}): Promise<Scene> {
  const objects = new MemoryObjects();
  const original = seededBytes(size, size);
  const object = Uint8Array.from(original);
  const writer = createParity({ name: NAME, sizeMax: 36 << 20, percent: 5, ...options });
  for (let at = 0; at < size; at += 70_001) writer.append(original.subarray(at, at + 70_001));
  await writer.finish(objects);
  objects.bytes.set(NAME, object);
  const sidecar = objects.bytes.get(sidecarName(NAME));
  assert.ok(sidecar !== undefined);
  const read = await readSidecar(await objects.open(sidecarName(NAME)), NAME, defaultLimits);
  assert.ok(typeof read !== 'string');
  const parityEnd = read.parity.offset + read.parity.size;
  objects.openReaders = 0;
  return {
    objects, original, object, sidecar, geometry: read.geometry,
    regions: {
      'front header': [0, parityHeader.size], 'front table': [parityHeader.size, read.parity.offset], parity: [read.parity.offset, parityEnd],
      'back table': [parityEnd, sidecar.length - parityHeader.size], 'back header': [sidecar.length - parityHeader.size, sidecar.length],
    },
  };
}

/** Another scene with copies of the stored bytes. */
export function copyOf(scene: Scene): Scene {
  const objects = new MemoryObjects();
  const [object, sidecar] = [Uint8Array.from(scene.object), Uint8Array.from(scene.sidecar)];
  objects.bytes.set(NAME, object);
  objects.bytes.set(sidecarName(NAME), sidecar);
  return { ...scene, objects, object, sidecar };
}

/** Inverts one bit. */
export function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >>> 3] = (bytes[bit >>> 3] as number) ^ 1 << (bit & 7);
}

/** Spoils a block of the object in one place. */
export function spoil(scene: Scene, block: number, bit = 0): void {
  assert.ok(block < dataBlocks(scene.geometry));
  flip(scene.object, block * BLOCK_BYTES * 8 + bit);
}

/** Verifies, repairs, compares and makes sure that nothing stays open and nothing is committed that is not exact. */
export async function repairScene({ objects, original }: Scene): Promise<ParityRepair> {
  const verified = await verifyWithParity(objects, NAME);
  const target = await objects.create('repaired');
  const result = await repairWithParity(objects, NAME, target);
  assert.equal(objects.bytes.has('repaired'), false, 'repair itself commits nothing');
  if (result.outcome === 'repaired') {
    assert.deepEqual(verified, result.report);
    await target.commit();
    assert.ok(Buffer.compare(objects.bytes.get('repaired') as Uint8Array, original) === 0, 'the repaired object is exact');
    objects.bytes.delete('repaired');
  } else {
    assert.equal(verified.state, result.report.reason === 'digest' ? verified.state : result.outcome);
  }
  assert.deepEqual([objects.openReaders, objects.openWriters], [0, 0]);
  return result;
}

/** Changes bytes of both headers and makes their checksums right, as a forger would. */
export function forge(scene: Scene, at: number, bytes: Uint8Array): void {
  for (const start of [0, scene.sidecar.length - parityHeader.size]) {
    scene.sidecar.set(bytes, start + at);
    new DataView(scene.sidecar.buffer).setUint32(start + parityHeader.offsets.headerCrc32c, crc32c(scene.sidecar.subarray(start, start + parityHeader.offsets.headerCrc32c)));
  }
}
