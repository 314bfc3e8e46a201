/** Images that qemu-img made, against the disk they were made from; and the suite that every source must pass. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Extent, FormatError, MemorySource, NotFoundError, type OpenContext, UnsupportedError, defaultLimits } from '../../core/index.ts';
import { blockSourceSuite } from '../../core/conformance/index.ts';
import { probeImage } from './open.ts';
import { fixture, fixtureContext, openBytes, wholeDisk } from './testdata/fixture.ts';

/** Image, the disk in it, format and variant. */
const images = [
  ['v2.qcow2', 'disk', 'qcow2', 'sparse'], ['tiny-clusters.qcow2', 'disk', 'qcow2', 'sparse'], ['zlib.qcow2', 'disk', 'qcow2', 'sparse'], ['zstd.qcow2', 'disk', 'qcow2', 'sparse'],
  ['extended.qcow2', 'extended', 'qcow2', 'sparse, extended L2'], ['data-file.qcow2', 'disk', 'qcow2', 'external data'], ['base.qcow2', 'disk', 'qcow2', 'sparse'], ['child.qcow2', 'child', 'qcow2', 'sparse'],
  ['snapshot.qcow2', 'snapshot', 'qcow2', 'sparse'], ['dynamic.vhdx', 'disk', 'vhdx', 'dynamic'], ['fixed.vhdx', 'disk', 'vhdx', 'fixed'], ['dynamic.vhd', 'disk', 'vhd', 'dynamic'], ['fixed.vhd', 'disk', 'vhd', 'fixed'],
  ['sparse.vmdk', 'disk', 'vmdk', 'monolithicSparse'], ['stream.vmdk', 'disk', 'vmdk', 'streamOptimized'], ['split.vmdk', 'disk', 'vmdk', 'twoGbMaxExtentSparse'], ['split-s001.vmdk', 'disk', 'vmdk', 'extent'],
  ['flat.vmdk', 'disk', 'vmdk', 'monolithicFlat'], ['delta.vmdk', 'delta', 'vmdk', 'monolithicSparse'], ['dynamic.vdi', 'disk', 'vdi', 'dynamic'], ['static.vdi', 'disk', 'vdi', 'static'],
] as const;

/** Those that keep bytes each in another way. */
const forSuite = ['tiny-clusters.qcow2', 'zlib.qcow2', 'extended.qcow2', 'child.qcow2', 'dynamic.vhdx', 'dynamic.vhd', 'stream.vmdk', 'split.vmdk', 'delta.vmdk', 'dynamic.vdi'];

for (const [name, disk, format, variant] of images) {
  test(`${name} is recognised and reads as ${disk}.raw`, async () => {
    const found = await probeImage(new MemorySource(await fixture(name)));
    assert.equal(found?.format, format);
    assert.equal(found?.verdict.match, 'yes');
    const image = await openBytes(await fixture(name));
    const expected = await fixture(`${disk}.raw`);
    assert.deepEqual({ format: image.facts.format, variant: image.facts.variant, size: image.facts.size }, { format, variant, size: expected.length });
    assert.ok(Buffer.compare(await wholeDisk(image), expected) === 0);
    await image.close();
  });
}

for (const name of forSuite) {
  blockSourceSuite(name, async () => {
    const disk = images.find(([image]) => image === name)?.[1] ?? '';
    return { source: await openBytes(await fixture(name)), expected: await fixture(`${disk}.raw`), cleanup: () => Promise.resolve() };
  });
}

test('an internal snapshot is the disk as it was, by name or by id', async () => {
  const image = await openBytes(await fixture('snapshot.qcow2'));
  assert.deepEqual(image.facts.snapshots?.map(({ id, name, size }) => ({ id, name, size })), [{ id: '1', name: 'before', size: image.size }]);
  for (const key of ['before', '1']) {
    const snapshot = await image.openSnapshot?.(key);
    assert.ok(snapshot !== undefined && Buffer.compare(await wholeDisk(snapshot), await fixture('disk.raw')) === 0);
  }
  await assert.rejects(image.openSnapshot?.('after') ?? Promise.resolve(), NotFoundError);
});

test('a faster decoder is used where it succeeds, and has no say where it fails', async () => {
  const disk = await fixture('disk.raw');
  let asked = 0;
  const refuse = (): never => { asked += 1; throw new FormatError('Unpack', { structure: 'frame', field: 'any' }); };
  const slow = await openBytes(await fixture('zstd.qcow2'), { ...fixtureContext(), unzstd: refuse } as OpenContext);
  assert.ok(Buffer.compare(await wholeDisk(slow), disk) === 0 && asked > 0);
  const fill = (_frame: Uint8Array, target: Uint8Array): void => { target.fill(7); };
  const fast = await openBytes(await fixture('zstd.qcow2'), { ...fixtureContext(), unzstd: fill } as OpenContext);
  assert.equal((await wholeDisk(fast))[0], 7);
});

test('extents tell apart what is there, what is zero and what is a hole', async () => {
  const image = await openBytes(await fixture('extended.qcow2'));
  const kinds: string[] = [];
  const all: Extent[] = [];
  for await (const extent of image.extents(0, image.size)) {
    all.push(extent);
    kinds.push(extent.kind);
  }
  const disk = await fixture('extended.raw');
  const dataBytes = all.filter(({ kind }) => kind === 'data').reduce((sum, { length }) => sum + length, 0);
  assert.ok(kinds.includes('hole') && dataBytes < disk.length * 0.8, 'zero units of 16 KiB are no data with subclusters of 2 KiB');
});

test('a file that an image names is opened only through the context', async () => {
  for (const name of ['child.qcow2', 'data-file.qcow2', 'split.vmdk', 'flat.vmdk', 'delta.vmdk']) {
    await assert.rejects(openBytes(await fixture(name), { limits: defaultLimits }), UnsupportedError, name);
    const asked: string[] = [];
    const nothing = { limits: defaultLimits, resolveReference: (reference: string): Promise<never> => { asked.push(reference); return Promise.reject(new NotFoundError('no')); } };
    await assert.rejects(openBytes(await fixture(name), nothing), NotFoundError, name);
    assert.equal(asked.length, 1, name);
  }
});

test('closing an image closes its files, and what could not be opened leaves none open', async () => {
  let open = 0;
  const counted = (bytes: Uint8Array): MemorySource => {
    open += 1;
    return Object.assign(new MemorySource(bytes), { close: () => { open -= 1; return Promise.resolve(); } });
  };
  const { resolveReference } = fixtureContext();
  const context = { limits: defaultLimits, resolveReference: async (name: string) => { await resolveReference?.(name); return counted(await fixture(name)); } };
  const image = await (await import('./open.ts')).openImage(counted(await fixture('child.qcow2')), context);
  assert.equal(open, 2);
  await image.close();
  assert.equal(open, 0);
  const wrong = { limits: defaultLimits, resolveReference: async () => counted((await fixture('base.qcow2')).subarray(0, 100)) };
  await assert.rejects(openBytes(await fixture('child.qcow2'), wrong));
  assert.equal(open, 0);
});
