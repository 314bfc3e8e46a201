/** Both worlds keep the same promises; the lock's promises need real processes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { BusyError, NotFoundError, ToolError, type DiskFile, type World } from '../../core/index.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { makeDirectories, memoryWorld, nodeWorld } from './index.ts';

const directories: string[] = [];
function temporary(): string {
  directories.push(mkdtempSync(path.join(tmpdir(), 'holdfast-world-')));
  return directories[directories.length - 1] as string;
}
after(() => { for (const directory of directories) rmSync(directory, { recursive: true, force: true }); });

async function read(file: DiskFile): Promise<string> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(0, bytes);
  return Buffer.from(bytes).toString('latin1');
}

async function write(world: World, name: string, text: string): Promise<void> {
  const file = await world.disk.create(name);
  await file.writeFrom(0, Buffer.from(text, 'latin1'));
  await file.close();
}

async function content(world: World, name: string): Promise<string> {
  const file = await world.disk.open(name, 'read');
  try {
    return await read(file);
  } finally {
    await file.close();
  }
}

interface Operation { readonly kind: 'write' | 'truncate'; readonly offset: number; readonly parts: readonly Uint8Array[] }

const operations = fc.array(fc.record({
  kind: fc.constantFrom('write' as const, 'write' as const, 'truncate' as const), offset: fc.nat(9000),
  parts: fc.array(fc.uint8Array({ maxLength: 6000, size: 'max' }), { maxLength: 3 }),
}), { maxLength: 8 });

async function assertLikeBytes(world: World, name: string, sequence: readonly Operation[]): Promise<void> {
  const file = await world.disk.create(name);
  let model = Buffer.alloc(0);
  for (const { kind, offset, parts } of sequence) {
    const data = Buffer.concat(parts);
    const size = kind === 'truncate' ? offset : data.length === 0 ? model.length : Math.max(model.length, offset + data.length);
    const next = Buffer.alloc(size);
    model.copy(next);
    if (kind === 'write') data.copy(next, offset);
    model = next;
    if (kind === 'truncate') await file.truncate(offset);
    else if (data.length > 0) await file.writeFrom(offset, ...parts);
    assert.equal(file.size, model.length);
    assert.equal(await read(file), model.toString('latin1'));
  }
  await file.sync();
  await file.close();
  await world.disk.remove(name);
}

async function checkNames(world: World): Promise<void> {
  const { disk } = world;
  await write(world, 'd/a', 'first');
  await assert.rejects(disk.create('d/a'), BusyError);
  await disk.link('d/a', 'd/b');
  await assert.rejects(disk.link('d/a', 'd/b'), BusyError, 'a second link of that name is refused');
  await write(world, 'd/c', 'third');
  await disk.rename('d/c', 'd/a');
  assert.equal(await content(world, 'd/a'), 'third');
  assert.equal(await content(world, 'd/b'), 'first', 'the other name keeps the old file');
  const rows = await disk.list('d');
  assert.deepEqual(rows.map(({ name: entry, directory, size }) => [entry, directory, size]), [['a', false, 5], ['b', false, 5]]);
  assert.ok(rows.every(({ modified }) => Number.isInteger(modified) && Math.abs(modified - world.now()) < 60_000), 'dated by the clock of the world');
  await disk.remove('d/a');
  await disk.remove('d/a');
  await assert.rejects(disk.open('d/a', 'read'), NotFoundError);
  assert.deepEqual([await disk.exists('d/a'), await disk.exists('d/b'), await disk.exists('d')], [false, true, true]);
  assert.deepEqual(await disk.list('absent'), []);
  await disk.syncDirectory('d');
  await disk.removeTree('d');
  assert.equal(await disk.exists('d/b'), false);
}

const makers: readonly (readonly [string, () => World])[] = [
  ['memory', () => memoryWorld()], ['node', () => nodeWorld(temporary())], ['simulated', () => simulatedWorld(new SimulatedDisk(), 1)],
];
for (const [name, make] of makers) {
  describe(`World: ${name}`, () => {
    it('has files that behave like bytes, in several parts a write', async () => {
      const world = make();
      let number = 0;
      await world.disk.makeDirectory('d');
      await fc.assert(fc.asyncProperty(operations, async (sequence) => {
        number += 1;
        await assertLikeBytes(world, `d/${number}`, sequence);
      }), { numRuns: 40 });
    });

    it('creates and links once, replaces by rename, lists in order', async () => {
      const world = make();
      await world.disk.makeDirectory('d');
      await checkNames(world);
    });

    it('takes a directory for no file, and a file for no directory', async () => {
      const { disk } = make();
      await disk.makeDirectory('d');
      await (await disk.create('d/a')).close();
      for (const mode of ['read', 'write'] as const) for (const path of ['d', 'd/a/b']) await assert.rejects(disk.open(path, mode), NotFoundError);
      assert.deepEqual(await disk.list('d/a'), []);
    });

    it('refuses to read past the end', async () => {
      const world = make();
      await write(world, 'short', 'abc');
      const file = await world.disk.open('short', 'read');
      await assert.rejects(file.readInto(1, new Uint8Array(3)), RangeError);
      await file.close();
    });

    it('locks once and again after release', async () => {
      const { disk } = make();
      const held = await disk.lock('lock', 'first');
      await assert.rejects(disk.lock('lock', 'second'), BusyError);
      await held.release();
      await (await disk.lock('lock', 'third')).release();
    });

    it('gives as many bytes as asked, never twice the same', () => {
      const world = make();
      const all = Array.from({ length: 50 }, () => Buffer.from(world.randomBytes(33)).toString('hex'));
      assert.ok(all.every((text) => text.length === 66));
      assert.equal(new Set(all).size, 50);
      const before = world.now();
      assert.ok(world.now() >= before);
    });
  });
}

test('what is no file is absent, and opening it does not wait', async () => {
  const root = temporary();
  const { disk } = nodeWorld(root);
  assert.equal(spawnSync('mkfifo', [path.join(root, 'fifo')]).status, 0);
  mkdirSync(path.join(root, 'directory'));
  const server = createServer().listen(path.join(root, 'socket'));
  try {
    await new Promise((resolve) => { server.once('listening', resolve); });
    for (const name of ['fifo', 'socket', 'directory', 'nothing']) for (const mode of ['read', 'write'] as const) await assert.rejects(disk.open(name, mode), NotFoundError, `${name} ${mode}`);
    await assert.rejects(nodeWorld('/dev').disk.open('null', 'read'), NotFoundError);
  } finally {
    server.close();
  }
});

test('directories are made with their parents; where that is refused it is said at once', () => {
  const root = temporary();
  makeDirectories(path.join(root, 'a/b/c'));
  makeDirectories(path.join(root, 'a/open/too'), 0o755);
  const modes = ['a', 'a/b', 'a/b/c', 'a/open', 'a/open/too'].map((name) => statSync(path.join(root, name)).mode & 0o777);
  assert.deepEqual(modes, [0o700, 0o700, 0o700, ...[0o755, 0o755].map((mode) => mode & ~process.umask())]);
  makeDirectories(path.join(root, 'a/b'));
  writeFileSync(path.join(root, 'file'), '');
  const isCode = (...codes: readonly string[]) => (error: NodeJS.ErrnoException): boolean => codes.includes(error.code ?? '');
  assert.throws(() => { makeDirectories(path.join(root, 'file')); }, isCode('EEXIST'));
  assert.throws(() => { makeDirectories(path.join(root, 'file/below')); }, isCode('ENOTDIR'));
  assert.throws(() => { makeDirectories('/proc/x/y'); }, isCode('ENOENT', 'EACCES', 'EPERM'));
});

test('a directory that others remove again and again is made all the same', async () => {
  const root = temporary();
  const directory = path.join(root, 'comes and goes');
  const remover = new Worker(`
    const { parentPort, workerData } = require('node:worker_threads');
    const end = Date.now() + 300;
    parentPort.postMessage('on');
    while (Date.now() < end) { try { require('node:fs').rmdirSync(workerData); } catch {} }`, { eval: true, workerData: directory });
  const ended = new Promise((resolve) => { remover.once('exit', resolve); });
  await new Promise((resolve) => { remover.once('message', resolve); });
  for (const end = performance.now() + 250; performance.now() < end;) makeDirectories(directory);
  await ended;
  symlinkSync(path.join(root, 'nowhere'), path.join(root, 'dangling'));
  assert.throws(() => { makeDirectories(path.join(root, 'dangling')); }, (error: NodeJS.ErrnoException) => error.code === 'EEXIST');
});

test('an unwritable place is a ToolError with its errno', async () => {
  await assert.rejects(nodeWorld('/proc/self').disk.create('nothing'), (error) => error instanceof ToolError && typeof error.data['errno'] === 'string');
});

/** Starts a process that takes the lock, and waits until it says so. */
async function holder(directory: string): Promise<{ readonly child: ChildProcess; readonly answer: string }> {
  const lock = new URL('./process-lock.js', import.meta.url).href;
  const script = `import { takeLock } from ${JSON.stringify(lock)};
    try { await takeLock(${JSON.stringify(directory)}, 'child'); console.log('held'); setInterval(() => {}, 1000); }
    catch (error) { console.log(error.code); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const answer = await new Promise<string>((resolve) => { child.stdout.once('data', (data: Buffer) => { resolve(data.toString().trim()); }); });
  return { child, answer };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  child.kill('SIGKILL');
  await ended;
}

test('a lock of a living process is refused with its pid; that of a killed one is taken over', async () => {
  const root = temporary();
  const world = nodeWorld(root);
  const first = await holder(path.join(root, 'lock'));
  assert.equal(first.answer, 'held');
  await assert.rejects(world.disk.lock('lock', 'test'), (error: BusyError) => error instanceof BusyError && error.message.includes(`process ${first.child.pid}`));
  const second = await holder(path.join(root, 'lock'));
  assert.equal(second.answer, 'BUSY');
  await kill(first.child);
  const lock = await world.disk.lock('lock', 'test');
  const holders = (): readonly string[] => readdirSync(path.join(root, 'lock')).filter((name) => name.endsWith('.json'));
  assert.equal(holders().length, 1, 'the dead holder is cleared away');
  assert.equal(await lock.isHeld(), true);
  const third = await holder(path.join(root, 'lock'));
  assert.equal(third.answer, 'BUSY');
  await lock.release();
});

test('holders that cannot be judged are believed: another machine, an unreadable file; a lock file that is gone is noticed', async () => {
  const root = temporary();
  const world = nodeWorld(root);
  mkdirSync(path.join(root, 'lock'));
  const strange = path.join(root, 'lock', 'strange.json');
  for (const text of [JSON.stringify({ host: hostname(), boot: 'another kernel', machine: 'another', pid: 1, started: '1' }), 'null', '[]', '']) {
    writeFileSync(strange, text);
    await assert.rejects(world.disk.lock('lock', 'test'), (error: BusyError) => error instanceof BusyError && error.message.includes(strange));
    assert.deepEqual(readdirSync(path.join(root, 'lock')).filter((name) => name.endsWith('.json')), ['strange.json'], 'the loser leaves nothing behind');
  }
  rmSync(strange);
  const lock = await world.disk.lock('lock', 'test');
  for (const name of readdirSync(path.join(root, 'lock'))) if (name.endsWith('.json')) rmSync(path.join(root, 'lock', name));
  assert.equal(await lock.isHeld(), false);
  await lock.release();
});

test('of many that take the lock at once, at most one has it', async () => {
  const root = temporary();
  const children = await Promise.all([1, 2, 3, 4].map(() => holder(path.join(root, 'lock'))));
  assert.ok(children.filter(({ answer }) => answer === 'held').length <= 1);
  assert.ok(children.every(({ answer }) => answer === 'held' || answer === 'BUSY'));
  for (const { child, answer } of children) if (answer === 'held') await kill(child);
});
