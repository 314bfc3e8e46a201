/** Pools that OpenZFS made: what stands in `testdata/make.sh` is found again, whatever members are at hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, lookupPath, MemorySource, NotFoundError, readRange, textOf, UnsupportedError, utf8 } from '../../../core/index.ts';
import { blockSourceSuite } from '../../../core/conformance/block-source.ts';
import { type ExpectedNode, fileTreeSuite } from '../../../core/conformance/file-tree.ts';
import type { Filesystem } from '../filesystem.ts';
import { context, fixture, pools, sourcesOf } from './testdata/fixture.ts';
import { zfsDriver } from './zfs.ts';

/** What `seq` prints. */
function sequence(last: number): Uint8Array {
  return utf8(`${Array.from({ length: last }, (_, i) => i + 1).join('\n')}\n`);
}

const sparse = new Uint8Array(1_000_003);
sparse.set(utf8('end'), 1_000_000);
const many = Array.from({ length: 250 }, (_, i): ExpectedNode => ({ path: utf8(`many/an entry with a name that is longer than a small table takes ${String(i + 1).padStart(4, '0')}`), content: new Uint8Array(0) }));
const large = utf8('7'.padStart(4000, '0'));

/** What `fill` of `make.sh` puts into a directory. */
const filled: readonly ExpectedNode[] = [
  { path: utf8('text'), content: sequence(12_000), stat: { modified: { seconds: 1_614_834_367, nanoseconds: 89 } }, attributes: new Map([['user.large', large]]) },
  { path: utf8('short'), content: utf8('a few bytes'), stat: { uid: 4_000_000_000, gid: 77, mode: 0o6751, links: 2 }, attributes: new Map([['user.one', utf8('1')]]) },
  { path: utf8('sparse'), content: sparse },
  { path: utf8('second name'), sameAs: utf8('short') },
  { path: utf8('link'), target: utf8('short'), stat: { type: 'symlink' } },
  { path: utf8('long link'), target: utf8('0'.repeat(300)) },
  { path: utf8('fifo'), stat: { type: 'fifo' } },
  { path: utf8('device'), stat: { type: 'block', deviceMajor: 259, deviceMinor: 70_000 } },
  { path: utf8('link-time'), stat: { modified: { seconds: -2, nanoseconds: 123_456_789 } } },
  { path: Uint8Array.of(0xff, 0x20, 1), content: utf8('bytes') },
  ...many,
];

async function openPool(members: readonly string[]): Promise<Filesystem> {
  return zfsDriver.open(await sourcesOf(members), context);
}

/** What the intent log of the crashed pool adds. */
const replayed: readonly ExpectedNode[] = [
  { path: utf8('new'), content: utf8('only in the log'), stat: { mode: 0o711, uid: 12, gid: 34, links: 1, modified: { seconds: 981_173_106, nanoseconds: 789_000_000 } }, attributes: new Map([['user.late', utf8('value')]]) },
  { path: utf8('made'), stat: { type: 'directory', links: 2 } },
  { path: utf8('made/large'), content: sequence(40_000) },
  { path: utf8('made/link'), target: utf8('new') },
  { path: utf8('made/old too'), sameAs: utf8('old'), stat: { links: 2 } },
  { path: utf8('made/renamed'), content: utf8('moved') },
  { path: utf8('old'), content: utf8(`${textOf(sequence(4_000))}end`) },
  { path: utf8('cut'), content: (() => { const bytes = new Uint8Array(3000); bytes.set(sequence(4_000).subarray(0, 1000)); return bytes; })() },
];

for (const [name, members] of Object.entries(pools)) {
  fileTreeSuite(`pool '${name}'`, async () => ({ tree: await openPool(members), expected: name === 'crash' ? replayed : filled, cleanup: async () => undefined }));
}

