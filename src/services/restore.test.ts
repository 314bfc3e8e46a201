import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AbortedError, IntegrityError, utf8, type BlockSource, type NodeId } from '../core/index.ts';
import { PosixTree } from '../fs-adapters/posix/index.ts';
import { restoreTree } from './restore.ts';
import type { TreeView } from './trees/walk.ts';

let work = '';
before(() => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-restore-'));
  fs.mkdirSync(path.join(work, 'source/keep/below'), { recursive: true });
  for (const name of ['a-good', 'b-bad', 'c-good', 'keep/below/deep']) fs.writeFileSync(path.join(work, 'source', name), `${name}\n`.repeat(300_000));
  fs.linkSync(path.join(work, 'source/c-good'), path.join(work, 'source/keep/linked'));
  const sparse = fs.openSync(path.join(work, 'source/holes'), 'w');
  fs.writeSync(sparse, 'end', 50 << 20);
  fs.closeSync(sparse);
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

/** The source tree, in which one inode fails after its first megabyte, for the first `times` times it is opened. */
class FailingTree extends PosixTree {
  readonly #name: string;
  #left: number;

  constructor(name: string, times = Number.POSITIVE_INFINITY) {
    super({ root: utf8(path.join(work, 'source')) });
    this.#name = name;
    this.#left = times;
  }

  override async open(id: NodeId): Promise<BlockSource> {
    const source = await super.open(id);
    if (path.basename(this.pathText(id)) !== this.#name || this.#left <= 0) return source;
    this.#left -= 1;
    const readInto = source.readInto.bind(source);
    source.readInto = (offset, target, options) => (offset === 0 ? readInto(offset, target, options) : Promise.reject(new IntegrityError('Read chunk: wrong bytes')));
    return source;
  }

  pathText(id: NodeId): string {
    return Buffer.from(this.path(id)).toString();
  }
}

function view(tree: PosixTree): TreeView {
  return { tree, id: tree.rootId, path: new Uint8Array() };
}

describe('restore', () => {
  test('a file that fails leaves nothing behind, is listed, and the rest goes on', async () => {
    const target = path.join(work, 'one');
    const result = await restoreTree(view(new FailingTree('b-bad')), target);
    assert.deepEqual(result.errors, [{ path: '/b-bad', code: 'INTEGRITY', message: 'Read chunk: wrong bytes' }]);
    assert.deepEqual([result.files, result.verified], [5, 5]);
    assert.deepEqual(fs.readdirSync(target).sort(), ['a-good', 'c-good', 'holes', 'keep']);
    assert.deepEqual(fs.readFileSync(path.join(target, 'c-good')), fs.readFileSync(path.join(work, 'source/c-good')));
    assert.equal(fs.statSync(path.join(target, 'c-good')).ino, fs.statSync(path.join(target, 'keep/linked')).ino);
  });

  test('when the first name of a hard-linked file fails, the next one brings the content', async () => {
    const target = path.join(work, 'two');
    const result = await restoreTree(view(new FailingTree('c-good', 1)), target);
    assert.deepEqual(result.errors.map((one) => one.path), ['/c-good']);
    assert.ok(!fs.existsSync(path.join(target, 'c-good')));
    assert.deepEqual(fs.readFileSync(path.join(target, 'keep/linked')), fs.readFileSync(path.join(work, 'source/c-good')));
  });

  test('holes stay holes', async () => {
    const target = path.join(work, 'three');
    const result = await restoreTree(view(new FailingTree('none')), target, { include: ['holes'], verify: true });
    assert.deepEqual([result.files, result.bytes, result.errors], [1, (50 << 20) + 3, []]);
    assert.ok(fs.statSync(path.join(target, 'holes')).blocks < 64);
  });

  test('directories are made only for what is selected in them', async () => {
    const target = path.join(work, 'four');
    const result = await restoreTree(view(new FailingTree('none')), target, { include: ['deep'], exclude: ['*-good'] });
    assert.deepEqual([result.files, result.directories, fs.readdirSync(target)], [1, 2, ['keep']]);
    await restoreTree(view(new FailingTree('none')), `${target}b`, { include: ['/keep'], exclude: ['below'] });
    assert.deepEqual(fs.readdirSync(path.join(`${target}b`, 'keep')), ['linked']);
  });

  test('an abort ends it without half a file', async () => {
    const controller = new AbortController();
    const target = path.join(work, 'five');
    const started = restoreTree(view(new FailingTree('none')), target, { signal: controller.signal, onProgress: () => controller.abort() });
    await assert.rejects(started, AbortedError);
    for (const name of fs.readdirSync(target, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(target, name);
      if (fs.statSync(file).isFile()) assert.deepEqual(fs.readFileSync(file), fs.readFileSync(path.join(work, 'source', name)));
    }
  });
});
