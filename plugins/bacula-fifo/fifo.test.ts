/** The three commands as processes: a volume through a FIFO into a repository, back out of it, and confirmed; a cut one is never confirmed. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createRepository } from '../../src/services/repositories.ts';

const main = fileURLToPath(new URL('main.js', import.meta.url));
const fixtures = fileURLToPath(new URL('../../../src/formats/bacula/testdata/', import.meta.url));
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-fifo-'));
const [repository, spool, fifo] = ['repository', 'spool', 'fifo'].map((name) => path.join(root, name)) as [string, string, string];

interface Ended {
  readonly code: number | null;
  readonly lines: readonly Record<string, unknown>[];
  readonly errors: string;
}

function run(...words: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOLDFAST_REPO: repository, HOLDFAST_SPOOL_DIR: spool } });
    let [text, errors] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    child.stderr.on('data', (bytes: Buffer) => { errors += bytes.toString(); });
    child.on('error', reject);
    child.on('close', (code) => { resolve({ code, errors, lines: text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>) }); });
  });
}

function fixture(set: string): { readonly name: string; readonly bytes: Buffer } {
  const directory = path.join(fixtures, set, 'volumes');
  const [name = ''] = fs.readdirSync(directory);
  return { name, bytes: fs.readFileSync(path.join(directory, name)) };
}

/** Opens and closes as the storage daemon does, then writes. */
async function writeJob(bytes: Uint8Array): Promise<void> {
  for (let i = 0; i < 2; i += 1) await (await fs.promises.open(fifo, 'w')).close();
  await sleep(30);
  await fs.promises.writeFile(fifo, bytes);
}

/** Blocks of a volume, each of which has zeroes behind it up to `step` bytes, but the last. */
function blocksOf(bytes: Buffer, step = 0): readonly Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + bytes.readUInt32BE(at + 4);
    const next = end >= bytes.length ? bytes.length : Math.max(end, at + step);
    blocks.push(bytes.subarray(at, end));
    assert.ok(bytes.subarray(end, next).every((byte) => byte === 0), `zeroes behind the block at ${at}`);
    at = next;
  }
  return blocks;
}

before(async () => {
  await (await createRepository(repository)).close();
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
});
after(() => { fs.rmSync(root, { recursive: true, force: true }); });

test('jobs are stored, confirmed and fed back', async () => {
  const [first, second] = [fixture('special-files'), fixture('b15-acl-xattr')];
  const storing = run('store', '--fifo', fifo, '--volume', first.name, '--volume', second.name);
  await writeJob(first.bytes);
  const confirming = run('confirm', '--volume', first.name, '--wait', '30');
  await sleep(300);
  await writeJob(second.bytes);
  const stored = await storing;
  assert.deepEqual([stored.code, stored.errors], [0, '']);
  assert.deepEqual(stored.lines.map(({ volume, bytes, faults }) => [volume, bytes, faults]), [[first.name, first.bytes.length, []], [second.name, second.bytes.length, []]]);
  assert.equal((await confirming).code, 0);
  const [jobId] = (stored.lines[1] as Record<string, unknown>)['jobs'] as readonly [number];
  assert.equal((await run('confirm', '--volume', second.name, '--job', String(jobId), '--wait', '0')).code, 0);
  assert.equal((await run('confirm', '--volume', `${first.name}|${second.name}`, '--wait', '0')).code, 0);

  const back = fs.promises.readFile(fifo);
  assert.equal((await run('feed', '--fifo', fifo, '--volume', first.name)).code, 0);
  assert.deepEqual(blocksOf(await back, 64_512), blocksOf(first.bytes));
});

/** Blocks of these lengths with nothing in them. */
function unreadable(sizes: readonly number[]): Buffer {
  return Buffer.concat(sizes.map((size) => {
    const block = Buffer.alloc(size, 0x55);
    block.writeUInt32BE(size, 4);
    return block;
  }));
}

