/** Tasks give the same results inline and in threads, and damage never passes for good bytes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ID_BYTES } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { createHasher, type HashName } from '../hashing/hasher.ts';
import { Arena, BlockPool } from './arena.ts';
import { WorkerPool } from './pool.ts';
import type { TaskResult } from './tasks.ts';

const MiB = 1 << 20;

interface Bench { readonly arena: Arena; readonly pool: WorkerPool; readonly source: number; readonly stored: number; readonly raw: number; readonly table: number }

async function bench(threads: number, hash: HashName, run: (parts: Bench) => Promise<void>): Promise<void> {
  const arena = new Arena(4 * MiB);
  const [source, stored, raw, table] = [arena.reserve(MiB), arena.reserve(MiB), arena.reserve(MiB), arena.reserve(65_536)] as const;
  const pool = await WorkerPool.create({ memory: arena.memory, hash }, threads);
  try {
    await run({ arena, pool, source, stored, raw, table });
  } finally {
    await pool.close();
  }
}

const text = new Uint8Array(300_000).map((_, i) => (i % 50) ^ (i >> 8));
const noise = seededBytes(300_000, 1);

async function compress({ arena, pool, source, stored }: Bench, input: Uint8Array, level: number): Promise<TaskResult> {
  arena.view(source, input.length).set(input);
  return pool.run({ kind: 'compress', source, length: input.length, target: stored, level });
}

/** A table of chunks of 100,000 bytes over `input`, and the task that decodes what `compress` stored. */
async function decode({ arena, pool, stored, raw, table }: Bench, input: Uint8Array, storedLength: number, hash: HashName): Promise<{ readonly result: TaskResult; readonly bytes: Uint8Array }> { // oxlint-disable-line max-params -- one step of the tests below
  const hasher = await createHasher(hash);
  const count = Math.ceil(input.length / 100_000);
  for (let i = 0; i < count; i += 1) {
    const row = arena.view(table + i * TABLE_ROW_BYTES, TABLE_ROW_BYTES);
    const chunk = input.subarray(i * 100_000, (i + 1) * 100_000);
    hasher.digestInto(chunk, row, 0);
    new DataView(row.buffer, row.byteOffset).setUint32(ID_BYTES, chunk.length);
  }
  const result = await pool.run({ kind: 'decode', compressed: true, payload: stored, payloadLength: storedLength, target: raw, rawLength: input.length, table, count });
  return { result, bytes: arena.view(raw, input.length).slice() };
}

test('no threads and two give equal results, of many tasks at once too', async () => {
  const answers: object[] = [];
  for (const threads of [0, 2]) {
    await bench(threads, 'blake3', async ({ arena, pool, source }) => {
      // More than what runs inline before threads start.
      const pieces = Array.from({ length: 40 }, (_, i) => ({ from: (i * 7919) % 100_000, length: 400_000 + i }));
      arena.view(source, MiB).set(seededBytes(MiB, 3));
      const ranges = pieces.map(() => arena.reserve(8));
      const ids = pieces.map(() => arena.reserve(ID_BYTES));
      await Promise.all(pieces.map(async ({ from, length }, i) => {
        new Uint32Array(arena.memory.buffer, ranges[i], 2).set([source + from, length]);
        await pool.run({ kind: 'hash', ranges: ranges[i] as number, ids: ids[i] as number, count: 1, bytes: length });
        await new Promise((resolve) => { setTimeout(resolve, 10); });
        await pool.run({ kind: 'hash', ranges: ranges[i] as number, ids: ids[i] as number, count: 1, bytes: length });
      }));
      const hasher = await createHasher('blake3');
      const expected = new Uint8Array(ID_BYTES);
      pieces.forEach(({ from, length }, i) => {
        hasher.digestInto(arena.view(source + from, length), expected, 0);
        assert.deepEqual(Buffer.from(arena.view(ids[i] as number, ID_BYTES)), Buffer.from(expected));
      });
      answers.push(ids.map((at) => Buffer.from(arena.view(at, ID_BYTES)).toString('hex')));
    });
  }
  assert.deepEqual(answers[1], answers[0]);
});

for (const hash of ['blake3', 'sha256'] as const) {
  test(`what was compressed is decoded and checked against its ids (${hash})`, async () => {
    await bench(0, hash, async (parts) => {
      const { storedLength = 0 } = await compress(parts, text, 3);
      assert.ok(storedLength > 0 && storedLength < text.length / 2);
      const { result, bytes } = await decode(parts, text, storedLength, hash);
      assert.deepEqual(result, {});
      assert.equal(Buffer.compare(bytes, text), 0);
    });
  });
}

test('what does not shrink, or should not, is stored as it is', async () => {
  await bench(0, 'blake3', async (parts) => {
    assert.equal((await compress(parts, noise, 3)).storedLength, 0);
    assert.equal((await compress(parts, text, 0)).storedLength, 0);
    assert.equal((await compress(parts, Uint8Array.of(1, 2, 3), 3)).storedLength, 0);
  });
});

