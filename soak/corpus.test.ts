/** The corpus on disk is what its description says, from state to state; and the comparison notices each kind of deviation. */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, copyFileSync, cpSync, linkSync, mkdtempSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { corpora } from './corpus.ts';
import { compareDirectory, expectedOf, readExpected, writeExpected, type ExpectedEntry } from './expected.ts';
import { LiveDirectory } from './live-directory.ts';
import { dataBytesOf, md5Of, sizeOf, slicePieces, uniqueBytes, type Piece } from './piece.ts';

const MEBIBYTES = 2;
const states = [...corpora(11, MEBIBYTES, 30)];

test('the same seed gives the same states, another seed others', () => {
  const tables = (seed: number): string => JSON.stringify([...corpora(seed, MEBIBYTES, 3)].map(expectedOf));
  assert.equal(tables(11), tables(11));
  assert.notEqual(tables(11), tables(12));
});

test('its size is steady, and each state changes a part of it', () => {
  const bytes = states.map((state) => state.files.reduce((sum, file) => sum + dataBytesOf(file.pieces), 0));
  assert.ok(Math.max(...bytes) < 3 * MEBIBYTES * 2 ** 20, `${Math.max(...bytes)} bytes`);
  for (const state of states.slice(1)) assert.ok(state.changedBytes > 2 ** 18 && state.changedBytes < 2 ** 20, `${state.changedBytes} bytes`);
});

test('what is counted as changed is what no state before had', () => {
  const contents = (list: typeof states): number => uniqueBytes(list.flatMap((state) => state.files.map((file) => file.pieces)));
  // A piece that is written and replaced within one state is counted and never seen.
  const gap = states.slice(0, 10).reduce((sum, state) => sum + state.changedBytes, 0) - contents(states.slice(0, 10));
  assert.ok(gap >= 0 && gap < 10 * 2 ** 17, `${gap} bytes`);
});

test('a part of a content is that part', () => {
  const pieces: Piece[] = [{ kind: 'text', stream: 1, from: 3, length: 100 }, { kind: 'hole', stream: 0, from: 0, length: 50 }, { kind: 'random', stream: 2, from: 17, length: 70 }];
  const [left, right] = [slicePieces(pieces, 0, 61), slicePieces(pieces, 61, 220)];
  assert.equal(sizeOf(left) + sizeOf(right), 220);
  assert.equal(md5Of(5, [...left, ...right]), md5Of(5, pieces));
});

describe('a directory that follows the states', () => {
  let scratch = '';
  let live = '';
  before(() => {
    scratch = mkdtempSync(path.join(tmpdir(), 'holdfast-soak-'));
    live = path.join(scratch, 'live');
  });
  after(() => { rmSync(scratch, { recursive: true, force: true }); });

  test('holds each of them exactly, holes and links included', () => {
    const directory = new LiveDirectory(live);
    for (const state of states) {
      directory.become(state);
      assert.deepEqual(compareDirectory(live, expectedOf(state)).examples, [], `state ${state.cycle}`);
    }
  });

  test('can be made again at any state', () => {
    writeFileSync(path.join(live, 'left over'), '');
    const state = states[17] as typeof states[number];
    new LiveDirectory(live).become(state);
    assert.deepEqual(compareDirectory(live, expectedOf(state)).examples, []);
  });

  test('a table survives its file', () => {
    const rows = expectedOf(states[5] as typeof states[number]);
    writeExpected(path.join(scratch, 'table'), rows);
    assert.deepEqual(readExpected(path.join(scratch, 'table')), JSON.parse(JSON.stringify(rows)));
  });

  const deviations: readonly (readonly [string, RegExp, (root: string, row: ExpectedEntry) => void])[] = [
    ['a changed byte', /md5/, (root, { path: name }) => { const { mtime } = statSync(path.join(root, name)); appendFileSync(path.join(root, name), 'x', { flag: 'r+' }); utimesSync(path.join(root, name), mtime, mtime); }],
    ['a missing end', /size/, (root, { path: name }) => { truncateSync(path.join(root, name), 1); }],
    ['a missing file', /missing/, (root, { path: name }) => { rmSync(path.join(root, name)); }],
    ['a file too many', /not expected/, (root) => { writeFileSync(path.join(root, 'more'), ''); }],
    ['another mode', /mode/, (root, { path: name }) => { chmodSync(path.join(root, name), 0o777); }],
    ['another time', /modified/, (root, { path: name }) => { utimesSync(path.join(root, name), 1, 1); }],
    ['a symlink instead', /type 'symlink'/, (root, { path: name }) => { rmSync(path.join(root, name)); symlinkSync('x', path.join(root, name)); }],
    ['a copy instead of a link', /not the same file/, (root) => { copyFileSync(path.join(root, 'links/original-0'), path.join(root, 'c')); rmSync(path.join(root, 'links/original-0')); cpSync(path.join(root, 'c'), path.join(root, 'links/original-0'), { preserveTimestamps: true }); }],
    ['a link too many', /name of another/, (root) => { rmSync(path.join(root, 'links/original-0')); linkSync(path.join(root, 'links/original-1'), path.join(root, 'links/original-0')); }],
    ['another target', /target/, (root) => { rmSync(path.join(root, 'links/symbolic-0')); symlinkSync('x', path.join(root, 'links/symbolic-0')); }],
    ['holes filled with zeroes', /allocated/, (root) => { const file = path.join(root, 'sparse/sparse.bin'); writeFileSync(file, Buffer.alloc(statSync(file).size)); }],
  ];
  for (const [what, wish, spoil] of deviations) {
    test(`the comparison notices ${what}`, () => {
      const state = states[2] as typeof states[number];
      const copy = path.join(scratch, 'copy');
      new LiveDirectory(copy).become(state);
      const rows = expectedOf(state);
      const row = rows.find((one) => one.path.startsWith('small/') && (one.size ?? 0) > 100) as ExpectedEntry;
      spoil(copy, row);
      const { differences, examples } = compareDirectory(copy, rows);
      assert.ok(differences > 0 && examples.some((text) => wish.test(text)), examples.join('\n'));
    });
  }
});
