/** PosixSink: the conformance suite on every set of system calls, then what only a real filesystem shows. */
import assert from 'node:assert';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import { fileSinkSuite } from '../../core/conformance/index.ts';
import { FormatError, IntegrityError, ToolError, utf8, type NodeMetadata, type NodeStat } from '../../core/index.ts';
import { PosixSink, type PosixSinkOptions } from './posix-sink.ts';
import { PosixTree } from './posix-tree.ts';
import { callsToTest, removeDirectory, temporaryDirectory } from './testing.ts';

const isRoot = process.geteuid?.() === 0;

for (const calls of callsToTest()) {
  fileSinkSuite(`PosixSink on ${calls.capabilities.implementation}`, async () => {
    const directory = temporaryDirectory();
    return {
      sink: new PosixSink({ target: utf8(directory), calls }),
      openTree: async () => new PosixTree({ root: utf8(directory), calls }),
      cleanup: async () => removeDirectory(directory),
    };
  });
}

function metadata(stat: Partial<NodeStat> = {}, attributes: readonly (readonly [string, Uint8Array])[] = []): NodeMetadata {
  return {
    stat: { type: 'file', size: 0, mode: 0o644, uid: process.geteuid!(), gid: process.getegid!(), modified: { seconds: 1e9, nanoseconds: 1 }, links: 1, ...stat },
    attributes: new Map(attributes),
  };
}

async function inTarget(options: Partial<PosixSinkOptions>, use: (sink: PosixSink, target: string) => Promise<void>): Promise<void> {
  const directory = temporaryDirectory();
  try {
    await use(new PosixSink({ target: utf8(path.join(directory, 'target')), ...options }), path.join(directory, 'target'));
  } finally {
    removeDirectory(directory);
  }
}

async function put(sink: PosixSink, name: string, content: string, meta: NodeMetadata = metadata()): Promise<void> {
  const file = await sink.createFile(utf8(name), meta);
  await file.writeFrom(0, utf8(content));
  await file.commit({ size: content.length, verifiedBytes: content.length });
}

describe('PosixSink and a hostile target', () => {
  it('never follows a symlink that stands in place of a directory', () => inTarget({}, async (sink, target) => {
    const outside = `${target}-outside`;
    fs.mkdirSync(outside);
    fs.mkdirSync(target);
    fs.symlinkSync(outside, path.join(target, 'd'));
    await assert.rejects(put(sink, 'd/file', 'x'), ToolError);
    await assert.rejects(sink.createSymlink(utf8('d/link'), utf8('x'), metadata({ type: 'symlink' })), ToolError);
    await assert.rejects(sink.createDirectory(utf8('d/e'), metadata({ type: 'directory' })), ToolError);
    await assert.rejects(sink.createHardLink(utf8('x'), utf8('d/y')), ToolError);
    await assert.rejects(sink.finishDirectory(utf8('d'), metadata({ type: 'directory', mode: 0 })), ToolError);
    assert.deepStrictEqual(fs.readdirSync(outside), []);
    await sink.createDirectory(utf8('d'), metadata({ type: 'directory' }));
    await put(sink, 'd/file', 'x');
    assert.ok(fs.lstatSync(path.join(target, 'd')).isDirectory(), 'the symlink was replaced');
    assert.deepStrictEqual(fs.readdirSync(outside), []);
    await sink.finish();
  }));

  it('never writes through a symlink or hard link with the final name', () => inTarget({}, async (sink, target) => {
    fs.mkdirSync(target);
    fs.writeFileSync(`${target}-secret`, 'secret');
    fs.symlinkSync(`${target}-secret`, path.join(target, 'a'));
    fs.linkSync(`${target}-secret`, path.join(target, 'b'));
    const before = fs.statSync(`${target}-secret`);
    await put(sink, 'a', 'new');
    await put(sink, 'b', 'new');
    assert.strictEqual(fs.readFileSync(`${target}-secret`, 'utf8'), 'secret');
    assert.strictEqual(fs.statSync(`${target}-secret`).mode, before.mode);
    assert.strictEqual(fs.readFileSync(path.join(target, 'a'), 'utf8'), 'new');
    await sink.finish();
  }));

  it('replaces an empty directory by a file, never a full one', () => inTarget({}, async (sink, target) => {
    fs.mkdirSync(path.join(target, 'full', 'child'), { recursive: true });
    fs.mkdirSync(path.join(target, 'empty'));
    await put(sink, 'empty', 'x');
    await assert.rejects(put(sink, 'full', 'x'), ToolError);
    assert.ok(fs.existsSync(path.join(target, 'full', 'child')));
    await sink.finish();
    assert.deepStrictEqual(fs.readdirSync(target).sort(), ['empty', 'full'], 'finish removed the temporary file');
  }));

  it('refuses a symlink target with NUL', () => inTarget({}, async (sink) => {
    await assert.rejects(sink.createSymlink(utf8('l'), utf8('a\0b'), metadata({ type: 'symlink' })), FormatError);
  }));
});

