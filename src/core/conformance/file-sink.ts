/**
 * What every FileSink must do. An integrator calls the suite in a test file:
 * `fileSinkSuite('MySink', async () => ({ sink: new MySink(…), openTree: async () => new MyTree(…), cleanup }))`.
 */
import assert from 'node:assert';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { readRange } from '../block-source.ts';
import { equalBytes, utf8 } from '../bytes.ts';
import { FormatError, IntegrityError } from '../errors.ts';
import type { FileSink, NodeMetadata } from '../file-sink.ts';
import type { FileTree, NodeId, NodeStat } from '../file-tree.ts';
import { lookupPath } from '../tree-walk.ts';

/** One sink under test, empty, that replaces what exists. */
export interface FileSinkCase {
  readonly sink: FileSink;
  /** Reads what the sink holds now; may be called several times. */
  openTree(): Promise<FileTree>;
  cleanup(): Promise<void>;
}

const MODIFIED = { seconds: 1_234_567_890, nanoseconds: 123_456_789 };

/** Metadata that an unprivileged sink can apply too: its own user and group. */
function metadata(stat: Partial<NodeStat> = {}): NodeMetadata {
  return {
    stat: {
      type: 'file', size: 0, mode: 0o640, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0,
      modified: MODIFIED, accessed: { seconds: 1_000_000_000, nanoseconds: 0 }, links: 1, ...stat,
    },
    attributes: new Map(),
  };
}

class Bench {
  readonly made: FileSinkCase;
  readonly sink: FileSink;

  constructor(made: FileSinkCase) {
    this.made = made;
    this.sink = made.sink;
  }

  async put(path: string, content: Uint8Array, stat: Partial<NodeStat> = {}): Promise<void> {
    const file = await this.sink.createFile(utf8(path), metadata({ size: content.length, ...stat }));
    await file.writeFrom(0, content);
    await file.commit({ size: content.length, verifiedBytes: content.length });
  }

  /** Calls `look` with a fresh tree. */
  async inTree<T>(look: (tree: FileTree) => Promise<T>): Promise<T> {
    const tree = await this.made.openTree();
    try {
      return await look(tree);
    } finally {
      await tree.close();
    }
  }

  async content(path: string): Promise<Uint8Array | undefined> {
    return this.inTree(async (tree) => {
      const id = await lookupPath(tree, utf8(path));
      if (id === undefined) return undefined;
      const source = await tree.open(id);
      const bytes = await readRange(source, 0, source.size);
      await source.close();
      return bytes;
    });
  }

  async stat(path: string): Promise<NodeStat | undefined> {
    return this.inTree(async (tree) => {
      const id = await lookupPath(tree, utf8(path));
      return id === undefined ? undefined : tree.stat(id);
    });
  }

  async names(): Promise<readonly string[]> {
    return this.inTree(async (tree) => {
      const names: string[] = [];
      for await (const page of tree.list(tree.rootId)) names.push(...page.map(({ name }) => Buffer.from(name).toString('latin1')));
      return names.sort();
    });
  }
}

/** Registers the suite with `node:test`; `make` is called for each test. */
export function fileSinkSuite(name: string, make: () => Promise<FileSinkCase>): void {
  describe(`FileSink: ${name}`, () => {
    let bench: Bench;
    const get = (): Bench => bench;
    beforeEach(async () => {
      bench = new Bench(await make());
      await bench.sink.createDirectory(new Uint8Array(0), metadata({ type: 'directory', mode: 0o755 }));
    });
    afterEach(async () => {
      await bench.sink.finish();
      await bench.made.cleanup();
    });
    describe('files', () => fileTests(get));
    describe('commit and abort', () => commitTests(get));
    describe('other entries', () => entryTests(get));
    describe('hostile paths', () => pathTests(get));
  });
}

