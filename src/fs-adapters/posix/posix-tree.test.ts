/** PosixTree: the conformance suite on every set of system calls, then what only a real filesystem shows. */
import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { blockSourceSuite, fileTreeSuite, type ExpectedNode } from '../../core/conformance/index.ts';
import { IntegrityError, lookupPath, NotFoundError, textOf, ToolError, UnsupportedError, UsageError, utf8, type FileTree, type NodeId, type TreeProblem } from '../../core/index.ts';
import { fileSource } from './file-source.ts';
import { NodeCalls } from './node-calls.ts';
import { PosixTree } from './posix-tree.ts';
import { bytesOf, callsToTest, contentOf, describeTree, removeDirectory, temporaryDirectory } from './testing.ts';

const isRoot = process.geteuid?.() === 0;

/** Some of everything that needs no privilege. */
function makeTree(directory: string): readonly ExpectedNode[] {
  const at = (...parts: readonly string[]): string => path.join(directory, ...parts);
  fs.writeFileSync(at('plain'), 'plain content');
  fs.utimesSync(at('plain'), 1e9, 1e9 + 0.25);
  fs.chmodSync(at('plain'), 0o640);
  fs.writeFileSync(at('empty'), '');
  fs.linkSync(at('plain'), at('zz second name'));
  fs.symlinkSync('no/such', at('dangling'));
  fs.symlinkSync('.', at('loop'));
  execFileSync('mkfifo', [at('fifo')]);
  fs.writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0x0a, 0x20, 0x80])]), 'raw name');
  fs.writeFileSync(at('n'.repeat(255)), 'long name');
  fs.mkdirSync(at('many'));
  for (let i = 0; i < 5000; i += 1) fs.writeFileSync(at('many', `${i}`), '');
  const hole = fs.openSync(at('holes'), 'w');
  fs.writeSync(hole, 'data', 1 << 20);
  fs.ftruncateSync(hole, 3 << 20);
  fs.closeSync(hole);
  return [
    { path: bytesOf('plain'), content: utf8('plain content'), sameAs: bytesOf('zz second name'), stat: { type: 'file', mode: 0o640, links: 2, modified: { seconds: 1e9, nanoseconds: 250_000_000 } } },
    { path: bytesOf('empty'), content: new Uint8Array(0), stat: { size: 0, type: 'file' } },
    { path: bytesOf('dangling'), target: utf8('no/such'), stat: { type: 'symlink' } },
    { path: bytesOf('fifo'), stat: { type: 'fifo', size: 0 } },
    { path: new Uint8Array([0xff, 0x0a, 0x20, 0x80]), content: utf8('raw name') },
    { path: bytesOf('n'.repeat(255)), content: utf8('long name') },
    { path: bytesOf('many', '4999'), stat: { type: 'file' } },
  ];
}

for (const calls of callsToTest()) {
  const { implementation } = calls.capabilities;
  fileTreeSuite(`PosixTree on ${implementation}`, async () => {
    const directory = temporaryDirectory();
    const expected = makeTree(directory);
    return { tree: new PosixTree({ root: utf8(directory), calls }), expected, cleanup: async () => removeDirectory(directory) };
  });
  blockSourceSuite(`fileSource on ${implementation}`, async () => {
    const directory = temporaryDirectory();
    const expected = new Uint8Array(2 << 20);
    expected.fill(7, 300_000, 300_100);
    const fd = fs.openSync(path.join(directory, 'sparse'), 'w');
    fs.writeSync(fd, expected, 300_000, 100, 300_000);
    fs.ftruncateSync(fd, expected.length);
    fs.closeSync(fd);
    return { source: await fileSource(path.join(directory, 'sparse'), calls), expected, cleanup: async () => removeDirectory(directory) };
  });
}

async function inDirectory(use: (directory: string, root: Uint8Array) => Promise<void>): Promise<void> {
  const directory = temporaryDirectory();
  try {
    await use(directory, utf8(directory));
  } finally {
    removeDirectory(directory);
  }
}

async function find(tree: FileTree, name: string): Promise<NodeId> {
  const id = await lookupPath(tree, utf8(name));
  assert.ok(id !== undefined, `'${name}' exists`);
  return id;
}

async function paths(tree: PosixTree): Promise<readonly string[]> {
  return (await describeTree(tree)).map((line) => line.split(' ')[0]!).filter((name) => name !== '');
}

