/** The house rules: each fires on a bad sample, stays silent on a good one, and the repository itself is tidy. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { functionsOf } from './functions.mjs';
import { checkSource, sourceOf } from './tidy-rules.mjs';
import { deadFiles, fileNames, folderReadmes, fragments, oneRocksFile, privatePaths } from './tidy-tree.mjs';
import { formatFinding, readTree, tidy } from './tidy.mjs';
import { tokensOf } from './tokens.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const inEngine = 'src/engine/sample.ts';

function rulesOf(text, file = inEngine) {
  return checkSource(sourceOf(file, text)).map((one) => `${one.line} ${one.rule}`);
}

function treeOf(files) {
  const entries = Object.entries(files);
  return { files: new Map(entries), sources: new Map(entries.filter(([name]) => /\.(?:ts|mjs)$/.test(name)).map(([name, text]) => [name, sourceOf(name, text)])) };
}

function lines(count, line = '  work();\n') {
  return line.repeat(count);
}

describe('tokens', () => {
  const cases = [
    ['"Date.now()" + \'new Date\'', ['string', 'punct', 'string']],
    ['a / b / c', ['word', 'punct', 'word', 'punct', 'word']],
    ['x = /[/"]`/g; y', ['word', 'punct', 'regex', 'punct', 'word']],
    ['return /enum/.test(x)', ['word', 'regex', 'punct', 'word', 'punct', 'word', 'punct']],
    ['size! / 2', ['word', 'punct', 'punct', 'number']],
    ['!/a/.test', ['punct', 'regex', 'punct', 'word']],
    ['`a ${`b ${c}`} d` // e', ['template', 'template', 'word', 'template', 'template', 'comment']],
    ['`${{ a: "}" }.a}`/2', ['template', 'punct', 'word', 'punct', 'string', 'punct', 'punct', 'word', 'template', 'punct', 'number']],
    ['/* "a */ b /** c */', ['comment', 'word', 'comment']],
    ['0x1_000n >>> 2', ['number', 'punct', 'punct', 'punct', 'number']],
  ];
  for (const [text, kinds] of cases) {
    test(text, () => {
      const tokens = tokensOf(text);
      assert.deepEqual(tokens.map((token) => token.kind), kinds);
      assert.equal(tokens.map((token) => token.text).join('').replaceAll(' ', ''), text.replaceAll(' ', ''), 'nothing is lost');
    });
  }

  test('lines are counted through comments, strings and templates', () => {
    const tokens = tokensOf('/* 1\n2 */ a\n`3\n4 ${b}\n5` c');
    assert.deepEqual(tokens.filter((token) => token.kind === 'word').map((token) => [token.text, token.line]), [['a', 2], ['b', 4], ['c', 5]]);
  });
});

describe('functions', () => {
  const cases = [
    ['function f(a: Map<string, number>, b = [1, 2], { c, d }: X): { e: number } { return g(1, 2, 3); }', [['f', 3]]],
    ['class A { async *m(this: A, a: number): AsyncIterable<{ x: 1 }> { } get b() { return 1; } }', [['m', 1], ['b', 0]]],
    ['const f = async (a: (x: number, y: number) => void, b?: string): Promise<void> => { };', [['(arrow)', 2], ['(arrow)', 0]]],
    ['function f<const T extends Record<string, X>>(a: T, ...rest: T[]): a is T[number] { }', [['f', 2]]],
    ['if (a) { } for (const b of c) { } while (d(e)) { } switch (f) { case g(h): { } }', []],
    ['const x = a ? f(b) : { c }; foo(a, b); new Foo(a, b, c);', []],
    ['call(function () { }, (a, b) => a + b)', [['(anonymous)', 0], ['(arrow)', 0]]],
  ];
  for (const [text, expected] of cases) {
    test(text, () => {
      assert.deepEqual(functionsOf(tokensOf(text)).map((one) => [one.name, one.parameters]), expected);
    });
  }
});