blockSourceSuite('a file in a pool', async () => {
  const pool = await openPool(pools.plain);
  const id = await lookupPath(pool, utf8('text'));
  assert.ok(id !== undefined);
  return { source: await pool.open(id), expected: sequence(12_000), cleanup: () => pool.close() };
});

async function contentOf(tree: Filesystem, path: string): Promise<string> {
  const id = await lookupPath(tree, utf8(path));
  assert.ok(id !== undefined, path);
  const source = await tree.open(id);
  return textOf(await readRange(source, 0, source.size));
}

test('holes of a sparse file are told, and the rest is what was written', async () => {
  const pool = await openPool(pools.plain);
  const id = await lookupPath(pool, utf8('sparse'));
  assert.ok(id !== undefined);
  const source = await pool.open(id);
  const kinds = [];
  for await (const { kind } of source.extents(0, source.size)) kinds.push(kind);
  assert.deepEqual(kinds, ['hole', 'data']);
  await pool.close();
});

test('datasets, snapshots, clones and volumes open by name', async () => {
  const pool = await openPool(pools.plain);
  const names = (await pool.volumes?.() ?? []).map(({ kind, name }) => `${kind} ${name}`);
  assert.deepEqual(names.toSorted(), ['dataset plain', 'dataset plain/clone', 'dataset plain/gzip', 'dataset plain/sealed', 'dataset plain/sealed/below', 'dataset plain/volume', 'dataset plain/zstd', 'snapshot plain/gzip@before']);
  const open = async (kind: 'dataset' | 'snapshot', name: string): Promise<Filesystem> => pool.openVolume?.(kind, name) ?? assert.fail('no volumes');
  const long = textOf(sequence(4_000));
  assert.equal(await contentOf(await open('dataset', 'plain/gzip'), 'text'), 'changed\n');
  assert.equal(await contentOf(await open('snapshot', 'plain/gzip@before'), 'text'), long);
  assert.equal(await contentOf(await open('dataset', 'plain/clone'), 'text'), long);
  assert.equal(await contentOf(await open('dataset', 'plain/zstd'), 'text'), long);
  assert.equal((await contentOf(await open('dataset', 'plain/volume'), 'volume')).length, 8 << 20);
  await assert.rejects(open('dataset', 'plain/absent'), (error: unknown) => error instanceof NotFoundError && error.message.includes('\'plain/gzip\''));
  await assert.rejects(open('snapshot', 'plain/gzip'), NotFoundError);
  await pool.close();
});

test('an encrypted dataset opens with its key, and its child with the same; without, it is listed and says what it lacks', async () => {
  const pool = await openPool(pools.plain);
  const sealed = await pool.openVolume?.('dataset', 'plain/sealed') ?? assert.fail('no volumes');
  assert.equal(await contentOf(sealed, 'text'), textOf(sequence(4_000)));
  const id = await lookupPath(sealed, utf8('text'));
  assert.deepEqual(id === undefined ? undefined : await sealed.attributes(id), new Map([['user.secret', utf8('value')]]));
  assert.equal(await contentOf(await pool.openVolume?.('dataset', 'plain/sealed/below') ?? assert.fail('no volumes'), 'file'), 'below\n');
  await pool.close();
  for (const [keys, message] of [[[], /give its key/], [[utf8('another passphrase')], /none of the '1' keys/]] as const) {
    const closed = await zfsDriver.open(await sourcesOf(pools.plain), { ...context, keys });
    assert.ok((await closed.volumes?.() ?? []).some(({ name }) => name === 'plain/sealed'));
    await assert.rejects(closed.openVolume?.('dataset', 'plain/sealed') ?? assert.fail('no volumes'), (error: unknown) => error instanceof UnsupportedError && message.test(error.message));
    await closed.close();
  }
});