describe('PosixTree options', () => {
  it('shows only included paths and the directories above them', () => inDirectory(async (directory, root) => {
    for (const name of ['a/b/c', 'a/x', 'd/e', 'f']) fs.mkdirSync(path.join(directory, name), { recursive: true });
    const problems: TreeProblem[] = [];
    const include = ['a/b', 'd/', 'missing/deep'].map((name) => utf8(`${directory}/${name}`));
    const tree = new PosixTree({ root, include, onProblem: (problem) => problems.push(problem) });
    assert.strictEqual(await tree.lookup(tree.rootId, utf8('f')), undefined);
    assert.deepStrictEqual(await paths(tree), ['/a', '/a/b', '/a/b/c', '/d', '/d/e']);
    assert.deepStrictEqual(problems.filter(({ kind }) => kind !== 'unsupported').map(({ kind, where }) => [kind, where]), [['unreadable', `${directory}/missing`]]);
    assert.strictEqual(await tree.lookup(await find(tree, 'a'), utf8('x')), undefined);
    await tree.close();
  }));

  it('tells once that attributes cannot be read, and only who asks for them', () => inDirectory(async (directory, root) => {
    for (const name of ['a', 'b']) fs.writeFileSync(path.join(directory, name), name);
    const problems: TreeProblem[] = [];
    const tree = new PosixTree({ root, calls: new NodeCalls('a test asked for it'), onProblem: (problem) => problems.push(problem) });
    const [a, b] = [await find(tree, 'a'), await find(tree, 'b')];
    await (await tree.open(a)).close();
    assert.deepStrictEqual(problems, []);
    assert.deepStrictEqual([await tree.attributes(a), await tree.attributes(b)], [new Map(), new Map()]);
    assert.deepStrictEqual(problems.map(({ kind, where }) => [kind, where]), [['unsupported', directory]]);
    await tree.close();
  }));

  it('reports an included path that leads over a symlink', () => inDirectory(async (directory, root) => {
    fs.mkdirSync(path.join(directory, 'real/sub'), { recursive: true });
    fs.symlinkSync('real', path.join(directory, 'link'));
    const tree = new PosixTree({ root, include: [utf8(`${directory}/link/sub`)] });
    await assert.rejects(paths(tree), /it is a symlink/);
    await tree.close();
    assert.throws(() => new PosixTree({ root, include: [utf8('/elsewhere')] }), UsageError);
    assert.throws(() => new PosixTree({ root, include: [utf8(`${directory}/../x`)] }), UsageError);
  }));

  it('leaves excluded entries out, also from lookup', () => inDirectory(async (directory, root) => {
    for (const name of ['keep/a', 'drop/b']) fs.mkdirSync(path.join(directory, name), { recursive: true });
    const tree = new PosixTree({ root, exclude: (at) => textOf(at) === `${directory}/drop` });
    assert.deepStrictEqual(await paths(tree), ['/keep', '/keep/a']);
    assert.strictEqual(await tree.lookup(tree.rootId, utf8('drop')), undefined);
    await tree.close();
  }));

  it('shows mount points as empty directories on request', async (t: TestContext) => {
    const [root, mount] = ['/', 'proc'];
    if (fs.statSync('/proc').dev === fs.statSync('/').dev) return t.skip('/proc is not mounted');
    const tree = new PosixTree({ root: utf8(root), oneFileSystem: true });
    const id = await find(tree, mount);
    for await (const page of tree.list(id)) assert.strictEqual(page.length, 0);
    assert.strictEqual(await tree.lookup(id, utf8('version')), undefined);
    await tree.close();
    const included = new PosixTree({ root: utf8('/proc/sys'), include: [utf8('/proc/sys/kernel')], oneFileSystem: true });
    assert.ok(await lookupPath(included, utf8('kernel/ostype')) !== undefined);
    await included.close();
  });
});

describe('PosixTree and files that change', () => {
  it('reads what grew to its size at open, refuses what shrank', () => inDirectory(async (directory, root) => {
    const name = path.join(directory, 'file');
    fs.writeFileSync(name, 'x'.repeat(100_000));
    const tree = new PosixTree({ root });
    const source = await tree.open(await find(tree, 'file'));
    fs.appendFileSync(name, 'more');
    assert.strictEqual(source.size, 100_000);
    await source.readInto(0, new Uint8Array(100_000));
    fs.truncateSync(name, 50_000);
    await source.readInto(0, new Uint8Array(50_000));
    await assert.rejects(source.readInto(0, new Uint8Array(100_000)), (error: Error) => error instanceof IntegrityError && error.message.includes(name));
    await source.close();
    await tree.close();
  }));

  it('does not report the lost end of a sparse file as a hole', () => inDirectory(async (directory, root) => {
    const name = path.join(directory, 'file');
    fs.closeSync(fs.openSync(name, 'w'));
    fs.truncateSync(name, 1 << 20);
    const tree = new PosixTree({ root });
    const source = await tree.open(await find(tree, 'file'));
    fs.truncateSync(name, 1000);
    await assert.rejects(async () => {
      for await (const { offset, length, kind } of source.extents(0, source.size)) {
        assert.strictEqual(kind, 'data');
        await source.readInto(offset, new Uint8Array(length));
      }
    }, IntegrityError);
    await source.close();
    await tree.close();
  }));

  it('does not follow a symlink that took the place of a file or directory', () => inDirectory(async (directory, root) => {
    fs.mkdirSync(path.join(directory, 'd'));
    fs.writeFileSync(path.join(directory, 'd/file'), 'x');
    const tree = new PosixTree({ root });
    const [d, file] = [await find(tree, 'd'), await find(tree, 'd/file')];
    fs.renameSync(path.join(directory, 'd/file'), path.join(directory, 'd/moved'));
    fs.symlinkSync('/etc/passwd', path.join(directory, 'd/file'));
    await assert.rejects(tree.open(file), ToolError);
    await tree.close();
    const fresh = new PosixTree({ root });
    assert.strictEqual(await find(fresh, 'd'), d, 'ids are handed out in the same order');
    fs.renameSync(path.join(directory, 'd'), path.join(directory, 'e'));
    fs.symlinkSync('/etc', path.join(directory, 'd'));
    await assert.rejects(async () => {
      for await (const page of fresh.list(d)) assert.fail(`listed ${page.length} entries of another directory`);
    }, ToolError);
    await fresh.close();
  }));
});