describe('rules of one file', () => {
  const good = '/** Header. */\nimport { x } from \'./x.ts\';\n\n/** Does it. Date.now() is described here. */\nexport function f(a: number): string {\n  return `${a} new Date()`;\n}\n\nexport * from \'./y.ts\';\nexport type { Z } from \'./z.ts\';\n';

  test('a good file has no finding', () => {
    assert.deepEqual(rulesOf(good), []);
  });

  const bad = [
    ['const t = Date.now();', '1 world'],
    ['const t = new Date();', '1 world'],
    ['\nconst t = performance.now();', '2 world'],
    ['const r = Math.random();', '1 world'],
    ['setTimeout(f, 1);', '1 world'],
    ["import { setTimeout } from 'node:timers/promises';", '1 world'],
    ["import fs from 'node:fs';", '1 world'],
    ["const fs = await import('node:fs/promises');", '1 world'],
    ["import { randomBytes } from 'node:crypto';", '1 world'],
    ['enum Color { Red }', '1 enum'],
    ['export default 1;', '1 default-export'],
    ['// TODO later', '1 marker'],
    ['/* FIXME */', '1 marker'],
    ['export const a = 1;', '1 docstring'],
    ['/** Header. */\n\nexport interface A {}', '3 docstring'],
    ['// not a docstring\nexport class A {}', '2 docstring'],
    ['function f(a, b, c, d, e) {}', '1 parameters'],
    ['const f = (a: A, b: B, c: C, d: D, e: E): void => {};', '1 parameters'],
    [`function f() {\n${lines(69)}}`, '1 function-size'],
    [`class A {\n  method(): void {\n${lines(70)}  }\n}`, '2 function-size'],
    [lines(501), '501 file-size'],
  ];
  for (const [text, expected] of bad) {
    test(`finds '${expected.slice(2)}' in '${text.slice(0, 50).replaceAll('\n', '⏎')}'`, () => assert.deepEqual(rulesOf(text), [expected]));
  }

  const allowed = [
    ["import fs from 'node:fs'; Date.now();", 'src/engine/world/node-world.ts'],
    ["import fs from 'node:fs'; Date.now();", 'src/formats/a.test.ts'],
    ["import fs from 'node:fs'; Date.now();", 'src/services/backup.ts'],
    ["import fs from 'node:fs'; await import('rocksdb-native');", 'src/engine/index/rocks.ts'],
    ['world.setTimeout(1); stat.Date.now; const x = { Date: 1 }; let d: Date;', inEngine],
    ["import { setImmediate } from 'node:timers/promises'; await setImmediate();", inEngine],
    ["import { createHash } from 'node:crypto'; world.randomBytes(4);", inEngine],
    ['const text = "enum A { B } // TODO";', inEngine],
    [`function f() {\n${lines(68)}}`, inEngine],
    [`describe('x', () => {\n${lines(100)}});`, 'src/core/a.test.ts'],
    [lines(900), 'src/engine/chunking/gear.wasm.ts'],
    ['type Kernel = (a: number, b: number, c: number, d: number, e: number) => number;', inEngine],
    ['/** One. */\nexport function f(a: string): void;\nexport function f(a: number): void;', inEngine],
  ];
  for (const [text, file] of allowed) {
    test(`allows '${text.slice(0, 50).replaceAll('\n', '⏎')}' in ${file}`, () => assert.deepEqual(rulesOf(text, file), []));
  }

  test('the RocksDB file may use node:fs, but no clock', () => {
    assert.deepEqual(rulesOf("import fs from 'node:fs'; await import('rocksdb-native'); Date.now();"), ['1 world']);
  });
});

