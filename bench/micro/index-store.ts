/**
 * The chunk indexes on the same ids in the same run: `indexSuite` compares calls with tinybench, `indexGrowth` fills an
 * index with millions of ids and shows whether the time for each stays flat and what memory the process takes.
 *
 * Run: `node dist/bench/micro/index-store.js suite` or `… growth <rocks|log|memory> <ids>` (each kind in its own process,
 * or the memory figures mix).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Bench } from 'tinybench';
import { ID_BYTES, PLACE_BYTES } from '../../src/core/index.ts';
import type { ChunkIndex, IdBatch } from '../../src/core/index.ts';
import { openIndex } from '../../src/engine/index/index.ts';
import type { IndexKind } from '../../src/engine/index/index.ts';
import { nodeWorld } from '../../src/engine/world/index.ts';

const BATCH = 1000;

/** Writes a uniform id for a number: eight words through a 32-bit finalizer. Allocates nothing, so that memory figures are the index's. */
function writeId(words: Uint32Array, at: number, number: number): void {
  for (let i = 0; i < 8; i += 1) {
    let x = Math.imul(number, 0x9e3779b1) + Math.imul(Math.floor(number / 2 ** 32) * 8 + i + 1, 0x85ebca6b);
    x = Math.imul(x ^ x >>> 16, 0x21f0aaad);
    x = Math.imul(x ^ x >>> 15, 0x735a2d97);
    words[at + i] = x ^ x >>> 15;
  }
}

function batchOf(numberAt: (i: number) => number): IdBatch {
  const words = new Uint32Array(BATCH * ID_BYTES / 4);
  for (let i = 0; i < BATCH; i += 1) writeId(words, i * 8, numberAt(i));
  return { bytes: new Uint8Array(words.buffer), count: BATCH };
}

function idBatch(from: number): IdBatch {
  return batchOf((i) => from + i);
}

/** A thousand of the first `stored` ids, spread over all of them. */
function mixedBatch(stored: number, salt: number): IdBatch {
  return batchOf((i) => (Math.imul(salt * BATCH + i, 0x9e3779b1) >>> 0) % stored);
}

async function fill(index: ChunkIndex, from: number, to: number): Promise<void> {
  const places = new Uint8Array(BATCH * PLACE_BYTES);
  for (let at = from; at < to; at += BATCH) {
    await index.putMany(idBatch(at), places, [{ container: (at >>> 16).toString(16).padStart(16, '0'), offset: at + 1, sealed: false }]);
  }
}

async function withIndex<T>(kind: IndexKind, work: (index: ChunkIndex) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), `index-${kind}-`));
  const { index, notes } = await openIndex(nodeWorld(root), { kind, mode: 'write' });
  for (const note of notes) console.log(note);
  try {
    return await work(index);
  } finally {
    await index.close();
    await rm(root, { recursive: true });
  }
}

/** One line of the result: operations a second are ids a second. */
export interface IndexRow {
  readonly index: string;
  readonly call: string;
  readonly idsPerSecond: number;
  /** Ids a second as a multiple of the slowest index in this run. */
  readonly ratio: number;
}

/** Hits, misses and puts in batches of 1,000 on indexes of `stored` ids. @param timeMs for each call and index. */
export async function indexSuite(stored = 300_000, timeMs = 1000): Promise<readonly IndexRow[]> {
  const rates: { index: string; call: string; idsPerSecond: number }[] = [];
  const hits = Array.from({ length: 8 }, (_, i) => mixedBatch(stored, i));
  const misses = Array.from({ length: 8 }, (_, i) => idBatch(2 ** 40 + i * BATCH));
  for (const kind of ['memory', 'rocks', 'log'] as const) {
    await withIndex(kind, async (index) => {
      await fill(index, 0, stored);
      const places = new Uint8Array(BATCH * PLACE_BYTES);
      let turn = 0;
      let next = stored;
      const bench = new Bench({ time: timeMs, warmupTime: timeMs / 10 });
      bench.add('hit', async () => { await index.getMany(hits[turn++ % hits.length] as IdBatch, places); });
      bench.add('miss', async () => { await index.getMany(misses[turn++ % misses.length] as IdBatch, places); });
      bench.add('put', async () => { next += BATCH; await fill(index, next - BATCH, next); });
      await bench.run();
      for (const task of bench.tasks) {
        if (task.result.state !== 'completed') throw new Error(`Measure '${kind} ${task.name}': it ended as '${task.result.state}'`);
        rates.push({ index: index.kind, call: task.name, idsPerSecond: Math.round(BATCH * 1000 / task.result.latency.mean) });
      }
    });
  }
  return rates.map((row) => {
    const slowest = Math.min(...rates.filter((other) => other.call === row.call).map((other) => other.idsPerSecond));
    return { ...row, ratio: Math.round(row.idsPerSecond / slowest * 10) / 10 };
  });
}

function rssMegabytes(): number {
  return Math.round(process.memoryUsage().rss / 1e6);
}

async function lookupRate(index: ChunkIndex, batches: readonly IdBatch[], expected: number): Promise<number> {
  const places = new Uint8Array(BATCH * PLACE_BYTES);
  const start = performance.now();
  let found = 0;
  for (const batch of batches) {
    for (const bits of await index.getMany(batch, places)) for (let rest = bits; rest > 0; rest >>= 1) found += rest & 1;
  }
  const seconds = (performance.now() - start) / 1000;
  if (found !== expected) throw new Error(`Measure lookups: found '${found}', expected '${expected}'`);
  return Math.round(batches.length * BATCH / seconds);
}

/** Fills one index with `total` ids in ten steps and prints, for each step, microseconds an id and the process's memory. */
export async function indexGrowth(kind: IndexKind, total: number): Promise<void> {
  await withIndex(kind, async (index) => {
    const step = Math.ceil(total / 10 / BATCH) * BATCH;
    for (let from = 0; from < step * 10; from += step) {
      const start = performance.now();
      await fill(index, from, from + step);
      const microseconds = (performance.now() - start) * 1000 / step;
      console.log(`${index.kind}: ids ${from + step}, put ${microseconds.toFixed(2)} µs/id, rss ${rssMegabytes()} MB`);
    }
    const start = performance.now();
    await index.flush();
    console.log(`${index.kind}: flush ${(performance.now() - start).toFixed(1)} ms`);
    const hits = Array.from({ length: 50 }, (_, i) => mixedBatch(step * 10, i));
    const misses = Array.from({ length: 50 }, (_, i) => idBatch(2 ** 40 + i * BATCH));
    for (const round of ['first', 'warm']) {
      const hit = await lookupRate(index, hits, hits.length * BATCH);
      const miss = await lookupRate(index, misses, 0);
      console.log(`${index.kind}: ${round} lookups: hits ${hit}/s, misses ${miss}/s, rss ${rssMegabytes()} MB`);
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , what, kind = 'log', total = '1000000'] = process.argv;
  if (what === 'growth') await indexGrowth(kind as IndexKind, Number(total));
  else console.table(await indexSuite());
}
