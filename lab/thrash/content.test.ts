/** The trees of the lab are told apart by a backup, as real files are. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { MemoryTree } from '../../src/core/testing/memory-tree.ts';
import { Repository, nodeWorld } from '../../src/engine/index.ts';
import { md5Of, treeOf } from './content.ts';

/** Two seeds whose own files have 59,550 bytes each. */
const SAME_SIZE = [1_705_925_573, 940_810_590] as const;

test('two trees whose own files have one size and one place are stored as two, the second with the first as its parent', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'thrash-content-'));
  try {
    const world = nodeWorld(path.join(directory, 'repository'));
    const repository = await Repository.create(world, {}, { workers: 0 });
    for (const seed of SAME_SIZE) {
      const tree = new MemoryTree(treeOf(seed));
      const { snapshot } = await repository.backup(tree, { sources: ['/'], host: 'h', parent: 'auto' });
      assert.equal(await md5Of(await repository.openSnapshot(snapshot)), await md5Of(tree));
    }
    await repository.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