describe('rules of the tree', () => {
  const manifest = JSON.stringify({ exports: { '.': './dist/src/core/index.js' }, scripts: { tidy: 'node tools/a.mjs' } });

  test('a file is dead unless an entry point or another test reaches it', () => {
    const tree = treeOf({
      'package.json': manifest, 'README.md': 'see `src/services/examples/readme.ts`', 'src/services/examples/readme.ts': '',
      'src/core/index.ts': "export * from './used.ts'; new Worker(new URL('./worker.js', import.meta.url));",
      'src/core/used.ts': '', 'src/core/worker.ts': '', 'tools/a.mjs': '',
      'src/core/island-a.ts': "import './island-b.ts';", 'src/core/island-b.ts': "import './island-a.ts';",
      'src/core/only-tested.ts': '', 'src/core/only-tested.test.ts': "import './only-tested.ts'; import './helper.ts';", 'src/core/helper.ts': '',
    });
    assert.deepEqual(deadFiles(tree).map((one) => one.path), ['src/core/island-a.ts', 'src/core/island-b.ts', 'src/core/only-tested.ts']);
  });

  test('a README lists each file of its folder, and nothing that is absent', () => {
    const tree = treeOf({
      'src/core/README.md': '- `a.ts` one\n- `sub/b.ts` two\n- `gone.ts` three\n', 'src/core/a.ts': '', 'src/core/a.test.ts': '',
      'src/core/sub/b.ts': '', 'src/core/sub/c.ts': '', 'src/core/data.ts': '', 'lab/x.ts': '', 'src/core/testdata/y.ts': '',
    });
    assert.deepEqual(folderReadmes(tree).map(formatFinding), [
      "src/core/README.md:1: readme: 'c.ts' is not listed", "src/core/README.md:1: readme: 'data.ts' is not listed",
      "lab/x.ts:1: readme: no README.md in its folder lists it", "src/core/README.md:3: readme: 'gone.ts' is listed but absent",
    ]);
  });

  test('names are kebab-case', () => {
    const tree = treeOf({ 'src/core/Block.ts': '', 'src/core/block_source.ts': '', 'src/core/block-source.test.ts': '', 'README.md': '', '.ci/run': '', 'src/core/testdata/A_B.txt': '' });
    assert.deepEqual(fileNames(tree).map((one) => one.path), ['src/core/Block.ts', 'src/core/block_source.ts']);
  });

  test('private paths are found wherever they stand', () => {
    const tree = treeOf({ 'docs/a.md': ['ok', `see ${['', 'work', 'main'].join('/')}`, `in ${['', 'home', 'jo', 'x'].join('/')}`, 'artwork/x', 'src/work/x'].join('\n') });
    assert.deepEqual(privatePaths(tree).map((one) => one.line), [2, 3]);
  });

  test('a second file that imports RocksDB is found', () => {
    const tree = treeOf({ 'src/engine/a.ts': "import('rocksdb-native')", 'src/services/b.ts': "import 'rocksdb-native'", 'src/core/c.ts': '// rocksdb-native' });
    assert.deepEqual(oneRocksFile(tree).map((one) => one.path), ['src/services/b.ts']);
  });

  test('a malformed changelog fragment is found', () => {
    const tree = treeOf({ 'changes/unreleased/a.md': 'Added: it\n\nText.\n', 'changes/unreleased/b.md': 'it was added\n', 'changes/README.md': 'free text' });
    assert.deepEqual(fragments(tree).map((one) => one.path), ['changes/unreleased/b.md']);
  });
});

const repository = readTree(root);

test('every source of this repository is read to its end, with its brackets in pairs', () => {
  for (const { path: file, text, code, tokens } of repository.sources.values()) {
    assert.equal(tokens.map((token) => token.text).join('').replaceAll(/\s/g, ''), text.replaceAll(/\s/g, ''), file);
    const count = (bracket) => code.filter((token) => token.kind === 'punct' && token.text === bracket).length;
    for (const [open, close] of ['()', '[]', '{}']) assert.equal(count(open), count(close), `${file}: ${open}${close}`);
  }
});

test('this repository is tidy', () => {
  const findings = tidy(repository).map(formatFinding);
  assert.ok(findings.length === 0, findings.join('\n'));
});