test('a first block that does not fill the buffer of the device is fed with zeroes up to it', async () => {
  const bytes = unreadable([64_507, 3000]);
  const storing = run('store', '--fifo', fifo, '--volume', 'two-blocks');
  await writeJob(bytes);
  assert.equal((await storing).code, 1); // these are no jobs; it is kept all the same
  const back = fs.promises.readFile(fifo);
  assert.equal((await run('feed', '--fifo', fifo, '--volume', 'two-blocks')).code, 0);
  assert.deepEqual(await back, Buffer.concat([bytes.subarray(0, 64_507), Buffer.alloc(5), bytes.subarray(64_507)]));
});

test('blocks that are all short by the same few bytes are fed with zeroes up to the buffer of the device', async () => {
  const bytes = unreadable([64_507, 64_507, 64_507, 3000]);
  const storing = run('store', '--fifo', fifo, '--volume', 'all-short');
  await writeJob(bytes);
  assert.equal((await storing).code, 1);
  const back = fs.promises.readFile(fifo);
  assert.deepEqual(await run('feed', '--fifo', fifo, '--volume', 'all-short').then(({ code, errors }) => [code, errors]), [0, '']);
  const [block, padding] = [bytes.subarray(0, 64_507), Buffer.alloc(5)];
  assert.ok(Buffer.concat([block, padding, block, padding, block, padding, bytes.subarray(3 * 64_507)]).equals(await back));
});

test('blocks of an odd size, and blocks that are larger than a pipe may be, are fed as they are', async () => {
  for (const [name, sizes] of [['odd', [99_993, 100_000, 100_000, 3000]], ['large', [4_096_000, 4_096_000, 3000]]] as const) {
    const bytes = unreadable(sizes);
    const storing = run('store', '--fifo', fifo, '--volume', name);
    await writeJob(bytes);
    assert.equal((await storing).code, 1);
    const back = fs.promises.readFile(fifo);
    assert.deepEqual(await run('feed', '--fifo', fifo, '--volume', name).then(({ code, errors }) => [code, errors]), [0, '']);
    const padding = Buffer.alloc((sizes[1] ?? 0) - sizes[0]);
    assert.ok(Buffer.concat([bytes.subarray(0, sizes[0]), padding, bytes.subarray(sizes[0])]).equals(await back), name);
  }
});

test('what is not whole, or not there, is not confirmed', async () => {
  const { name, bytes } = fixture('b15-sparselzo');
  const storing = run('store', '--fifo', fifo, '--volume', name);
  await writeJob(bytes.subarray(0, bytes.length - 5000));
  const stored = await storing;
  assert.equal(stored.code, 1);
  assert.match(stored.errors, /not whole/);
  for (const words of [['--volume', name], ['--volume', 'none'], ['--volume', fixture('special-files').name, '--job', '4711']]) {
    const confirmed = await run('confirm', ...words, '--wait', '0');
    assert.deepEqual([confirmed.code, confirmed.lines], [1, []], confirmed.errors);
  }
  const wrongLabel = run('store', '--fifo', fifo, '--volume', 'Another');
  await writeJob(bytes);
  assert.equal((await wrongLabel).code, 1);
  assert.equal((await run('confirm', '--volume', 'Another', '--wait', '0')).code, 1);
});

test('help is given to whoever asks for it, in every way', () => {
  for (const words of [['help'], ['--help'], ['-h'], ['feed', '--help']]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, ''], words.join(' '));
    assert.match(stdout, /^Usage:\n {2}holdfast-bacula-fifo store /);
  }
});

test('wrong use is told apart', async () => {
  for (const words of [[], ['store'], ['store', '--fifo', fifo], ['feed', '--volume', 'x'], ['confirm'], ['confirm', '--volume', 'x', '--job', 'y'], ['store', '--nonsense']]) {
    assert.equal((await run(...words)).code, 2, words.join(' '));
  }
  assert.equal((await run('store', '--fifo', path.join(root, 'none'), '--volume', 'x')).code, 1);
});