describe('PosixSink and what exists', () => {
  it("overwrite 'never' keeps it, also when it appears between creation and commit", () => inTarget({ overwrite: 'never' }, async (sink, target) => {
    await put(sink, 'a', 'first');
    await assert.rejects(put(sink, 'a', 'second'), (error: ToolError) => error.data['errno'] === 'EEXIST');
    const file = await sink.createFile(utf8('b'), metadata());
    fs.writeFileSync(path.join(target, 'b'), 'someone else');
    await assert.rejects(file.commit({ size: 0, verifiedBytes: 0 }), (error: ToolError) => error.data['errno'] === 'EEXIST');
    await file.abort();
    await assert.rejects(sink.createSymlink(utf8('a'), utf8('x'), metadata({ type: 'symlink' })), ToolError);
    await assert.rejects(sink.createHardLink(utf8('b'), utf8('a')), ToolError);
    await assert.rejects(sink.createDirectory(utf8('a'), metadata({ type: 'directory' })), ToolError);
    assert.strictEqual(fs.readFileSync(path.join(target, 'a'), 'utf8'), 'first');
    assert.strictEqual(fs.readFileSync(path.join(target, 'b'), 'utf8'), 'someone else');
    assert.deepStrictEqual(fs.readdirSync(target).sort(), ['a', 'b']);
  }));

  it("overwrite 'if-changed' leaves a file with the same size and time, and corrects its mode", () => inTarget({ overwrite: 'if-changed' }, async (sink, target) => {
    await put(sink, 'a', 'first', metadata({ size: 5 }));
    const { ino } = fs.statSync(path.join(target, 'a'));
    await put(sink, 'a', 'other', metadata({ size: 5, mode: 0o600 }));
    const same = fs.statSync(path.join(target, 'a'));
    assert.strictEqual(same.ino, ino);
    assert.strictEqual(same.mode & 0o7777, 0o600);
    assert.strictEqual(fs.readFileSync(path.join(target, 'a'), 'utf8'), 'first');
    await put(sink, 'a', 'other', metadata({ size: 5, modified: { seconds: 1e9, nanoseconds: 2 } }));
    assert.strictEqual(fs.readFileSync(path.join(target, 'a'), 'utf8'), 'other');
  }));

  it('aborts and lists what was left open at the end', () => inTarget({}, async (sink, target) => {
    await sink.createFile(utf8('open'), metadata());
    const problems = await sink.finish({ durable: true });
    assert.deepStrictEqual(problems.filter(({ what }) => what === 'unfinished').map(({ path: at }) => Buffer.from(at).toString()), ['open']);
    assert.deepStrictEqual(fs.readdirSync(target), []);
  }));

  it('refuses a second commit and writes after the end', () => inTarget({}, async (sink) => {
    const file = await sink.createFile(utf8('a'), metadata());
    await file.commit({ size: 0, verifiedBytes: 0 });
    await assert.rejects(file.commit({ size: 0, verifiedBytes: 0 }), RangeError);
    await assert.rejects(file.writeFrom(0, utf8('x')), RangeError);
    const wrong = await sink.createFile(utf8('b'), metadata());
    await assert.rejects(wrong.commit({ size: 1, verifiedBytes: 1 }), IntegrityError);
    await wrong.abort();
    await sink.finish();
  }));
});

describe('PosixSink and owners', () => {
  it('leaves set-id bits out when the owner is not restored, and says so', () => inTarget({ ownership: false }, async (sink, target) => {
    await put(sink, 'a', 'x', metadata({ mode: 0o6755, uid: 12345 }));
    assert.strictEqual(fs.statSync(path.join(target, 'a')).mode & 0o7777, 0o755);
    assert.deepStrictEqual((await sink.finish()).map(({ what }) => what), ['mode']);
  }));

  it('keeps set-id bits with their owner', { skip: isRoot ? false : 'needs root' }, () => inTarget({}, async (sink, target) => {
    await put(sink, 'a', 'x', metadata({ mode: 0o6755, uid: 12345, gid: 54321 }));
    const stat = fs.statSync(path.join(target, 'a'));
    assert.deepStrictEqual([stat.mode & 0o7777, stat.uid, stat.gid], [0o6755, 12345, 54321]);
    assert.deepStrictEqual(await sink.finish(), []);
  }));

  it('does not take user -1 for "leave it as it is"', { skip: isRoot ? false : 'needs root' }, () => inTarget({}, async (sink, target) => {
    await put(sink, 'a', 'x', metadata({ mode: 0o4755, uid: 0xffff_ffff }));
    assert.strictEqual(fs.statSync(path.join(target, 'a')).mode & 0o7777, 0o755);
    assert.deepStrictEqual((await sink.finish()).map(({ what }) => what), ['owner', 'mode']);
  }));
});

describe('PosixSink and holes', () => {
  it('finds long runs of zeroes across writes, writes short ones, keeps every byte', () => inTarget({ sparse: true }, async (sink, target) => {
    const content = new Uint8Array(3 << 20);
    content.fill(1, 5000, 6000);
    content.fill(2, 1 << 20, (1 << 20) + 10);
    content.fill(3, (1 << 20) + 40_000, (1 << 20) + 50_000);
    for (const step of [1000, 4096, 16_384, 70_001, content.length]) {
      const file = await sink.createFile(utf8(`step ${step}`), metadata());
      for (let at = 0; at < content.length; at += step) await file.writeFrom(at, content.subarray(at, Math.min(at + step, content.length)));
      await file.commit({ size: content.length, verifiedBytes: content.length });
      const found = fs.readFileSync(path.join(target, `step ${step}`));
      assert.ok(Buffer.compare(found, content) === 0, `step ${step}`);
      const { blocks } = fs.statSync(path.join(target, `step ${step}`));
      if (step >= 4096 && step % 4096 === 0) assert.ok(blocks * 512 < 200_000, `step ${step} occupies ${blocks * 512} bytes`);
    }
    await sink.finish();
  }));
});
