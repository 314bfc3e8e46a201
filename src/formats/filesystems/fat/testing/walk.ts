/** Reads what a volume shows, within bounds, for tests of damaged ones: they may say that they are huge. */
import assert from 'node:assert/strict';
import { HoldfastError, type NodeId } from '../../../../core/index.ts';
import type { Filesystem } from '../../filesystem.ts';

const ENTRIES_MAX = 5000;
const PIECE_BYTES = 1 << 16;

/** What fails on purpose is fine; anything else is not. */
async function tolerant(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
  }
}

async function readEnds(tree: Filesystem, id: NodeId): Promise<void> {
  const source = await tree.open(id);
  const piece = new Uint8Array(Math.min(source.size, PIECE_BYTES));
  await source.readInto(0, piece);
  await source.readInto(source.size - piece.length, piece);
  let end = 0;
  for await (const { offset, length } of source.extents(0, source.size)) {
    assert.ok(offset === end && length > 0);
    end += length;
  }
  assert.equal(end, source.size);
  await source.close();
}

/** Walks, stats and reads both ends of each file of a tree that need not be in order. @throws whatever is no error on purpose. */
export async function walkDamaged(tree: Filesystem): Promise<void> {
  const queue: NodeId[] = [tree.rootId];
  let entries = 0;
  for (let id = queue.pop(); id !== undefined && entries < ENTRIES_MAX; id = queue.pop()) {
    const directory = id;
    await tolerant(async () => {
      for await (const page of tree.list(directory)) {
        for (const entry of page) {
          entries += 1;
          await tolerant(async () => {
            const { type } = await tree.stat(entry.id);
            if (type === 'directory') queue.push(entry.id);
            else {
              await tolerant(() => readEnds(tree, entry.id));
              for (const { name } of await tree.streams?.(entry.id) ?? []) await tolerant(async () => { await (await tree.open(entry.id, name)).close(); });
            }
            await tree.attributes(entry.id);
          });
        }
        if (entries >= ENTRIES_MAX) break;
      }
    });
  }
  assert.ok(tree.problems().length <= 1000);
}