function fileTests(bench: () => Bench): void {
  it('restores content, mode and times', async () => {
    const content = utf8('content\n'.repeat(1000));
    await bench().put('file', content);
    const found = await bench().content('file');
    assert.ok(found !== undefined && equalBytes(found, content));
    const stat = await bench().stat('file');
    assert.strictEqual(stat?.mode, 0o640);
    assert.strictEqual(stat.modified.seconds, MODIFIED.seconds);
  });

  it('restores empty files', async () => {
    await bench().put('empty', new Uint8Array(0));
    assert.strictEqual((await bench().stat('empty'))?.size, 0);
  });

  it('reads as zeroes where nothing was written, up to the size', async () => {
    const file = await bench().sink.createFile(utf8('holes'), metadata());
    await file.writeFrom(1_000_000, utf8('middle'));
    await file.commit({ size: 3_000_000, verifiedBytes: 6 });
    const expected = new Uint8Array(3_000_000);
    expected.set(utf8('middle'), 1_000_000);
    const found = await bench().content('holes');
    assert.ok(found !== undefined && equalBytes(found, expected));
  });

  it('does not keep the buffers it was given', async () => {
    const file = await bench().sink.createFile(utf8('reused'), metadata());
    const buffer = new Uint8Array(5000).fill(1);
    await file.writeFrom(0, buffer);
    buffer.fill(2);
    await file.writeFrom(5000, buffer);
    buffer.fill(3);
    await file.commit({ size: 10_000, verifiedBytes: 10_000 });
    const found = await bench().content('reused');
    assert.ok(found?.every((byte, i) => byte === (i < 5000 ? 1 : 2)));
  });

  it('writes several files at once', async () => {
    const paths = Array.from({ length: 20 }, (_, i) => `at once ${i}`);
    await Promise.all(paths.map((path) => bench().put(path, utf8(path))));
    for (const path of paths) assert.deepStrictEqual(await bench().content(path), utf8(path));
  });
}

function commitTests(bench: () => Bench): void {
  it('shows nothing before the commit and nothing after an abort', async () => {
    const file = await bench().sink.createFile(utf8('aborted'), metadata());
    await file.writeFrom(0, utf8('x'));
    assert.strictEqual(await bench().stat('aborted'), undefined);
    await file.abort();
    assert.deepStrictEqual(await bench().names(), []);
  });

  it('refuses a commit with other bytes than were verified', async () => {
    for (const expected of [{ size: 4, verifiedBytes: 3 }, { size: 4, verifiedBytes: 5 }, { size: 3, verifiedBytes: 4 }, { size: 4, verifiedBytes: 0 }]) {
      const file = await bench().sink.createFile(utf8('short'), metadata());
      await file.writeFrom(0, utf8('four'));
      await assert.rejects(file.commit(expected), IntegrityError, JSON.stringify(expected));
      await file.abort();
      assert.deepStrictEqual(await bench().names(), []);
    }
  });

  it('keeps the old file when a commit is refused, replaces it when it holds', async () => {
    await bench().put('twice', utf8('old'));
    const file = await bench().sink.createFile(utf8('twice'), metadata());
    await assert.rejects(file.commit({ size: 3, verifiedBytes: 3 }), IntegrityError);
    await file.abort();
    assert.deepStrictEqual(await bench().content('twice'), utf8('old'));
    await bench().put('twice', utf8('newer'));
    assert.deepStrictEqual(await bench().content('twice'), utf8('newer'));
  });
}

