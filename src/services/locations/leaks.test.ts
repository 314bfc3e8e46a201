/**
 * Whatever fails on the way into a disk, nothing stays open: each read of each way fails once, and as many files are closed as were opened. A table
 * stayed open when opening its volume failed, and files did when probing them failed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemorySource, NotFoundError } from '../../core/index.ts';
import { fixture as image } from '../../formats/images/testdata/fixture.ts';
import { fixture } from '../../formats/partitions/testdata/fixture.ts';
import { luksDisk, luksKey } from '../../formats/partitions/testing/luks-disk.ts';
import { partitioned } from './testing/disks.ts';
import { Owner, owning } from './owner.ts';
import { arriveAtVolume } from './tables.ts';
import { CountedTree } from './testing/counted-tree.ts';
import { tableOn } from './probes.ts';

const options = { keys: [luksKey] };

async function tree(): Promise<CountedTree> {
  const raid = await Promise.all([0, 1, 2].map((i) => fixture(`raid5-${i}`)));
  return new CountedTree({
    guests: partitioned(luksDisk(partitioned(raid[0] as Uint8Array))), a: partitioned(raid[0] as Uint8Array), b: partitioned(luksDisk(raid[1] as Uint8Array)), c: raid[2] as Uint8Array,
    'child.qcow2': await image('child.qcow2'), 'base.qcow2': await image('base.qcow2'),
  });
}

for (const steps of [['/a', 'p1', 'md=lab'], ['/guests', 'p1', 'luks', 'p1'], ['/guests', 'p1', '/'], ['/a,/b,/c', 'md=lab'], ['/a,/b,/c', 'lv=no/such'], ['/child.qcow2,/base.qcow2', 'snapshot=no'], ['/child.qcow2', 'p1'], ['/', 'job=1']]) {
  test(`nothing stays open on the way ${steps.join('::')}`, async () => {
    const files = await tree();
    const follow = (): Promise<unknown> => files.at(steps, options, (location) => location.place.kind).catch((error: unknown) => error);
    await follow();
    const [reads, failures] = [files.reads, new Set<string>()];
    assert.ok(reads > 0 && files.opened > 0);
    for (let i = 1; i <= reads; i += 1) {
      Object.assign(files, { opened: 0, closed: 0, reads: 0, failAt: i });
      failures.add(String(await follow()));
      assert.equal(files.closed, files.opened, `after read ${i} of ${reads} failed`);
    }
    assert.ok(failures.size > 0);
  });
}

test('a table is closed when its volume cannot be opened, and not before the volume is', async () => {
  const closed: string[] = [];
  const table = {
    facts: { format: 'gpt', version: '1', sectorSize: 512, remarks: [] }, volumes: [], problems: () => [],
    close: async () => { closed.push('table'); },
  } as const;
  const bytes = new MemorySource(new Uint8Array(512));
  const volume = { step: 'p1', type: 'data', size: 512, open: async () => Object.assign(bytes, { close: async () => { closed.push('volume'); } }) };
  const arrive = (open: () => Promise<typeof bytes>): Promise<{ owned?: { close(): Promise<void> } }> => owning(async (owner) => arriveAtVolume({ table: owner.own(table), volume: { ...volume, open }, owner, among: [] }, {}));
  await assert.rejects(arrive(() => Promise.reject(new NotFoundError('no member'))), /no member/);
  assert.deepEqual(closed.splice(0), ['table']);
  await (await arrive(volume.open)).owned?.close();
  assert.deepEqual(closed, ['volume', 'table']);
});

test('an owner closes all, the last one first, and tells the first failure', async () => {
  const closed: number[] = [];
  const owner = new Owner();
  for (const i of [1, 2, 3]) owner.own({ close: async () => { closed.push(i); if (i > 1) throw new Error(`failure ${i}`); } });
  await assert.rejects(owner.close(), /failure 3/);
  await owner.close();
  assert.deepEqual(closed, [3, 2, 1]);
});

test('a disk is probed once however many steps ask; a failure is asked again', async () => {
  const files = await tree();
  const id = await files.lookup(files.rootId, Buffer.from('a'));
  const source = await files.open(id ?? files.rootId);
  const first = await tableOn(source);
  const { reads } = files;
  assert.equal(first?.name, 'mbr');
  assert.equal(await tableOn(source), first);
  assert.equal(files.reads, reads);
  // 53 before tables were looked up once.
  Object.assign(files, { reads: 0 });
  await files.at(['/a', 'p1'], {}, () => undefined);
  assert.ok(files.reads <= 30, `${files.reads} reads to a partition`);
});
