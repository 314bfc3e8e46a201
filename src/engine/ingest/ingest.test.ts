/** What goes in comes out: arbitrary trees through backup and snapshot, twice, with faults in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fileTreeSuite } from '../../core/conformance/file-tree.ts';
import { AbortedError, defaultLimits, readRange, utf8, type FileTree, type NodeType, type TreeProblem, type World } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { Repository } from '../repository/repository.ts';
import type { BackupOptions, BackupResult } from '../repository/snapshot-store.ts';
import type { RepositoryChoices } from '../repository/config.ts';
import { memoryWorld } from '../world/index.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

async function withRepository(run: (repository: Repository, world: World) => Promise<void>, choices: RepositoryChoices = {}, workers = 0): Promise<void> {
  const world = memoryWorld();
  const repository = await Repository.create(world, choices, { index: 'memory', workers });
  try {
    await run(repository, world);
  } finally {
    await repository.close();
  }
}

interface Outcome extends BackupResult { readonly problemList: readonly TreeProblem[]; readonly tree: FileTree }

async function backUp(repository: Repository, root: MemoryNode, options: Partial<BackupOptions> = {}): Promise<Outcome> {
  const problemList: TreeProblem[] = [];
  const result = await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h', ...options, onProblem: (problem) => { problemList.push(problem); } });
  return { ...result, problemList, tree: await repository.openSnapshot(result.snapshot) };
}

async function roundTrip(repository: Repository, root: MemoryNode, options: Partial<BackupOptions> = {}): Promise<Outcome> {
  const outcome = await backUp(repository, root, options);
  assert.deepEqual(outcome.problemList, []);
  await assertSameTree(outcome.tree, new MemoryTree(root));
  return outcome;
}

const boundaries = [0, 1, 4 * KiB, 16 * KiB, 64 * KiB, MiB, 2 * MiB].flatMap((size) => [size - 1, size, size + 1]).filter((size) => size >= 0);
const sizes = fc.oneof({ weight: 6, arbitrary: fc.nat(9 * KiB) }, { weight: 3, arbitrary: fc.nat(300 * KiB) }, { weight: 1, arbitrary: fc.constantFrom(...boundaries) });
const seconds = fc.integer({ min: -(2 ** 34), max: 2 ** 34 });
const time = fc.record({ seconds, nanoseconds: fc.nat(999_999_999) }, { noNullPrototype: true });
const u32 = fc.nat(0xffff_ffff);
const facts = fc.record({ mode: fc.nat(0o7777), uid: u32, gid: u32, modified: time, changed: time, accessed: time, created: time, inode: fc.nat(Number.MAX_SAFE_INTEGER), device: u32 }, { requiredKeys: ['modified'], noNullPrototype: true });
const attributes = fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }).map((key) => `user.${key.replaceAll('\0', '0')}`), fc.uint8Array({ maxLength: 200 }), { maxKeys: 3 }).map((one) => new Map(Object.entries(one)));

function content(size: number, seed: number): Uint8Array {
  return seed % 3 === 0 ? new Uint8Array(size).fill(seed) : seededBytes(size, seed);
}

const file = fc.record({ size: sizes, seed: fc.nat(50), facts, attributes }).map(({ size, seed, facts: stat, attributes: map }): MemoryNode => fileNode(content(size, seed), { stat, attributes: map }));
const sparse = fc.record({ runs: fc.array(fc.tuple(fc.nat(200 * KiB), fc.nat(300 * KiB)), { minLength: 1, maxLength: 4 }), seed: fc.nat(9), tail: fc.nat(9000) }).map(({ runs, seed, tail }): MemoryNode => {
  const bytes = seededBytes(runs.reduce((sum, [data, hole]) => sum + data + hole, tail), seed);
  const holes: [number, number][] = [];
  let at = 0;
  for (const [data, hole] of runs) {
    at += data;
    bytes.fill(0, at, at + hole);
    if (hole > 0) holes.push([at, hole]);
    at += hole;
  }
  return fileNode(bytes, { holes });
});
const other = fc.tuple(fc.constantFrom<NodeType>('fifo', 'socket', 'character', 'block', 'symlink'), fc.nat(4095), fc.nat(255), fc.uint8Array({ minLength: 1, maxLength: 300 })).map(([type, major, minor, target]): MemoryNode => {
  if (type === 'symlink') return { type, target };
  return type === 'fifo' || type === 'socket' ? { type } : { type, stat: { deviceMajor: major, deviceMinor: minor } };
});
const name = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))).toString('latin1')).filter((text) => text !== '.' && text !== '..');
const { tree } = fc.letrec<{ tree: MemoryNode; node: MemoryNode }>((tie) => ({
  node: fc.oneof({ depthSize: 'small', withCrossShrink: true }, { weight: 5, arbitrary: file }, { weight: 1, arbitrary: sparse }, { weight: 2, arbitrary: other }, { weight: 2, arbitrary: tie('tree') }),
  tree: fc.tuple(fc.array(fc.tuple(name, tie('node')), { maxLength: 8 }), fc.array(fc.tuple(name, fc.nat(7)), { maxLength: 3 }), attributes).map(([entries, links, map]) => {
    const children = new Map(entries);
    const nodes = [...children.values()].filter(({ type }) => type !== 'directory');
    for (const [link, which] of links) if (!children.has(link) && nodes[which] !== undefined) children.set(link, nodes[which]);
    return directoryNode(children, { attributes: map });
  }),
}));

test('arbitrary trees come back byte for byte, and storing them again stores nothing', async (t) => {
  let files = 0;
  await withRepository(async (repository) => {
    await fc.assert(fc.asyncProperty(tree, fc.boolean(), async (root, sorted) => {
      const first = await roundTrip(repository, root);
      const problems: TreeProblem[] = [];
      const again = await repository.backup(new MemoryTree(root, { sorted }), { sources: ['/'], host: 'h', onProblem: (problem) => { problems.push(problem); } });
      assert.deepEqual([again.chunksNew, again.bytesNew, again.metadataBytesNew, again.bytes, problems.length], [0, 0, 0, first.bytes, 0]);
      const third = await roundTrip(repository, root, { parent: 'auto' });
      assert.deepEqual([third.chunksNew, third.bytes, third.files], [0, first.bytes, first.files]);
      files += first.files;
    }), { numRuns: 40 });
    const report = await repository.check({ readData: true, onProblem: ({ message }) => { assert.fail(message); } });
    assert.ok(report.ok);
  });
  t.diagnostic(`${files} files`);
});

test('files of each size around chunks, groups and slabs, also behind each other in one slab', async () => {
  const children = new Map<string, MemoryNode>();
  for (const [i, size] of [...boundaries, 4 * MiB + 1, 7 * MiB + 13].entries()) children.set(`f${i}`, fileNode(seededBytes(size, i)));
  for (const workers of [0, 2]) {
    await withRepository(async (repository) => {
      const { tree: stored } = await roundTrip(repository, directoryNode(children));
      const id = await stored.lookup(stored.rootId, utf8(`f${children.size - 1}`));
      const source = await stored.open(id as typeof stored.rootId);
      const whole = seededBytes(source.size, children.size - 1);
      await fc.assert(fc.asyncProperty(fc.nat(source.size - 1), fc.nat(300 * KiB), async (offset, wish) => {
        const length = Math.min(wish, source.size - offset);
        assert.equal(Buffer.compare(await readRange(source, offset, length), whole.subarray(offset, offset + length)), 0);
      }), { numRuns: 60 });
    }, {}, workers);
  }
});

test('the same content twice in one backup is stored once; one byte more changes few chunks', async () => {
  await withRepository(async (repository) => {
    const bytes = seededBytes(3 * MiB, 1);
    const first = await roundTrip(repository, directoryNode({ a: fileNode(bytes), b: fileNode(bytes) }));
    assert.equal(first.bytesNew, bytes.length);
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes.subarray(0, MiB));
    longer.set(bytes.subarray(MiB), MiB + 1);
    const second = await roundTrip(repository, directoryNode({ a: fileNode(bytes), b: fileNode(longer) }));
    assert.ok(second.chunksNew >= 1 && second.chunksNew <= 3, `${second.chunksNew} chunks`);
  });
});

test('a disk image is cut in blocks that keep their place', async () => {
  const image = seededBytes(2 * MiB, 3);
  image[510] = 0x55;
  image[511] = 0xaa;
  await withRepository(async (repository) => {
    const blockBytes = repository.config.fixedBlockBytes;
    const first = await roundTrip(repository, directoryNode({ disk: fileNode(image) }), { chunking: 'fixed' });
    assert.equal(first.chunks, image.length / blockBytes);
    const changed = image.slice();
    changed[MiB + 5] = (changed[MiB + 5] as number) ^ 1;
    const second = await roundTrip(repository, directoryNode({ disk: fileNode(changed) }), { chunking: 'fixed' });
    assert.deepEqual([second.chunksNew, second.bytesNew], [1, blockBytes]);
  });
});

test('what cannot be read is reported and left out, and shifts nothing behind it', async () => {
  const good = { a: fileNode(seededBytes(100 * KiB, 1)), z: fileNode(seededBytes(3 * MiB, 2)), zz: fileNode(seededBytes(100, 3)) };
  for (const at of [0, 1, 100, 2 * KiB, 70 * KiB, MiB, 2 * MiB - 1, 2 * MiB + 1]) {
    for (const size of [3 * KiB, 3 * MiB].filter((bytes) => bytes > at)) {
      await withRepository(async (repository) => {
        const broken = fileNode(seededBytes(size, 9), { fault: at });
        const outcome = await backUp(repository, directoryNode({ ...good, k: broken, l: broken, m: fileNode(utf8('closed'), { fault: 'open' }) }));
        assert.deepEqual(outcome.problemList.map(({ kind, where }) => [kind, where]).sort(), [['unreadable', 'k'], ['unreadable', 'l'], ['unreadable', 'm']]);
        assert.equal(outcome.problems, 3);
        await assertSameContent(outcome.tree, good);
        const report = await repository.check({ readData: true, onProblem: ({ message }) => { assert.fail(message); } });
        assert.equal(report.files, 3);
      });
    }
  }
});

async function assertSameContent(stored: FileTree, good: Readonly<Record<string, MemoryNode>>): Promise<void> {
  const names: string[] = [];
  for await (const page of stored.list(stored.rootId)) for (const entry of page) names.push(Buffer.from(entry.name).toString());
  assert.deepEqual(names, Object.keys(good).sort());
  for (const [key, node] of Object.entries(good)) {
    const source = await stored.open(await stored.lookup(stored.rootId, utf8(key)) as typeof stored.rootId);
    assert.equal(Buffer.compare(await readRange(source, 0, source.size), node.content as Uint8Array), 0, key);
  }
}

test('a directory that cannot be listed is reported; its neighbours are stored where they belong', async () => {
  await withRepository(async (repository) => {
    const root = directoryNode({ a: directoryNode({ x: fileNode(utf8('x')) }), b: directoryNode({ y: fileNode(utf8('y')) }, { fault: 'list' }), c: fileNode(utf8('c')) });
    const outcome = await backUp(repository, root);
    assert.deepEqual(outcome.problemList.map(({ where }) => where), ['b']);
    const expected = directoryNode({ a: directoryNode({ x: fileNode(utf8('x')) }), b: directoryNode({}), c: fileNode(utf8('c')) });
    const found: string[] = [];
    for await (const page of outcome.tree.list(outcome.tree.rootId)) for (const entry of page) found.push(Buffer.from(entry.name).toString());
    assert.deepEqual(found, [...expected.children?.keys() ?? []]);
  });
});

test('attributes that are too large cost the file, but of a directory only themselves', async () => {
  await withRepository(async (repository) => {
    const large = new Map([['user.large', new Uint8Array(2 * MiB)]]);
    const many = new Map(Array.from({ length: 65_536 }, (_, i) => [`${i}`, new Uint8Array(0)]));
    const root = directoryNode({ a: fileNode(utf8('a'), { attributes: large }), b: directoryNode({ x: fileNode(utf8('x')) }, { attributes: large }), c: fileNode(utf8('c'), { attributes: many }), d: fileNode(utf8('d')) });
    const outcome = await backUp(repository, root);
    assert.deepEqual(outcome.problemList.map(({ kind, where }) => [kind, where]), [['too-large', 'a'], ['too-large', 'b'], ['too-large', 'c']]);
    const b = await outcome.tree.lookup(outcome.tree.rootId, utf8('b')) as typeof outcome.tree.rootId;
    assert.equal((await outcome.tree.attributes(b)).size, 0);
    assert.ok(await outcome.tree.lookup(b, utf8('x')) !== undefined, 'its children are there');
    assert.equal(await outcome.tree.lookup(outcome.tree.rootId, utf8('a')), undefined);
    assert.ok(await outcome.tree.lookup(outcome.tree.rootId, utf8('d')) !== undefined);
  });
});

test('a directory too deep is reported, and what follows is in its right place', async () => {
  const world = memoryWorld();
  const repository = await Repository.create(world, {}, { index: 'memory', workers: 0, limits: { ...defaultLimits, treeDepthMax: 2 } });
  const outcome = await backUp(repository, directoryNode({ a: directoryNode({ b: directoryNode({ c: directoryNode({ d: fileNode(utf8('d')) }) }), e: fileNode(utf8('e')) }), f: fileNode(utf8('f')) }));
  assert.deepEqual(outcome.problemList.map(({ where }) => where), ['a/b/c']);
  const paths: string[] = [];
  const list = async (id: typeof outcome.tree.rootId, at: string): Promise<void> => {
    for await (const page of outcome.tree.list(id)) {
      for (const entry of page) {
        paths.push(at + Buffer.from(entry.name).toString());
        if ((await outcome.tree.stat(entry.id)).type === 'directory') await list(entry.id, `${at}${Buffer.from(entry.name).toString()}/`);
      }
    }
  };
  await list(outcome.tree.rootId, '');
  assert.deepEqual(paths, ['a', 'a/b', 'a/e', 'f']);
  await repository.close();
});

test('a file is taken over from the parent only when nothing about it moved and it is not too young', async () => {
  const old = { seconds: 1_000_000_000, nanoseconds: 5 };
  const stat = { modified: old, changed: old, inode: 77 };
  const base = fileNode(seededBytes(5000, 1), { stat });
  const cases: readonly (readonly [string, MemoryNode, number])[] = [
    ['the same', fileNode(seededBytes(5000, 1), { stat }), 1],
    ['another change time', fileNode(seededBytes(5000, 2), { stat: { ...stat, changed: { ...old, nanoseconds: 6 } } }), 0],
    ['another modification time', fileNode(seededBytes(5000, 2), { stat: { ...stat, modified: { ...old, seconds: 1 } } }), 0],
    ['another inode', fileNode(seededBytes(5000, 2), { stat: { ...stat, inode: 78 } }), 0],
    ['another size', fileNode(seededBytes(5001, 2), { stat }), 0],
  ];
  for (const [what, node, unchanged] of cases) {
    await withRepository(async (repository) => {
      await roundTrip(repository, directoryNode({ file: base }));
      const outcome = await roundTrip(repository, directoryNode({ file: node }), { parent: 'auto' });
      assert.equal(outcome.unchanged, unchanged, what);
    });
  }
  await withRepository(async (repository, world) => {
    const young = { modified: old, changed: { seconds: Math.floor(world.now() / 1000), nanoseconds: 0 }, inode: 77 };
    await roundTrip(repository, directoryNode({ file: fileNode(seededBytes(5000, 1), { stat: young }) }));
    const outcome = await roundTrip(repository, directoryNode({ file: fileNode(seededBytes(5000, 2), { stat: young }) }), { parent: 'auto' });
    assert.equal(outcome.unchanged, 0, 'it may have changed again within the same tick');
  });
});

test('aborted backups leave a repository that works, however many there were', async () => {
  await withRepository(async (repository) => {
    const root = directoryNode(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, fileNode(seededBytes(40 * KiB, i))])));
    for (let i = 0; i < 12; i += 1) {
      const controller = new AbortController();
      let looks = 0;
      const onProgress = (): void => { looks += 1; if (looks > i % 4) controller.abort(); };
      if (i % 4 === 3) controller.abort();
      await assert.rejects(backUp(repository, root, { signal: controller.signal, onProgress }), AbortedError);
    }
    assert.deepEqual(await repository.snapshots(), []);
    await roundTrip(repository, root);
  });
});

test('an abort is heard in the middle of a large file', async () => {
  await withRepository(async (repository) => {
    const controller = new AbortController();
    const large = fileNode(seededBytes(12 * MiB, 1));
    let slabs = 0;
    const onProgress = (): void => { slabs += 1; controller.abort(); };
    await assert.rejects(backUp(repository, directoryNode({ large }), { signal: controller.signal, onProgress }), AbortedError);
    assert.ok(slabs >= 1 && slabs < 6, `${slabs} slabs of 2 MiB`);
    await roundTrip(repository, directoryNode({ large }));
  });
});

test('hash, compression and number of threads change no result', async () => {
  const root = directoryNode({ text: fileNode(utf8('the same line\n'.repeat(20_000))), noise: fileNode(seededBytes(MiB, 1)), small: fileNode(utf8('s')) });
  const results: object[] = [];
  for (const hash of ['blake3', 'sha256'] as const) {
    for (const compression of ['none', 'zstd'] as const) {
      for (const workers of [0, 2]) {
        await withRepository(async (repository) => {
          const { files, bytes, bytesNew, chunks, chunksNew, metadataBytesNew } = await roundTrip(repository, root);
          results.push({ files, bytes, bytesNew, chunks, chunksNew, metadataBytesNew });
        }, { hash, compression }, workers);
      }
    }
  }
  for (const result of results) assert.deepEqual(result, results[0]);
});

fileTreeSuite('SnapshotTree', async () => {
  const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`n${i}`, fileNode(utf8(`${i}`))]));
  const linked = fileNode(seededBytes(100 * KiB, 5));
  const root = directoryNode({
    many: directoryNode(many), linked, 'also linked': linked, link: { type: 'symlink', target: utf8('many/n1') }, device: { type: 'character', stat: { deviceMajor: 1, deviceMinor: 3 } },
    attributed: fileNode(utf8('x'), { attributes: new Map([['user.a', utf8('b')]]) }),
  });
  const repository = await Repository.create(memoryWorld(), {}, { index: 'memory', workers: 0 });
  const { snapshot } = await repository.backup(new MemoryTree(root), { sources: ['/'] });
  return {
    tree: await repository.openSnapshot(snapshot),
    expected: [
      { path: utf8('linked'), content: linked.content as Uint8Array, sameAs: utf8('also linked') }, { path: utf8('link'), target: utf8('many/n1') },
      { path: utf8('attributed'), attributes: new Map([['user.a', utf8('b')]]) }, { path: utf8('many/n2999'), content: utf8('2999') },
    ],
    cleanup: () => repository.close(),
  };
});
