/** Members of sets on disks that were given together: a disk that knows only itself belongs to the group that lists it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { MemorySource } from '../../core/index.ts';
import { fixtureDisks } from '../../formats/partitions/testdata/fixture.ts';
import { inOtherGroup, withoutDescription } from '../../formats/partitions/testing/lvm-disk.ts';
import { listDisks } from '../guests/disk-walk.ts';
import { MemberSearch } from './member-search.ts';
import { Owner } from './owner.ts';

let a = new Uint8Array();
let b = new Uint8Array();
let c = new Uint8Array();
before(async () => { [a, b, c] = await fixtureDisks('lvm', 3) as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>]; });

async function search(disks: readonly Uint8Array[]): Promise<MemberSearch> {
  const found = new MemberSearch({}, new Owner());
  for (const disk of disks) await found.add(new MemorySource(disk));
  return found;
}

/** Members that are here and that are missing, of each group. */
async function groupsOf(disks: readonly Uint8Array[]): Promise<readonly (readonly [number, number])[]> {
  return (await search(disks)).groups('lvm').map(({ sources, missing }) => [sources.length, missing] as const);
}

async function listed(disks: readonly Uint8Array[]): ReturnType<typeof listDisks> {
  return listDisks(disks.map((disk) => new MemorySource(disk)), { opening: {}, look: 'marks', degraded: true });
}

test('a disk without a description is found in the group that lists it, in any order', async () => {
  const [x, y] = [withoutDescription(a), withoutDescription(c)];
  for (const disks of [[x, b, c], [b, x, c], [b, c, x], [x, y, b], [b, y, x]]) {
    assert.deepEqual(await groupsOf(disks), [[3, 0]]);
    const { sets, failures, problems, incomplete } = await listed(disks);
    assert.deepEqual([failures, problems, incomplete], [[], [], []]);
    assert.deepEqual(sets.map(({ missing, members }) => [missing, members.map(({ disk }) => disk)]), [[0, [0, 1, 2]]]);
    assert.ok(sets[0]?.parts.some(({ step, error }) => step === 'lv=vg/lin' && error === undefined));
  }
});

test('so is one whose description is damaged, and alone it fails', async () => {
  const damaged = a.slice();
  damaged.fill(0, 4096 + 40, 4096 + 60);
  for (const disks of [[damaged, b, c], [c, b, damaged]]) {
    assert.deepEqual(await groupsOf(disks), [[3, 0]]);
    const { sets, failures, problems } = await listed(disks);
    assert.deepEqual([failures, problems.map(({ problem }) => problem.kind), sets.map(({ missing }) => missing)], [[], ['damaged-table'], [0]]);
  }
  const alone = await search([damaged]);
  assert.deepEqual(alone.groups('lvm'), []);
  assert.match(alone.failures.join(), /LVM metadata area/);
  const { failures } = await listed([damaged]);
  assert.deepEqual(failures.map(({ disk, step, error }) => [disk, step, /LVM metadata area/.test(String(error))]), [[0, '', true]]);
});

test('one that no disk lists stays alone', async () => {
  const lone = withoutDescription(a);
  assert.deepEqual(await groupsOf([lone]), [[1, 0]]);
  const { disks: [disk], sets, failures } = await listed([lone]);
  assert.deepEqual([sets, failures], [[], []]);
  assert.match(disk?.table?.remarks.join() ?? '', /belongs to no volume group, or keeps no description/);
});

test('of two copies of such a disk the first is used, and the list says so', async () => {
  const disks = [withoutDescription(a), b, withoutDescription(a), c];
  assert.deepEqual(await groupsOf(disks), [[3, 0]]);
  const { sets, failures } = await listed(disks);
  assert.deepEqual(failures.map(({ disk, error }) => [disk, /another one is the same member/.test(String(error))]), [[2, true]]);
  assert.deepEqual(sets.map(({ members }) => members.map(({ disk }) => disk)), [[0, 1, 3]]);
});

test('one that two groups list is in neither', async () => {
  const lone = withoutDescription(a);
  for (const disks of [[lone, b, inOtherGroup(c)], [b, lone, inOtherGroup(c)], [b, inOtherGroup(c), lone]]) {
    const found = await search(disks);
    assert.deepEqual(found.groups('lvm').map(({ sources }) => sources.length), [1, 1, 1]);
    assert.match(found.failures.join(), /2 sets list it/);
    const { sets, failures } = await listed(disks);
    // Volumes of both groups fail besides, for want of that disk.
    const refused = failures.filter(({ step }) => step === '');
    assert.deepEqual([sets.length, refused.map(({ disk, error }) => [disk, /2 sets list it/.test(String(error))])], [0, [[disks.indexOf(lone), true]]]);
  }
});
