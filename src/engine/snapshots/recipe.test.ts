/** Recipes and directories as trees of pages: what they cover, how deep they are, and how little an insertion changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleId } from '../../core/conformance/chunk-index.ts';
import { FormatError, defaultLimits, idToHex, utf8 } from '../../core/index.ts';
import { createHasher } from '../hashing/hasher.ts';
import { Repository } from '../repository/repository.ts';
import { memoryWorld } from '../world/index.ts';
import { findLeaf, type ContentParts } from './content-reader.ts';
import { DirectoryWriter } from './directory-writer.ts';
import { decodeEntries, type Entry } from './entry.ts';
import { MetadataStore } from './metadata-store.ts';
import { RecipeWriter } from './recipe.ts';
import { SnapshotTree } from './snapshot-tree.ts';
import { REF_BYTES, emptyContent, isHole, refId, refStarts, type Content } from './refs.ts';

const counts = { files: 0, directories: 0, others: 0, bytes: 0, bytesNew: 0, bytesStored: 0, chunks: 0, chunksNew: 0, problems: 0 };

/** Counts the pages that were not there before. */
class CountingStore extends MetadataStore {
  readonly ids = new Set<string>();
  fresh = 0;

  override async put(bytes: Uint8Array): Promise<Uint8Array> {
    const id = await super.put(bytes);
    if (!this.ids.has(idToHex(id))) this.fresh += 1;
    this.ids.add(idToHex(id));
    return id;
  }
}

async function withStore(run: (store: CountingStore, parts: ContentParts, repository: Repository) => Promise<void>): Promise<void> {
  const repository = await Repository.create(memoryWorld(), {}, { index: 'memory', workers: 0 });
  const metadata = new CountingStore(repository.store, await createHasher('blake3'));
  await run(metadata, { store: repository.store, metadata, limits: defaultLimits }, repository);
  await repository.close();
}

/** Reference `i` covers i + 1 bytes, every seventh is a hole. */
async function recipeOf(store: MetadataStore, numbers: Iterable<number>): Promise<Content> {
  const writer = new RecipeWriter(store);
  const known = new Map<number, Uint8Array>();
  for (const number of numbers) {
    let id = known.get(number);
    if (id === undefined) known.set(number, id = sampleId(number));
    if (number % 7 === 6 ? writer.pushHole(number + 1) : writer.push(id, 0, number + 1)) await writer.flushPages();
  }
  return writer.finish();
}

for (const [count, depth] of [[0, 0], [1, 0], [32, 0], [33, 1], [5_000, 2], [200_000, 2]] as const) {
  test(`${count} references: depth ${depth}, every byte covered in order`, async () => {
    await withStore(async (store, parts, repository) => {
      const content = await recipeOf(store, Array.from({ length: count }, (_, i) => i));
      await repository.store.flush();
      assert.equal(content.depth, depth);
      assert.ok(content.refs.length <= 32 * REF_BYTES, 'few stand in the entry');
      const size = (count * (count + 1)) / 2;
      assert.equal(refStarts(content.refs, 0)[content.refs.length / REF_BYTES], size);
      let number = 0;
      for (let at = 0; at < size;) {
        const leaf = await findLeaf(content, at, parts);
        assert.equal(leaf.starts[0], at, 'leaves follow each other');
        for (let i = 0; i < leaf.count; i += 1, number += 1) {
          assert.equal((leaf.starts[i + 1] as number) - (leaf.starts[i] as number), number + 1);
          assert.equal(isHole(leaf.refs, i), number % 7 === 6);
          if (number % 997 === 0 && number % 7 !== 6) assert.equal(idToHex(refId(leaf.refs, i)), idToHex(sampleId(number)));
        }
        at = leaf.starts[leaf.count] as number;
      }
      assert.equal(number, count);
    });
  });
}

test('an insertion in the middle of a large recipe writes few pages', async (t) => {
  await withStore(async (store) => {
    const numbers = Array.from({ length: 60_000 }, (_, i) => i);
    await recipeOf(store, numbers);
    const pages = store.ids.size;
    store.fresh = 0;
    await recipeOf(store, [...numbers.slice(0, 30_000), 1_000_003, ...numbers.slice(30_000)]);
    assert.ok(store.fresh >= 1 && store.fresh <= 4, `${store.fresh} of ${pages}`);
    t.diagnostic(`${store.fresh} of ${pages} pages`);
  });
});

function entry(name: string): Entry {
  return { name: utf8(name), stat: { type: 'fifo', size: 0, mode: 0, uid: 0, gid: 0, modified: { seconds: 1, nanoseconds: 2 }, links: 1 }, link: 0, attributes: new Map(), content: emptyContent };
}

async function directoryOf(store: MetadataStore, names: readonly string[]): Promise<Content> {
  const writer = new DirectoryWriter(store, defaultLimits);
  for (const name of names) await writer.add(entry(name));
  return writer.finish();
}

test('one name more changes few pages of a large directory, and all names come back', async (t) => {
  await withStore(async (store, parts, repository) => {
    const names = Array.from({ length: 30_000 }, (_, i) => `name ${String(i).padStart(6, '0')}`);
    const content = await directoryOf(store, names);
    await repository.store.flush();
    const pages = store.ids.size;
    const found: string[] = [];
    for (let at = 0, size = refStarts(content.refs, 0)[content.refs.length / REF_BYTES] as number; at < size;) {
      const leaf = await findLeaf(content, at, parts);
      for (let i = 0; i < leaf.count; i += 1) found.push(...decodeEntries(await store.get(refId(leaf.refs, i)), defaultLimits).map(({ name }) => Buffer.from(name).toString()));
      at = leaf.starts[leaf.count] as number;
    }
    assert.deepEqual(found, names);
    store.fresh = 0;
    await directoryOf(store, [...names.slice(0, 15_000), 'name 014999a', ...names.slice(15_000)]);
    assert.ok(pages > 50 && store.fresh >= 1 && store.fresh <= 4, `${store.fresh} of ${pages}`);
    t.diagnostic(`${store.fresh} of ${pages} pages`);
  });
});

test('names that would leave their directory are refused when a snapshot is read', async () => {
  await withStore(async (store, parts, repository) => {
    for (const name of ['..', '.', '', 'a/b', '/etc', 'nul\0']) {
      const root: Entry = { ...entry(''), stat: { ...entry('').stat, type: 'directory' }, content: await directoryOf(store, [name]) };
      await repository.store.flush();
      const tree = new SnapshotTree({ id: '', time: 0, host: '', sources: [], tags: [], counts, parameters: {}, root }, parts);
      await assert.rejects(async () => { for await (const page of tree.list(tree.rootId)) assert.fail(`${page.length} entries`); }, FormatError, JSON.stringify(name));
      await assert.rejects(tree.lookup(tree.rootId, utf8(name)), FormatError);
    }
  });
});
