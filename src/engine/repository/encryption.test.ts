/** An encrypted repository from outside: what its objects show, what opens it, what damage and forgery do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoldfastError, UsageError, crc32c, defaultLimits, readRange, utf8, type ChunkIndex } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { crc32 } from '../containers/checksums.ts';
import { TABLE_ROW_BYTES, containerHeader, groupHeader } from '../containers/container.layout.ts';
import { containerPath, listContainers, readSealing, scanGroups } from '../containers/container.ts';
import { readFooter, type FooterRow } from '../containers/footer.ts';
import { GROUP_PADDED_BYTES_MIN, keyCredential, padme, passphraseCredential, type Credential } from '../crypto/index.ts';
import { createHasher } from '../hashing/hasher.ts';
import { openIndex } from '../index/index.ts';
import { DiskObjects, encodeDocument } from '../objects/index.ts';
import type { RepositoryChoices } from './config.ts';
import { Repository, type OpenOptions } from './repository.ts';

const key = keyCredential(new Uint8Array(32).fill(200), 'key file');
const otherKey = keyCredential(new Uint8Array(32).fill(201), 'other key file');
const encryption = { slots: [{ credential: key }] } as const;
const backupOptions = { sources: ['/secret-source'], host: 'secret-host', tags: ['secret-tag'] } as const;

const text = (seed: number, length: number): Uint8Array => {
  const next = seededRandom(seed);
  return utf8(Array.from({ length: length / 8 }, () => `word${Math.floor(next() * 9000) + 1000} `.slice(0, 8)).join(''));
};
const firstRoot = directoryNode({
  'secret-name': fileNode(text(1, 3_000_000)), noise: fileNode(seededBytes(2_500_000, 2)), small: fileNode(utf8('a secret of forty-eight bytes that nobody may see')),
  directory: directoryNode({ more: fileNode(text(3, 200_000)), hole: fileNode(new Uint8Array(100_000)) }),
});
const secondRoot = directoryNode({ 'secret-name': fileNode(text(1, 3_000_000)), later: fileNode(seededBytes(700_000, 4)) });

interface Made { readonly disk: SimulatedDisk; readonly snapshots: readonly string[] }

const open = (disk: SimulatedDisk, options: Partial<OpenOptions> & { readonly seed?: number } = {}): Promise<Repository> =>
  Repository.open(simulatedWorld(disk, options.seed ?? 77), { mode: 'read', index: 'log', workers: 0, credentials: [key], ...options });

async function make(choices: RepositoryChoices = {}, workers = 0, roots: readonly MemoryNode[] = [firstRoot]): Promise<Made> {
  const disk = new SimulatedDisk();
  const repository = await Repository.create(simulatedWorld(disk, 1), { encryption, ...choices }, { index: 'log', workers });
  const snapshots: string[] = [];
  for (const root of roots) snapshots.push((await repository.backup(new MemoryTree(root), backupOptions)).snapshot);
  await repository.close();
  return { disk, snapshots };
}

async function assertExact(repository: Repository, { snapshots }: Made, roots: readonly MemoryNode[] = [firstRoot]): Promise<void> {
  for (const [i, id] of snapshots.entries()) await assertSameTree(await repository.openSnapshot(id), new MemoryTree(roots[i] as MemoryNode));
}

function copyOf(disk: SimulatedDisk): SimulatedDisk {
  const copy = new SimulatedDisk();
  for (const path of disk.files) copy.replace(path, disk.bytesOf(path));
  return copy;
}

for (const [name, choices, workers] of [
  ['AES-256-GCM, BLAKE3', {}, 0], ['ChaCha20-Poly1305, SHA-256, 2 threads', { hash: 'sha256', encryption: { ...encryption, cipher: 'chacha20-poly1305' } }, 2], ['without compression', { compression: 'none' }, 0],
] as const) {
  test(`what was stored comes back, a second backup adds nothing, and check finds no damage (${name})`, async () => {
    const made = await make(choices, workers);
    const repository = await open(made.disk, { mode: 'write', workers });
    await assertExact(repository, made);
    const again = await repository.backup(new MemoryTree(firstRoot), backupOptions);
    assert.deepEqual([again.chunksNew, again.bytesNew, again.metadataBytesNew], [0, 0, 0]);
    const report = await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { assert.fail(`${kind} ${where}: ${message}`); } });
    assert.ok(report.bytesRead > 5_000_000);
    await repository.close();
  });
}

test('objects show neither content nor names nor the length of any chunk, and groups have padded sizes only', async () => {
  const { disk } = await make({}, 0, [firstRoot, secondRoot]);
  const stored = new Map(disk.files.map((path) => [path, Buffer.from(disk.bytesOf(path))]));
  const secrets = [...new Set([
    ...['secret-name', 'secret-source', 'secret-host', 'secret-tag', 'nobody may see'].map((word) => Buffer.from(word)),
    ...[text(1, 3_000_000), seededBytes(2_500_000, 2), text(3, 200_000)].flatMap((content) => Array.from({ length: 40 }, (_, i) => Buffer.from(content.subarray(i * 4_999, i * 4_999 + 12)))),
  ])];
  for (const [path, bytes] of stored) for (const secret of secrets) assert.equal(bytes.indexOf(secret), -1, `${path} has '${secret.toString('latin1')}'`);
  // The search itself works: where nothing is encrypted it finds names and content that did not compress.
  const plain = new SimulatedDisk();
  const repository = await Repository.create(simulatedWorld(plain, 1), {}, { index: 'log', workers: 0 });
  await repository.backup(new MemoryTree(firstRoot), backupOptions);
  await repository.close();
  const found = secrets.filter((secret) => plain.files.some((path) => Buffer.from(plain.bytesOf(path)).includes(secret)));
  assert.ok(found.length > 40, `${found.length} of ${secrets.length}`);

  const objects = new DiskObjects(simulatedWorld(disk, 9), 'test');
  let [groups, chunks] = [0, 0];
  const salts = new Set<string>();
  for (const { number } of await listContainers(objects)) {
    const file = await objects.open(containerPath(number));
    salts.add(Buffer.from((await readSealing(file)).salt).toString('hex'));
    const sequences: number[] = [];
    for await (const scanned of scanGroups(file, number, defaultLimits, await readFooter(file, defaultLimits))) {
      assert.ok('group' in scanned);
      const { head, table } = scanned.group;
      assert.equal(head.codec, 'sealed');
      assert.equal(padme(head.storedLength - 16, GROUP_PADDED_BYTES_MIN), head.storedLength - 16);
      for (let row = 0; row < head.count; row += 1) assert.equal(new DataView(table.buffer, table.byteOffset).getUint32(row * TABLE_ROW_BYTES + 32), 0);
      sequences.push(head.sequence);
      groups += 1;
      chunks += head.count;
    }
    assert.deepEqual(sequences, sequences.map((_, i) => i), 'each number is used once');
  }
  assert.equal(salts.size, (await listContainers(objects)).length, 'no two containers have one salt');
  assert.ok(groups > 4 && chunks > 200, `${groups} groups, ${chunks} chunks`);
});

test('ids are keyed: those of known content are not in the store', async () => {
  const { disk } = await make();
  const id = new Uint8Array(32);
  (await createHasher('blake3')).digestInto(utf8('a secret of forty-eight bytes that nobody may see'), id, 0);
  for (const path of disk.files) assert.equal(Buffer.from(disk.bytesOf(path)).indexOf(Buffer.from(id)), -1, path);
});

test('nothing opens without the key, and a key for a repository in the clear is refused', async () => {
  const { disk } = await make();
  const before = disk.files.filter((path) => !path.startsWith('locks/'));
  for (const credentials of [[], [otherKey], [passphraseCredential(utf8('guess'), 'passphrase')]]) {
    for (const mode of ['read', 'write'] as const) await assert.rejects(open(disk, { credentials, mode }), (error) => error instanceof UsageError && error.message.includes('key slots: \''));
  }
  assert.deepEqual(disk.files.filter((path) => !path.startsWith('locks/')), before);
  // Someone puts a config in place that says: not encrypted.
  const config = Buffer.from(disk.bytesOf('config')).toString().split('\n')[1] ?? '';
  disk.replace('config', encodeDocument({ kind: 'repository', version: 1 }, { ...JSON.parse(config) as object, features: [], encryption: 'none' }));
  await assert.rejects(open(disk), (error) => error instanceof UsageError && error.message.includes('not encrypted'));
  for (const choices of [{ encryption: { slots: [] } }, { encryption: { ...encryption, cipher: 'rot13' as 'aes-256-gcm' } }]) {
    const fresh = new SimulatedDisk();
    await assert.rejects(Repository.create(simulatedWorld(fresh, 1), choices), UsageError);
    assert.deepEqual(fresh.files, []);
  }
});

async function entriesOf(index: ChunkIndex): Promise<readonly string[]> {
  const rows: string[] = [];
  for await (const page of index.scan()) {
    for (let i = 0; i < page.ids.count; i += 1) rows.push(`${Buffer.from(page.ids.bytes.subarray(i * 32, (i + 1) * 32)).toString('hex')} ${Buffer.from(page.places.subarray(i * 18, (i + 1) * 18)).toString('hex')}`);
  }
  return rows.sort();
}

test('the index is built again without a key, and is the same', async () => {
  const made = await make({}, 0, [firstRoot, secondRoot]);
  const world = simulatedWorld(made.disk, 5);
  const live = (await openIndex(world, { kind: 'log', mode: 'read' })).index;
  const before = await entriesOf(live);
  await live.close();
  await world.disk.removeTree('index');
  await world.disk.removeTree('cache');
  const report = await Repository.rebuildIndex(world, { index: 'log' });
  assert.deepEqual(report.problems, []);
  const rebuilt = (await openIndex(world, { kind: 'log', mode: 'read' })).index;
  assert.deepEqual(await entriesOf(rebuilt), before);
  await rebuilt.close();
  const repository = await open(made.disk);
  await assertExact(repository, made, [firstRoot, secondRoot]);
  await repository.close();
});

async function readAll(repository: Repository, { snapshots }: Made): Promise<number> {
  let errors = 0;
  for (const id of snapshots) {
    try {
      const tree = await repository.openSnapshot(id);
      for (const [name, node] of firstRoot.children ?? []) {
        if (node.content === undefined) continue;
        const found = await tree.lookup(tree.rootId, utf8(name));
        assert.ok(found !== undefined);
        const source = await tree.open(found);
        assert.equal(Buffer.compare(await readRange(source, 0, source.size), node.content), 0, 'wrong bytes were taken for good');
        await source.close();
      }
    } catch (error) {
      if (!(error instanceof HoldfastError) && !(error instanceof RangeError)) throw error;
      errors += 1;
    }
  }
  return errors;
}

test('a flipped bit of any object keeps the repository from opening or is reported by check, and never gives wrong bytes', async () => {
  const made = await make();
  const paths = made.disk.files.filter((path) => /^(?:containers|manifests|keys|config)/.test(path));
  await fc.assert(fc.asyncProperty(fc.constantFrom(...paths), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), async (path, where) => {
    const disk = copyOf(made.disk);
    const bit = Math.floor(where * disk.bytesOf(path).length * 8);
    disk.flip(path, bit >>> 3, 1 << (bit & 7));
    let repository: Repository;
    try {
      repository = await open(disk);
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error));
      assert.ok(!path.startsWith('containers') && !path.startsWith('manifests'), `${path} keeps nothing from opening`);
      return;
    }
    await readAll(repository, made);
    const report = await repository.check({ readData: true, onProblem: () => undefined });
    assert.ok(!report.ok, `${path}, bit ${bit}: not reported`);
    await repository.close();
  }), { numRuns: 40 });
});

test('what a forger puts in place of objects does not open', async () => {
  const made = await make({}, 0, [firstRoot, firstRoot]);
  const [one = '', two = ''] = made.snapshots;
  const cases: readonly ((disk: SimulatedDisk) => void)[] = [
    // One snapshot under another's name, one in the clear, a fence that hides it.
    (disk) => disk.replace(`manifests/${one}`, disk.bytesOf(`manifests/${two}`)),
    (disk) => disk.replace(`manifests/${one}`, encodeDocument({ kind: 'manifest', version: 1 }, { id: one, features: [] })),
    (disk) => disk.replace(`manifests/${one}`, encodeDocument({ kind: 'fence', version: 1 }, { id: one, time: 0 })),
  ];
  for (const forge of cases) {
    const disk = copyOf(made.disk);
    forge(disk);
    const repository = await open(disk);
    await assert.rejects(repository.openSnapshot(one), (error) => error instanceof HoldfastError && error.code !== 'NOT_FOUND');
    await assert.rejects(repository.snapshots(), HoldfastError);
    await assertSameTree(await repository.openSnapshot(two), new MemoryTree(firstRoot));
    await repository.close();
  }
});

test('ciphertexts that change places, within their container or between two, do not open, however sound the checksums are', async () => {
  const made = await make({ compression: 'none' });
  const objects = new DiskObjects(simulatedWorld(made.disk, 9), 'test');
  const [container] = (await listContainers(objects)).filter(({ size }) => size > 3_000_000);
  assert.ok(container !== undefined);
  const path = containerPath(container.number);
  const rows = await readFooter(await objects.open(path), defaultLimits) ?? [];
  const last = (disk: SimulatedDisk, from: FooterRow, to: FooterRow): Uint8Array => { // the payload of `from`, cut to fit, in the record of `to`
    const bytes = disk.bytesOf(path).slice();
    const head = groupHeader.view(bytes, to.offset);
    const payload = bytes.subarray(to.offset + to.length - head.storedLength, to.offset + to.length);
    payload.set(bytes.subarray(from.offset + from.length - head.storedLength, from.offset + from.length));
    const view = new DataView(bytes.buffer, to.offset, groupHeader.size);
    view.setUint32(groupHeader.offsets.payloadCrc32, crc32(payload));
    view.setUint32(groupHeader.offsets.headerCrc32c, crc32c(bytes.subarray(to.offset, to.offset + groupHeader.offsets.headerCrc32c)));
    return bytes;
  };
  const [small, large] = [...rows].sort((a, b) => a.length - b.length).slice(-2);
  assert.ok(small !== undefined && large !== undefined);
  const otherSalt = made.disk.bytesOf(path).slice();
  otherSalt.set(seededBytes(32, 5), containerHeader.size + 4);
  for (const bytes of [last(made.disk, large, small), otherSalt]) {
    const disk = copyOf(made.disk);
    disk.replace(path, bytes);
    const repository = await open(disk);
    const kinds = new Set<string>();
    await repository.check({ readData: true, onProblem: ({ kind }) => { kinds.add(kind); } });
    assert.ok(kinds.has('damaged-group'), [...kinds].join());
    assert.ok(await readAll(repository, made) > 0);
    await repository.close();
  }
});

test('keys that are rotated elsewhere are picked up by who has the repository open', async () => {
  const made = await make();
  const reader = await open(made.disk);
  const keys = await Repository.openKeys(simulatedWorld(made.disk, 3), { credentials: [key] });
  await keys.add({ credential: otherKey, label: 'second' });
  assert.equal((await keys.rotate({ cipher: 'chacha20-poly1305' })).dataKey, 2);
  await keys.close();
  const writer = await open(made.disk, { mode: 'write', credentials: [otherKey], seed: 4 });
  const { snapshot } = await writer.backup(new MemoryTree(secondRoot), backupOptions);
  await writer.close();
  const objects = new DiskObjects(simulatedWorld(made.disk, 9), 'test');
  const numbers = await Promise.all((await listContainers(objects)).map(async ({ number }) => (await readSealing(await objects.open(containerPath(number)))).dataKey));
  assert.deepEqual([...new Set(numbers)].sort(), [1, 2]);
  await assertSameTree(await reader.openSnapshot(snapshot), new MemoryTree(secondRoot));
  await assertExact(reader, made);
  await reader.close();
  assert.deepEqual((await Repository.keySlots(simulatedWorld(made.disk, 6))).slots.map(({ label, current }) => [label, current]).sort(), [['', true], ['second', true]]);
});

test('a new root key shuts out the earlier credential and leaves all data readable', async () => {
  const made = await make();
  const world = simulatedWorld(made.disk, 3);
  const keys = await Repository.openKeys(world, { credentials: [key] });
  await keys.rotate({ newRoot: [{ credential: otherKey }] });
  await keys.close();
  await assert.rejects(open(made.disk), UsageError);
  const repository = await open(made.disk, { credentials: [otherKey] });
  await assertExact(repository, made);
  await repository.close();
  const plain = new SimulatedDisk();
  await (await Repository.create(simulatedWorld(plain, 1), {}, { index: 'memory', workers: 0 })).close();
  await assert.rejects(Repository.openKeys(simulatedWorld(plain, 2), {}), (error) => error instanceof UsageError && error.message.includes('not encrypted'));
});

test('garbage goes, what is wanted is copied and stays readable, and the collector leaves nothing in the clear', async () => {
  const made = await make({}, 0, [firstRoot, secondRoot]);
  const repository = await open(made.disk, { mode: 'write' });
  await repository.forget([made.snapshots[0] ?? '']);
  const report = await repository.collect({ maxUnused: 0 });
  assert.ok(report.bytesReclaimed > 2_000_000, String(report.bytesReclaimed));
  await assertSameTree(await repository.openSnapshot(made.snapshots[1] ?? ''), new MemoryTree(secondRoot));
  await repository.close();
  const small = made.disk.files.filter((path) => /^(?:condemned|reprieved|relocated|tombstones|manifests|sessions)\//.test(path));
  assert.ok(small.some((path) => path.startsWith('condemned/')));
  for (const path of small) assert.equal(Buffer.from(made.disk.bytesOf(path)).toString('latin1', 0, 4), 'HFSO', path);
  const again = await open(made.disk);
  assert.ok((await again.check({ readData: true, onProblem: () => undefined })).ok);
  await again.close();
});

test('a newer or unknown encryption is refused, not guessed', async () => {
  const { disk } = await make();
  const config = JSON.parse(Buffer.from(disk.bytesOf('config')).toString().split('\n')[1] ?? '') as object;
  disk.replace('config', encodeDocument({ kind: 'repository', version: 1 }, { ...config, features: ['encryption', 'more'] }));
  await assert.rejects(open(disk), (error) => error instanceof HoldfastError && error.code === 'UNSUPPORTED');
  const strange: Credential = { kind: 'key', name: 'short', secret: new Uint8Array(5) };
  await assert.rejects(Repository.create(simulatedWorld(new SimulatedDisk(), 1), { encryption: { slots: [{ credential: strange }] } }), UsageError);
});

test('whose newest key ring is lost is not written to with an older one', async () => {
  // The story: a rotation took the keys from somebody; the ring it made was lost, and the next backup was sealed with what that somebody can open.
  const { disk } = await make();
  const keys = await Repository.openKeys(simulatedWorld(disk, 2), { credentials: [key] });
  await keys.rotate();
  await keys.close();
  const [newest = ''] = disk.files.filter((name) => name.startsWith('keys/ring-')).slice(-1);
  const early = copyOf(disk);
  early.replace(newest, undefined);
  await assert.rejects(open(early, { mode: 'write' }), (error) => error instanceof HoldfastError && /newest key ring is lost: '.*' is gone and its parity is there/.test(error.message));
  const writer = await open(disk, { mode: 'write' });
  await writer.backup(new MemoryTree(secondRoot), backupOptions);
  await writer.close();
  for (const name of [newest, `parity/${newest}`]) disk.replace(name, undefined);
  await assert.rejects(open(disk, { mode: 'write' }), (error) => error instanceof HoldfastError && /newest key ring is lost: container '.*' needs a data key that no ring has/.test(error.message));
});