test('access control lists in the kernel\'s form', async () => {
  const pool = await openPool(pools.plain);
  const id = await lookupPath(pool, utf8('many'));
  const attributes = id === undefined ? new Map<string, Uint8Array>() : await pool.attributes(id);
  assert.deepEqual([...attributes.keys()].toSorted(), ['system.posix_acl_access', 'system.posix_acl_default']);
  const access = attributes.get('system.posix_acl_access') ?? new Uint8Array(0);
  assert.equal(Buffer.from(access.subarray(0, 4)).readUInt32LE(), 2);
  assert.equal(Buffer.from(access).readUInt32LE(4 + 8 + 4), 1234);
  await pool.close();
});

test('any two members of RAID-Z1 are enough; a member that turned to noise is corrected and told', async () => {
  for (const members of [['parity-1', 'parity-2'], ['parity-3', 'parity-1'], ['parity-2', 'parity-3']]) {
    const pool = await openPool(members);
    assert.equal(await contentOf(pool, 'text'), textOf(sequence(12_000)));
    assert.match(pool.facts.remarks.join(), /missing/);
    await pool.close();
  }
  const damaged = (await fixture('parity-2')).slice();
  for (let at = 4 << 20; at < damaged.length - (1 << 20); at += 1) damaged[at] = (damaged[at] as number) ^ 0x55;
  const pool = await zfsDriver.open([...await sourcesOf(['parity-1', 'parity-3']), new MemorySource(damaged)], context);
  assert.equal(await contentOf(pool, 'text'), textOf(sequence(12_000)));
  assert.ok(pool.problems().some(({ kind }) => kind === 'repaired'));
  await pool.close();
  await assert.rejects(openPool(['parity-1']));
});

test('without its log, a crashed pool is as the last transaction group left it; both are told', async () => {
  const [source] = await sourcesOf(pools.crash);
  assert.ok(source !== undefined);
  const bare = await zfsDriver.open([source], { ...context, journal: 'ignore' });
  assert.equal(await lookupPath(bare, utf8('made/link')), undefined);
  assert.equal(await contentOf(bare, 'from/moved'), 'moved');
  assert.equal(await contentOf(bare, 'old'), textOf(sequence(4_000)));
  assert.equal(await contentOf(bare, 'doomed'), 'to be removed');
  assert.equal(await contentOf(bare, 'cut'), textOf(sequence(4_000)));
  assert.match(bare.facts.remarks.join(), /intent log of 'crash' is left out/);
  const pool = await openPool(pools.crash);
  assert.match(pool.facts.remarks.join(), /records of the intent log of 'crash' were replayed/);
  assert.equal(pool.facts.clean, false);
  assert.equal(await lookupPath(pool, utf8('doomed')), undefined);
  assert.equal(await lookupPath(pool, utf8('from')), undefined);
  assert.deepEqual(pool.problems(), []);
});

test('a member says what it belongs to', async () => {
  const facts = await Promise.all((await sourcesOf(pools.parity)).map((source) => zfsDriver.member?.(source)));
  assert.equal(new Set(facts.map((one) => one?.filesystem)).size, 1);
  assert.equal(new Set(facts.map((one) => one?.member)).size, 3);
  assert.deepEqual(facts.map((one) => one?.members), [3, 3, 3]);
});

test('the probe knows pools, and only those', async () => {
  const [source] = await sourcesOf(pools.plain);
  assert.ok(source !== undefined);
  assert.deepEqual(await zfsDriver.probe(source), { match: 'yes', version: 'pool v5000' });
  assert.deepEqual(await zfsDriver.probe(new MemorySource(new Uint8Array(2 << 20))), { match: 'no' });
  assert.deepEqual(await zfsDriver.probe(new MemorySource(new Uint8Array(100))), { match: 'no' });
  const bytes = (await fixture('plain-1')).slice();
  for (const at of [0, 256 << 10, bytes.length - (512 << 10), bytes.length - (256 << 10)]) bytes[at + (100 << 10)] = 0x77;
  assert.equal((await zfsDriver.probe(new MemorySource(bytes))).match, 'damaged');
  assert.ok(equalBytes(bytes.subarray(0, 16), new Uint8Array(16)));
});
