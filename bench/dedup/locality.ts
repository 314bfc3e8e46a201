/**
 * Restore where neighbouring chunks are stored as neighbours, against chunks that lie anywhere: the same content, the same repository format, verified
 * as always. Cold means that the store's files are not in the page cache.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ID_BYTES, utf8, type FileTree } from '../../src/core/index.ts';
import { directoryNode, fileNode, MemoryTree } from '../../src/core/testing/memory-tree.ts';
import { createHasher, nodeWorld, Repository } from '../../src/engine/index.ts';
import { chunkLengths } from './grouping.ts';

/** Chunks that are put at once. */
const BATCH = 256;
const READ_BYTES: number = 1 << 20;

/** One way to read one placement. */
export interface LocalityRow {
  readonly placement: 'neighbours' | 'anywhere';
  /** Whether the reader says that it goes from front to back, and groups are read ahead. */
  readonly readAhead: boolean;
  readonly cache: 'warm' | 'cold';
  readonly bytesPerSecond: number;
}

/** Stores all chunks of a content in the order of their ids, which is none. */
async function putAnywhere(repository: Repository, content: Uint8Array): Promise<void> {
  const hasher = await createHasher('blake3');
  let at = 0;
  const chunks = chunkLengths(content).map((length) => {
    const bytes = content.subarray(at, at + length);
    const id = new Uint8Array(ID_BYTES);
    hasher.digestInto(bytes, id, 0);
    at += length;
    return { id, bytes };
  }).sort((a, b) => Buffer.compare(a.id, b.id));
  for (let first = 0; first < chunks.length; first += BATCH) {
    const some = chunks.slice(first, first + BATCH);
    await repository.store.put({ bytes: Buffer.concat(some.map(({ id }) => id)), count: some.length }, some.map(({ bytes }) => bytes));
  }
  await repository.store.flush();
}

async function make(directory: string, content: Uint8Array, placement: LocalityRow['placement']): Promise<string> {
  mkdirSync(directory);
  const repository = await Repository.create(nodeWorld(directory), {}, { index: 'log' });
  try {
    if (placement === 'anywhere') await putAnywhere(repository, content);
    const result = await repository.backup(new MemoryTree(directoryNode({ content: fileNode(content) })), { sources: ['/'], host: 'bench' });
    if (placement === 'anywhere' && result.bytesNew > 0) throw new Error(`Measure locality: '${result.bytesNew}' bytes were not found`);
    return result.snapshot;
  } finally {
    await repository.close();
  }
}

/** Takes the files out of the page cache, as far as the kernel obeys; they are synced first. */
function dropCache(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const done = spawnSync('dd', [`of=${join(entry.parentPath, entry.name)}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']);
    if (done.status !== 0) throw new Error(`Drop '${entry.name}' from the page cache: dd ended with '${done.status}'`);
  }
}

async function read(directory: string, snapshot: string, sequential: boolean): Promise<number> {
  const repository = await Repository.open(nodeWorld(directory), { mode: 'read' });
  try {
    const tree: FileTree = await repository.openSnapshot(snapshot);
    const id = await tree.lookup(tree.rootId, utf8('content'));
    if (id === undefined) throw new Error('Measure locality: the file is not in the snapshot');
    const source = await tree.open(id);
    const target = new Uint8Array(READ_BYTES);
    const start = process.hrtime.bigint();
    for (let at = 0; at < source.size; at += READ_BYTES) {
      await source.readInto(at, target.subarray(0, Math.min(READ_BYTES, source.size - at)), { sequential });
    }
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    await source.close();
    return source.size / seconds;
  } finally {
    await repository.close();
  }
}

/** Each placement, read with and without read-ahead, cold and warm. Stores lie below `directory`, which should be on a disk. */
export async function measureLocality(directory: string, content: Uint8Array): Promise<readonly LocalityRow[]> {
  const base = mkdtempSync(join(directory, 'holdfast-locality-'));
  const rows: LocalityRow[] = [];
  try {
    for (const placement of ['neighbours', 'anywhere'] as const) {
      const place = join(base, placement);
      const snapshot = await make(place, content, placement);
      for (const readAhead of [true, false]) {
        for (const cache of ['cold', 'warm'] as const) {
          if (cache === 'cold') dropCache(place);
          rows.push({ placement, readAhead, cache, bytesPerSecond: await read(place, snapshot, readAhead) });
        }
      }
    }
    return rows;
  } finally {
    rmSync(base, { recursive: true });
  }
}
