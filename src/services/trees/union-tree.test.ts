import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileTreeSuite, type ExpectedNode } from '../../core/conformance/index.ts';
import { UsageError, readRange, textOf, utf8, type FileTree, type NodeId, type NodeStat } from '../../core/index.ts';
import { PosixTree } from '../../fs-adapters/posix/index.ts';
import { FilterTree } from './filter-tree.ts';
import { forest } from './forest.ts';
import { Patterns } from './glob.ts';
import { unionTree, type UnionMember } from './union-tree.ts';
import { lookupBelow, walk } from './walk.ts';

let work = '';
before(() => { work = mkdtempSync(path.join(os.tmpdir(), 'holdfast-union-')); });
after(() => { rmSync(work, { recursive: true }); });

function host(name: string, files: Readonly<Record<string, string>>): PosixTree {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(work, name, file)), { recursive: true });
    writeFileSync(path.join(work, name, file), text);
  }
  return new PosixTree({ root: utf8(path.join(work, name)) });
}

function member(tree: FileTree, at = '', id: NodeId = tree.rootId): UnionMember {
  return { at: utf8(at), open: () => Promise.resolve({ tree, id, close: () => tree.close() }) };
}

async function paths(tree: FileTree): Promise<readonly string[]> {
  const found: string[] = [];
  await walk({ tree, id: tree.rootId, path: new Uint8Array() }, {
    page: (entries) => { for (const entry of entries) found.push(textOf(entry.path)); },
    failed: (_, error) => { throw error; },
  });
  return found.sort();
}

async function read(tree: FileTree, name: string): Promise<string> {
  const id = await lookupBelow({ tree, id: tree.rootId, path: new Uint8Array() }, utf8(name));
  assert.ok(id !== undefined, `${name} is there`);
  const source = await tree.open(id);
  return textOf(await readRange(source, 0, source.size));
}

describe('union of trees', () => {
  test('directories of the same name are merged, files keep their content', async () => {
    const tree = await unionTree([member(host('a', { 'x/one': '1', 'x/deep/two': '2' })), member(host('b', { 'x/three': '3', 'x/deep/four': '4', five: '5' }))]);
    assert.deepEqual(await paths(tree), ['/five', '/x', '/x/deep', '/x/deep/four', '/x/deep/two', '/x/one', '/x/three']);
    assert.equal(await read(tree, '/x/deep/four'), '4');
    assert.equal(await read(tree, '/x/one'), '1');
    await tree.close();
  });

  test('a member appears at its path, also inside another member, also when it is a file', async () => {
    const inner = host('inner', { 'd/file': 'f' });
    const file = await lookupBelow({ tree: inner, id: inner.rootId, path: new Uint8Array() }, utf8('d/file'));
    const tree = await unionTree([member(host('outer', { 'mnt/own': 'o' })), member(host('sub', { thing: 't' }), '/mnt/sub'), member(inner, '/mnt/name', file)]);
    assert.deepEqual(await paths(tree), ['/mnt', '/mnt/name', '/mnt/own', '/mnt/sub', '/mnt/sub/thing']);
    assert.equal(await read(tree, '/mnt/name'), 'f');
    await tree.close();
  });

  test('a file that two members hold is refused before anything is read of it, and both are named', async () => {
    const named = (source: string, files: Readonly<Record<string, string>>, at = ''): UnionMember => ({ ...member(host(source, files), at), source });
    const refused = (members: readonly UnionMember[], message: RegExp): Promise<void> => assert.rejects(unionTree(members), (error) => error instanceof UsageError && message.test(error.message));
    await refused([named('c', { 'd/deep/same': '1' }), named('e', { 'd/deep/same': '2' })], /^Join 'c' and 'e': both hold '\/d\/deep\/same'/);
    await refused([named('g', { 'd/x': '1' }), named('h', { d: 'a file' })], /'g' and 'h': both hold '\/d'/);
    await refused([named('i', { mnt: 'a file' }), named('j', { thing: 't' }, '/mnt')], /'i' and 'j': both hold '\/mnt'/);
    await refused([member(host('k', { same: '1' })), member(host('l', { same: '1' }))], /'source 1' and 'source 2'/);
  });

  test('hard links stay equal and ids beyond the computed range still work', async () => {
    const files = host('links', { a: 'x' });
    linkSync(path.join(work, 'links/a'), path.join(work, 'links/b'));
    const high = 2 ** 52 + 5;
    const wide: FileTree = {
      format: 'test', supports: files.supports, rootId: high as NodeId, readLink: () => Promise.resolve(new Uint8Array()), close: () => Promise.resolve(),
      attributes: () => Promise.resolve(new Map()),
      lookup: () => Promise.resolve((high + 1) as NodeId),
      stat: async (id) => ({ ...(await files.stat(files.rootId)), type: id === high ? 'directory' : 'fifo' }) as NodeStat,
      list: async function* list() { yield [{ name: utf8('far'), id: (high + 1) as NodeId }]; },
      open: () => Promise.reject(new Error('not asked for')),
    };
    const tree = await unionTree([member(files), member(wide, '/w')]);
    assert.equal(await tree.lookup(tree.rootId, utf8('a')), await tree.lookup(tree.rootId, utf8('b')));
    const far = await lookupBelow({ tree, id: tree.rootId, path: new Uint8Array() }, utf8('/w/far'));
    assert.equal((await tree.stat(far as NodeId)).type, 'fifo');
    await tree.close();
  });

  test('members of a forest are opened only when somebody looks inside', async () => {
    const opened: string[] = [];
    const tree = await forest(['p', 'q'].map((name) => ({
      name, timeMs: 1_500, open: () => { opened.push(name); return Promise.resolve(host(name, { [`in-${name}`]: name })); },
    })));
    for await (const page of tree.list(tree.rootId)) {
      for (const entry of page) assert.deepEqual((await tree.stat(entry.id)).modified, { seconds: 1, nanoseconds: 5e8 });
    }
    assert.deepEqual(opened, []);
    assert.equal(await read(tree, '/q/in-q'), 'q');
    assert.deepEqual(opened, ['q']);
    await tree.close();
  });
});