function entryTests(bench: () => Bench): void {
  it('finishes directories after their children', async () => {
    const directory = metadata({ type: 'directory', mode: 0o555 });
    await bench().sink.createDirectory(utf8('d'), directory);
    await bench().sink.createDirectory(utf8('d/e'), directory);
    await bench().put('d/e/file', utf8('x'));
    await bench().sink.finishDirectory(utf8('d/e'), directory);
    await bench().sink.finishDirectory(utf8('d'), directory);
    for (const path of ['d', 'd/e']) {
      const stat = await bench().stat(path);
      assert.strictEqual(stat?.mode, 0o555, path);
      assert.strictEqual(stat.modified.seconds, MODIFIED.seconds, path);
    }
    assert.deepStrictEqual(await bench().content('d/e/file'), utf8('x'));
  });

  it('keeps names as bytes', async () => {
    const raw = new Uint8Array([0xff, 0xfe, 0x20, 0x0a, 0xc3]);
    const file = await bench().sink.createFile(raw, metadata());
    await file.commit({ size: 0, verifiedBytes: 0 });
    assert.deepStrictEqual(await bench().names(), [Buffer.from(raw).toString('latin1')]);
  });

  it('restores symlinks with their own times, dangling or not', async () => {
    await bench().sink.createSymlink(utf8('link'), utf8('no/such/target'), metadata({ type: 'symlink', mode: 0o777 }));
    await bench().inTree(async (tree) => {
      const id = await lookupPath(tree, utf8('link'));
      assert.ok(id !== undefined);
      assert.deepStrictEqual(Buffer.from(await tree.readLink(id)).toString(), 'no/such/target');
      assert.strictEqual((await tree.stat(id)).modified.seconds, MODIFIED.seconds);
    });
  });

  it('restores fifos', async (t) => {
    await bench().sink.createSpecial(utf8('fifo'), metadata({ type: 'fifo', mode: 0o620 }));
    const stat = await bench().stat('fifo');
    if (stat === undefined) {
      assert.notStrictEqual((await bench().sink.finish()).length, 0, 'what cannot be restored is a problem');
      t.diagnostic('the sink cannot make fifos, and said so');
      return;
    }
    assert.strictEqual(stat.type, 'fifo');
    assert.strictEqual(stat.mode, 0o620);
  });

  it('restores hard links, also over what exists', async () => {
    await bench().put('first', utf8('one file'));
    await bench().put('third', utf8('in the way'));
    for (const path of ['second', 'third', 'third']) await bench().sink.createHardLink(utf8(path), utf8('first'));
    assert.deepStrictEqual(await bench().content('third'), utf8('one file'));
    await bench().inTree(async (tree) => {
      const ids: (NodeId | undefined)[] = [];
      for (const path of ['first', 'second', 'third']) ids.push(await lookupPath(tree, utf8(path)));
      if (tree.supports.hardLinks) assert.strictEqual(new Set(ids).size, 1);
      assert.strictEqual((await tree.stat(ids[0]!)).links, tree.supports.hardLinks ? 3 : 1);
    });
    assert.deepStrictEqual(await bench().names(), ['first', 'second', 'third']);
  });

  it('replaces entries of another type', async () => {
    await bench().put('entry', utf8('file'));
    await bench().sink.createSymlink(utf8('entry'), utf8('elsewhere'), metadata({ type: 'symlink', mode: 0o777 }));
    assert.strictEqual((await bench().stat('entry'))?.type, 'symlink');
    await bench().sink.createDirectory(utf8('entry'), metadata({ type: 'directory' }));
    assert.strictEqual((await bench().stat('entry'))?.type, 'directory');
  });
}

function pathTests(bench: () => Bench): void {
  for (const path of ['..', '.', '../out', 'a/../../out', '/out', 'a//b', 'a/', 'nul\0', 'a/./b']) {
    it(`refuses '${path}'`, async () => {
      await bench().sink.createDirectory(utf8('a'), metadata({ type: 'directory' }));
      const bytes = utf8(path);
      await assert.rejects(bench().sink.createFile(bytes, metadata()), FormatError);
      await assert.rejects(bench().sink.createDirectory(bytes, metadata({ type: 'directory' })), FormatError);
      await assert.rejects(bench().sink.createSymlink(bytes, utf8('x'), metadata({ type: 'symlink' })), FormatError);
      await assert.rejects(bench().sink.createSpecial(bytes, metadata({ type: 'fifo' })), FormatError);
      await assert.rejects(bench().sink.createHardLink(bytes, utf8('a')), FormatError);
      await assert.rejects(bench().sink.createHardLink(utf8('b'), bytes), FormatError);
      await assert.rejects(bench().sink.finishDirectory(bytes, metadata({ type: 'directory' })), FormatError);
      assert.deepStrictEqual(await bench().names(), ['a']);
    });
  }

  it('does not write through symlinks that it restored', async () => {
    await bench().sink.createSymlink(utf8('link'), utf8('.'), metadata({ type: 'symlink', mode: 0o777 }));
    await assert.rejects(async () => {
      await bench().put('link/file', utf8('x'));
    });
    assert.deepStrictEqual(await bench().names(), ['link']);
  });
}
