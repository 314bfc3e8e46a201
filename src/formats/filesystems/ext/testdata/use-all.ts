/** Uses a tree as a backup of it would, for tests of damage. */
import assert from 'node:assert/strict';
import { HoldfastError, readRange, type NodeId } from '../../../../core/index.ts';
import type { Filesystem } from '../../filesystem.ts';

const ENTRIES_MAX = 500;

/** Reads everything, but not more than a little of what says that it is huge. @throws {HoldfastError} the first failure, after everything else; others at once. */
export async function useAll(tree: Filesystem): Promise<void> {
  let failure: unknown;
  let count = 0;
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      failure ??= error;
    }
  };
  const use = async (id: NodeId, depth: number): Promise<void> => {
    const { type } = await tree.stat(id);
    await attempt(() => tree.attributes(id));
    if (type === 'symlink') await attempt(() => tree.readLink(id));
    if (type === 'file') await attempt(() => readSome(tree, id));
    if (type !== 'directory' || depth > 20) return;
    const names: Uint8Array[] = [];
    await attempt(async () => {
      for await (const page of tree.list(id)) {
        for (const entry of page) {
          if ((count += 1) > ENTRIES_MAX) return;
          if (names.length < 20) names.push(entry.name);
          await attempt(() => use(entry.id, depth + 1));
        }
      }
    });
    for (const name of names) await attempt(() => tree.lookup(id, name));
  };
  await attempt(() => use(tree.rootId, 0));
  if (failure !== undefined) throw failure;
}

async function readSome(tree: Filesystem, id: NodeId): Promise<void> {
  const source = await tree.open(id);
  const length = Math.min(source.size, 1 << 16);
  await readRange(source, 0, length);
  await readRange(source, source.size - length, length);
  let count = 0;
  for await (const extent of source.extents(0, source.size)) {
    assert.ok(extent.length > 0);
    if ((count += 1) > 2000) break;
  }
}