describe('PosixTree and what cannot be read', () => {
  it('throws for a directory without permission', { skip: isRoot ? 'needs another user than root' : false }, () => inDirectory(async (directory, root) => {
    fs.mkdirSync(path.join(directory, 'locked'), { mode: 0 });
    const tree = new PosixTree({ root });
    await assert.rejects(paths(tree), (error: ToolError) => error.data['errno'] === 'EACCES');
    await tree.close();
  }));

  it('throws for a root that is absent', async () => {
    const tree = new PosixTree({ root: utf8('/no such directory 5f1d') });
    await assert.rejects(paths(tree), (error: ToolError) => error.data['errno'] === 'ENOENT');
  });

  it('names what it opens', async () => {
    await assert.rejects(fileSource('/no such file 5f1d'), NotFoundError);
    await assert.rejects(fileSource('/dev/null'), UnsupportedError);
    await assert.rejects(fileSource('/tmp'), UnsupportedError);
  });
});

describe('PosixTree at its limits', () => {
  it('reads small files in one call', () => inDirectory(async (directory, root) => {
    fs.writeFileSync(path.join(directory, 'file'), 'content');
    const tree = new PosixTree({ root });
    const id = await find(tree, 'file');
    const target = new Uint8Array(7);
    assert.strictEqual(tree.readSmall(id, target), 7);
    assert.strictEqual(textOf(target), 'content');
    assert.strictEqual(tree.readSmall(id, new Uint8Array(6)), -1);
    assert.throws(() => tree.readSmall(tree.rootId, target), UnsupportedError);
    await tree.close();
  }));

  it('reads paths longer than the system takes', () => inDirectory(async (directory, root) => {
    const name = 'd'.repeat(200);
    const here = process.cwd();
    try {
      process.chdir(directory);
      for (let i = 0; i < 60; i += 1) {
        fs.mkdirSync(name);
        process.chdir(name);
      }
      fs.writeFileSync('leaf', 'deep');
    } finally {
      process.chdir(here);
    }
    const tree = new PosixTree({ root });
    const id = await find(tree, `${`${name}/`.repeat(60)}leaf`);
    assert.ok(tree.path(id).length > 12_000);
    assert.strictEqual(textOf(await contentOf(tree, id)), 'deep');
    await tree.close();
  }));

  it('sorts any names as memcmp does', () => inDirectory(async (directory, root) => {
    const byte = fc.integer({ min: 1, max: 255 }).filter((value) => value !== 0x2f);
    const names = fc.uniqueArray(fc.array(byte, { minLength: 1, maxLength: 12 }).map((list) => Buffer.from(list).toString('latin1')).filter((text) => text !== '.' && text !== '..'), { maxLength: 80 });
    let run = 0;
    await fc.assert(fc.asyncProperty(names, async (list) => {
      const sub = `${directory}/run${run++}`;
      fs.mkdirSync(sub);
      for (const name of list) fs.writeFileSync(Buffer.concat([Buffer.from(`${sub}/`), Buffer.from(name, 'latin1')]), '');
      const tree = new PosixTree({ root: utf8(sub) });
      const found: string[] = [];
      for await (const page of tree.list(tree.rootId)) found.push(...page.map(({ name }) => Buffer.from(name).toString('latin1')));
      await tree.close();
      assert.deepStrictEqual(found, [...list].sort((a, b) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'))));
    }), { numRuns: 60 });
    assert.ok(root.length > 0);
  }));

  it('keeps ids and memory when directories are listed again', () => inDirectory(async (directory, root) => {
    for (let i = 0; i < 2000; i += 1) fs.writeFileSync(path.join(directory, `name-of-20-bytes-${i}`), '');
    const tree = new PosixTree({ root });
    await paths(tree);
    const { nodes, bytes } = tree.memory;
    await paths(tree);
    assert.deepStrictEqual(tree.memory, { nodes, bytes });
    assert.strictEqual(nodes, 2001);
    await tree.close();
  }));
});
