import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  AbortedError, ID_BYTES, NotFoundError, PLACE_BYTES, defaultLimits, encodePlace, idAt, idToHex, utf8, type IdBatch,
} from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { createHasher } from '../hashing/hasher.ts';
import { Repository } from '../repository/repository.ts';
import { EntryEncoder, type Entry } from '../snapshots/entry.ts';
import { MetadataStore } from '../snapshots/metadata-store.ts';
import { RefList, emptyContent, type Content } from '../snapshots/refs.ts';
import type { SnapshotTree } from '../snapshots/snapshot-tree.ts';
import { memoryWorld } from '../world/memory-world.ts';
import { mark, type MarkParts, type MarkResult } from './mark.ts';

/** Chunks by id with random places; it knows what is below each content, apart from the code under test. */
class Model {
  readonly chunks = new Map<string, Uint8Array>();
  readonly reads: string[] = [];
  readonly #below = new Map<Content, ReadonlySet<string>>([[emptyContent, new Set()]]);
  readonly #encoder = new EntryEncoder();
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
  }

  below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }

  /** Ids reachable from contents. */
  reachable(contents: readonly Content[]): ReadonlySet<string> {
    return new Set(contents.flatMap((content) => [...this.#below.get(content) ?? []]));
  }

  file(): Content {
    const chunks = Array.from({ length: this.below(12) }, () => {
      const bytes = utf8(`content ${this.below(200)}`);
      return { id: createHash('sha256').update(bytes).digest(), below: new Set<string>() };
    });
    return this.#recipe(chunks, this.below(4));
  }

  directory(entries: readonly Entry[]): Content {
    const pages: { id: Uint8Array; below: Set<string> }[] = [];
    for (let at = 0; at < entries.length;) {
      const some = entries.slice(at, at + 1 + this.below(4));
      at += some.length;
      const bytes = Buffer.concat(some.map((entry) => this.#encoder.encode(entry, defaultLimits).slice()));
      pages.push({ id: this.#put(bytes), below: new Set(this.reachable(some.map((entry) => entry.content))) });
    }
    return this.#recipe(pages, this.below(3));
  }

  /** A tree with shared parts: `pool` has contents of other trees. */
  tree(depth: number, pool: { readonly files: Content[]; readonly directories: Content[] }): Content {
    const entries: Entry[] = [];
    for (let i = this.below(7); i >= 0; i -= 1) {
      const isDirectory = depth > 0 && this.below(3) > 0;
      const known = isDirectory ? pool.directories : pool.files;
      const content = this.below(4) === 0 && known.length > 0 ? known[this.below(known.length)] as Content : isDirectory ? this.tree(depth - 1, pool) : this.file();
      known.push(content);
      entries.push(entryOf(`${i}`, isDirectory ? 'directory' : 'file', content));
    }
    return this.directory(entries);
  }

  #put(bytes: Uint8Array): Uint8Array {
    const id = createHash('sha256').update(bytes).digest();
    this.chunks.set(idToHex(id), new Uint8Array(bytes));
    return id;
  }

  #recipe(items: readonly { id: Uint8Array; below: Set<string> }[], depth: number): Content {
    let level = items;
    for (let i = 0; i < depth && level.length > 0; i += 1) {
      const pages: { id: Uint8Array; below: Set<string> }[] = [];
      for (let at = 0; at < level.length;) {
        const some = level.slice(at, at + 1 + this.below(5));
        at += some.length;
        pages.push({ id: this.#put(this.#refs(some).bytes.slice()), below: new Set(some.flatMap((one) => [idToHex(one.id), ...one.below])) });
      }
      level = pages;
    }
    if (level.length === 0) return emptyContent;
    const content = { depth, refs: this.#refs(level).bytes.slice() };
    this.#below.set(content, new Set(level.flatMap((one) => [idToHex(one.id), ...one.below])));
    return content;
  }

  #refs(items: readonly { readonly id: Uint8Array }[]): RefList {
    const refs = new RefList();
    for (const { id } of items) {
      if (this.below(5) === 0) refs.pushHole(4096);
      refs.push(id, 0, 10);
    }
    return refs;
  }

  locate(ids: IdBatch): Promise<Uint8Array> {
    const places = new Uint8Array(ids.count * PLACE_BYTES);
    for (let i = 0; i < ids.count; i += 1) encodePlace(places, i, { containerHigh: 0, containerLow: placeOf(idAt(ids, i)), offset: 0, length: 0, ordinal: 0 });
    return Promise.resolve(places);
  }

  get(id: Uint8Array): Promise<Uint8Array> {
    const bytes = this.chunks.get(idToHex(id));
    this.reads.push(idToHex(id));
    return bytes === undefined ? Promise.reject(new NotFoundError(`Find chunk '${idToHex(id)}': not there`)) : Promise.resolve(bytes);
  }
}

function placeOf(id: Uint8Array): number {
  return (id[31] as number) * 256 + (id[30] as number); // unlike the order of ids
}

function entryOf(name: string, type: 'directory' | 'file', content: Content): Entry {
  return {
    name: utf8(name), link: 0, attributes: new Map(), content,
    stat: { type, mode: 0o644, uid: 0, gid: 0, links: 1, size: 0, modified: { seconds: 0, nanoseconds: 0 } },
  };
}

function makeTrees(seed: number): { readonly model: Model; readonly contents: readonly Content[]; readonly roots: readonly Entry[]; parts(budgetBytes?: number): MarkParts } {
  const model = new Model(seed);
  const pool = { files: [], directories: [] };
  const contents = Array.from({ length: model.below(4) }, () => model.tree(4, pool));
  const { disk } = memoryWorld();
  return {
    model, contents, roots: contents.map((content) => entryOf('', 'directory', content)),
    parts: (budgetBytes = 1 << 20) => ({ disk, prefix: 'temporary/t-mark', store: model, metadata: model, limits: defaultLimits, budgetBytes }),
  };
}

async function idsOf({ reachable }: MarkResult): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { bytes, count } of reachable.pages()) for (let i = 0; i < count; i += 1) ids.push(idToHex(bytes.slice(i * ID_BYTES, (i + 1) * ID_BYTES)));
  return ids;
}

test('finds exactly what the trees reach, in order, reading each metadata chunk once', async () => {
  let largest = 0;
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.constantFrom(1000, 30_000, 1 << 20), async (seed, budgetBytes) => {
    const { model, contents, roots, parts } = makeTrees(seed);
    const result = await mark(roots, parts(budgetBytes));
    assert.deepEqual(await idsOf(result), [...model.reachable(contents)].sort());
    assert.equal(model.reads.length, new Set(model.reads).size);
    assert.equal(model.reads.length, result.metadataRead);
    assert.equal((await parts().disk.list('temporary')).length, 1);
    await result.reachable.remove();
    assert.deepEqual(await parts().disk.list('temporary'), []);
    largest = Math.max(largest, result.metadataRead);
  }), { numRuns: 40 });
  assert(largest > 100, `the largest tree has ${largest} metadata chunks`);
});

test('reads a level in the order of places', async () => {
  const { model, roots, parts } = makeTrees(12);
  const orders: number[][] = [[]];
  const result = await mark(roots, {
    ...parts(),
    metadata: { get: (id) => { orders.at(-1)?.push(placeOf(id)); return model.get(id); } },
    store: { locate: (ids) => { if (orders.at(-1)?.length !== 0) orders.push([]); return model.locate(ids); } },
  });
  assert(result.level > 3 && result.metadataRead > 30, `${result.level} levels, ${result.metadataRead} chunks`);
  for (const order of orders) assert.deepEqual(order, [...order].sort((a, b) => a - b));
});

test('a metadata chunk that is missing anywhere ends the mark, and no file is left', async () => {
  const { model, contents, roots, parts } = makeTrees(12);
  const metadata = [...model.reachable(contents)].filter((id) => model.chunks.has(id));
  assert(metadata.length > 30);
  for (const victim of metadata) {
    const bytes = model.chunks.get(victim) as Uint8Array;
    model.chunks.delete(victim);
    await assert.rejects(mark(roots, parts(1000)), NotFoundError);
    assert.deepEqual(await parts().disk.list('temporary'), []);
    model.chunks.set(victim, bytes);
  }
});

test('one id in two roles is read in both', async () => {
  const { model, parts } = makeTrees(1);
  // A file whose content happens to be the bytes of another directory's page.
  const inner = entryOf('inner', 'file', { depth: 0, refs: refsOf(createHash('sha256').update('x').digest()) });
  const page = new EntryEncoder().encode(inner, defaultLimits).slice();
  const id = createHash('sha256').update(page).digest();
  model.chunks.set(idToHex(id), page);
  const roots = [entryOf('', 'file', { depth: 0, refs: refsOf(id) }), entryOf('', 'directory', { depth: 0, refs: refsOf(id) })];
  const result = await mark(roots, parts());
  assert.deepEqual(await idsOf(result), [idToHex(id), idToHex(createHash('sha256').update('x').digest())].sort());
});

test('stops when asked to', async () => {
  const { roots, parts } = makeTrees(12);
  await assert.rejects(mark(roots, { ...parts(), signal: AbortSignal.abort() }), AbortedError);
  assert.deepEqual(await parts().disk.list('temporary'), []);
});

test('a repository without garbage: all of its chunks are reached, and each is there', async () => {
  const world = memoryWorld(3);
  const repository = await Repository.create(world, { chunker: { min: 2048, avg: 8192, max: 65_536 } }, { index: 'memory', workers: 0 });
  try {
    const many = (seed: number): MemoryNode => directoryNode(Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`f${i}`, fileNode(seededBytes(60, i % 2 === 0 ? i : i * seed))])));
    const metadata = new MetadataStore(repository.store, await createHasher(repository.config.hash));
    const parts: MarkParts = { disk: world.disk, prefix: 'temporary/t-mark', store: repository.store, metadata, limits: defaultLimits, budgetBytes: 50_000 };
    const roots: Entry[] = [];
    for (const [i, root] of [directoryNode({ big: fileNode(seededBytes(3_000_000, 1)), many: many(3) }), directoryNode({ x: directoryNode({ many: many(5) }) })].entries()) {
      const { snapshot } = await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' });
      roots.push((await repository.openSnapshot(snapshot) as SnapshotTree).manifest.root);
      const { chunks } = await repository.check({ onProblem: ({ message }) => { assert.fail(message); } });
      const result = await mark(roots, parts);
      const ids = await idsOf(result);
      assert.equal(ids.length, chunks, `after backup ${i + 1}`);
      await repository.store.locate({ bytes: new Uint8Array(Buffer.from(ids.join(''), 'hex')), count: ids.length });
      await result.reachable.remove();
    }
    const first = await mark(roots.slice(0, 1), { ...parts, prefix: 'temporary/t-mark1' });
    const second = await mark(roots.slice(1), { ...parts, prefix: 'temporary/t-mark2' });
    const both = await mark(roots, { ...parts, prefix: 'temporary/t-mark3' });
    assert(first.reachable.count < both.reachable.count && second.reachable.count < both.reachable.count);
    assert.deepEqual([...new Set([...await idsOf(first), ...await idsOf(second)])].sort(), await idsOf(both));
  } finally {
    await repository.close();
  }
});

function refsOf(id: Uint8Array): Uint8Array {
  const refs = new RefList();
  refs.push(id, 0, 1);
  return refs.bytes.slice();
}