test('a damaged payload is damage or bad chunks, never wrong bytes that count as good', async (t) => {
  await bench(0, 'blake3', async (parts) => {
    const { storedLength = 0 } = await compress(parts, text, 3);
    const good = parts.arena.view(parts.stored, storedLength).slice();
    let damage = 0;
    let bad = 0;
    for (let i = 0; i < 400; i += 1) {
      const stored = parts.arena.view(parts.stored, storedLength);
      stored.set(good);
      const at = (i * 7919) % storedLength;
      stored[at] = (stored[at] as number) ^ 1 << i % 8;
      const { result, bytes } = await decode(parts, text, storedLength, 'blake3');
      if (result.damage !== undefined) damage += 1;
      if (result.bad !== undefined) bad += 1;
      if (result.damage !== undefined) continue;
      for (let chunk = 0; chunk < 3; chunk += 1) {
        const isRight = Buffer.compare(bytes.subarray(chunk * 100_000, (chunk + 1) * 100_000), text.subarray(chunk * 100_000, (chunk + 1) * 100_000)) === 0;
        assert.equal(result.bad?.includes(chunk) ?? false, !isRight, `flip at ${at}, chunk ${chunk}`);
      }
    }
    t.diagnostic(`400 flips: ${damage} refused whole, ${bad} with bad chunks`);
    assert.ok(damage + bad > 300);
  });
});

test('a closed pool rejects', async () => {
  await bench(2, 'blake3', async ({ pool }) => {
    await pool.close();
    await assert.rejects(pool.run({ kind: 'hash', ranges: 0, ids: 0, count: 0, bytes: 0 }), /closed/);
  });
});

test('blocks are handed out once, in order of asking', async () => {
  const pool = new BlockPool(new Arena(65_536), 100, 2);
  const [first, second] = [await pool.acquire(), await pool.acquire()];
  assert.notEqual(first.offset, second.offset);
  assert.equal(pool.tryAcquire(), undefined);
  const order: number[] = [];
  const waiting = [1, 2].map(async (number) => { const block = await pool.acquire(); order.push(number); return block; });
  pool.release(first);
  assert.equal(pool.tryAcquire(), undefined, 'nobody overtakes those who wait');
  pool.release(second);
  const blocks = await Promise.all(waiting);
  assert.deepEqual(order, [1, 2]);
  for (const block of blocks) pool.release(block);
  assert.throws(() => { pool.release(first); }, /released once/);
});

/**
 * A process that ends its pool while threads are at work: their answers let the process go before the threads had ended, so that what followed
 * the closing (the release of a lock, the rest of a program) never ran, and the process ended with code 13. About every second time.
 */
test('closing a pool outlives the answers that are still to come', () => {
  const script = `
    import { Arena } from ${JSON.stringify(new URL('./arena.js', import.meta.url).href)};
    import { WorkerPool } from ${JSON.stringify(new URL('./pool.js', import.meta.url).href)};
    const arena = new Arena(4 << 20);
    const [source, target] = [arena.reserve(1 << 20), arena.reserve(1 << 20)];
    arena.view(source, 1 << 20).forEach((_, i, bytes) => { bytes[i] = Math.sin(i) * 1e6; });
    const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
    for (let round = 0; round < 3; round += 1) {
      const pool = await WorkerPool.create({ memory: arena.memory, hash: 'blake3' }, 2);
      const work = () => { pool.run({ kind: 'compress', source, length: 1 << 20, target, level: 19 }).catch(() => undefined); };
      pool.expect(64 << 20);
      // As long as threads are starting, a task is done within the call.
      for (let began = 0; performance.now() - began > 3;) {
        await pause(20);
        began = performance.now();
        work();
      }
      await pause(100);
      for (let i = 0; i < 4; i += 1) work();
      await pool.close();
      process.stdout.write('closed ');
    }
  `;
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-pool-'));
  try {
    writeFileSync(path.join(directory, 'closing.mjs'), script);
    const { stdout, status } = spawnSync(process.execPath, [path.join(directory, 'closing.mjs')], { encoding: 'utf8' });
    assert.deepEqual([stdout, status], ['closed closed closed ', 0]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('threads start in a program that Node was given as text', () => {
  const script = `
    import { Arena } from ${JSON.stringify(new URL('./arena.js', import.meta.url).href)};
    import { WorkerPool } from ${JSON.stringify(new URL('./pool.js', import.meta.url).href)};
    const pool = await WorkerPool.create({ memory: new Arena(1 << 20).memory, hash: 'sha256' }, 1);
    const begun = new Promise((resolve, reject) => { process.once('worker', (thread) => { thread.once('message', resolve).once('error', reject); }); });
    pool.expect(64 << 20);
    const waiting = setInterval(() => undefined, 100); // the pool lets a program end while threads start
    console.log(await begun);
    clearInterval(waiting);
    await pool.close();`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--max-old-space-size=200', '--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.deepEqual([stdout, stderr, status], ['{ ready: true }\n', '', 0]);
});
