/**
 * Chunks that were lost must not count as stored. The stories: after a container was deleted, or cut, the next backup took unchanged files over from
 * its parent, reported success, and the new snapshot could not be restored.
 */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { nodeWorld } from '../world/index.ts';
import { Repository } from './repository.ts';

const root = directoryNode({ small: fileNode(seededBytes(3_000, 1)), large: fileNode(seededBytes(4_000_000, 2)), more: fileNode(seededBytes(2_000_000, 3)) });
const options = { sources: ['/'], host: 'h', parent: 'auto' } as const;

function containersOf(directory: string): readonly string[] {
  const folder = path.join(directory, 'containers');
  return readdirSync(folder).flatMap((prefix) => readdirSync(path.join(folder, prefix)).map((name) => path.join(folder, prefix, name)))
    .sort((a, b) => statSync(b).size - statSync(a).size);
}

for (const [what, harm] of [
  ['deleted', (file: string) => { rmSync(file); }],
  ['cut', (file: string) => { truncateSync(file, Math.floor(statSync(file).size / 2)); }],
] as const) {
  test(`a backup after the largest container was ${what} stores what is missing again`, async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-lost-'));
    try {
      const first = await Repository.create(nodeWorld(directory), {}, { workers: 0 });
      await first.backup(new MemoryTree(root), options);
      await first.close();
      harm(containersOf(directory)[0] ?? '');
      const notes: string[] = [];
      const second = await Repository.open(nodeWorld(directory), { mode: 'write', workers: 0, onNote: (text) => { notes.push(text); } });
      const result = await second.backup(new MemoryTree(root), options);
      assert.ok(result.chunksNew > 0, 'lost chunks are stored again');
      assert.match(notes.join(), /container '[0-9a-f]{16}', which is (gone|cut)/);
      await assertSameTree(await second.openSnapshot(result.snapshot), new MemoryTree(root));
      await second.close();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test('of a damaged group, a rebuilt index keeps the chunks that are still right, and the next backup brings the others back', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-lost-'));
  const many = directoryNode(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, fileNode(seededBytes(3_000, i))])));
  try {
    const first = await Repository.create(nodeWorld(directory), { compression: 'none' }, { workers: 0 });
    await first.backup(new MemoryTree(many), { sources: ['/'], host: 'h' });
    await first.close();
    const data = containersOf(directory)[0] ?? '';
    const fd = openSync(data, 'r+');
    writeSync(fd, Buffer.from('damage'), 0, 6, 30_000);
    closeSync(fd);
    const report = await Repository.rebuildIndex(nodeWorld(directory));
    assert.match(report.problems.map((problem) => problem.message).join(), /: 1 of 20 chunks are lost/);
    const second = await Repository.open(nodeWorld(directory), { mode: 'write', workers: 0 });
    const result = await second.backup(new MemoryTree(many), { sources: ['/'], host: 'h' });
    assert.equal(result.chunksNew, 1);
    await assertSameTree(await second.openSnapshot(result.snapshot), new MemoryTree(many));
    await second.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