/** More names than a page, a hard link, and one file to look for. */
function conformanceFiles(name: string): PosixTree {
  const files: Record<string, string> = { 'shared/inner/file': name };
  for (let i = 0; i < 1_200; i += 1) files[`shared/many/${name}-${i}`] = String(i);
  const tree = host(name, files);
  linkSync(path.join(work, name, 'shared/inner/file'), path.join(work, name, `shared/${name}-link`));
  return tree;
}

function expected(name: string): readonly ExpectedNode[] {
  return [
    { path: utf8(`shared/many/${name}-7`), content: utf8('7') },
    { path: utf8(`shared/${name}-link`), stat: { links: 2 } },
  ];
}

fileTreeSuite('union', async () => {
  const other = conformanceFiles('second');
  rmSync(path.join(work, 'second/shared/inner'), { recursive: true });
  rmSync(path.join(work, 'second/shared/second-link'));
  return {
    tree: await unionTree([member(conformanceFiles('first')), member(other), member(host('third', { x: '3' }), '/shared/at/third')]),
    expected: [...expected('first'), { path: utf8('shared/many/second-7'), content: utf8('7') }, { path: utf8('shared/at/third/x'), content: utf8('3') }],
    cleanup: () => Promise.resolve(),
  };
});

fileTreeSuite('filter', async () => {
  const inner = conformanceFiles('filtered');
  return {
    tree: new FilterTree({ tree: inner, id: inner.rootId, path: new Uint8Array() }, (where) => new Patterns(['/shared/many/*9']).matches(where)),
    expected: expected('filtered'),
    cleanup: () => Promise.resolve(),
  };
});

test('a filter hides what matches, with all below it', async () => {
  const inner = host('hiding', { 'keep/a': '1', 'drop/b': '2', 'keep/drop/c': '3' });
  const tree = new FilterTree({ tree: inner, id: inner.rootId, path: new Uint8Array() }, (where) => new Patterns(['drop']).matches(where));
  assert.deepEqual(await paths(tree), ['/keep', '/keep/a']);
  assert.equal(await tree.lookup(tree.rootId, utf8('drop')), undefined);
  await tree.close();
});
