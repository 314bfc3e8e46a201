/** Jobs whose blocks are counted from 0 again: spooled ones, and those that were stopped and restarted, where Bacula gives the second part the session of the first, new labels, blocks from 0 on, and the FileIndex of the first file that it stores again. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { HoldfastError, lookupPath, type NodeId, readRange, utf8 } from '../../core/index.ts';
import { sharedBlockHasher } from './checksum.ts';
import { STREAM } from './stream.ts';
import { openBytes } from './testdata/fixture.ts';
import { encodeAttributes, encodeLstat, SessionWriter, VolumeWriter } from './testing/volume-writer.ts';

type VolumeSet = Awaited<ReturnType<typeof openBytes>>;

const names = { id: 5, time: 1_700_000_000, jobId: 9 };

/** Content that tells which part it is from. */
function content(path: string, part: number): Buffer {
  return Buffer.alloc(1500, `${path} of part ${part} `);
}

function store(session: SessionWriter, fileIndex: number, { path, part }: { readonly path: string; readonly part: number }, isWhole = true): void {
  const bytes = content(path, part);
  session.record(fileIndex, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex, type: 3, name: utf8(path) }, encodeLstat({ mode: 0o100644, size: bytes.length, mtime: part })));
  session.record(fileIndex, STREAM.FILE_DATA, isWhole ? bytes : bytes.subarray(0, 700));
  if (isWhole) session.record(fileIndex, STREAM.MD5_DIGEST, createHash('md5').update(bytes).digest());
}

/** First /1, /2 and a part of /3; then, numbered from `first` on, what `second` stores. */
async function restarted(first: number, second: readonly string[], { restartedAfter = 77_000_000, endsStopped = false } = {}): Promise<VolumeSet> {
  const blocks: Uint8Array[] = [];
  const volume = new VolumeWriter({ version: 'BB02', blockBytes: 1000, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  volume.label('V', names, 0, 1.7e15);
  const stopped = new SessionWriter(volume, names);
  stopped.start();
  for (const [i, path] of ['/1', '/2', '/3'].entries()) store(stopped, i + 1, { path, part: 1 }, path !== '/3');
  if (endsStopped) stopped.end({ status: 'I' });
  stopped.flush();
  const again = new SessionWriter(volume, { ...names, restarted: restartedAfter }, 0);
  again.start();
  for (const [i, path] of second.entries()) store(again, first + i, { path, part: 2 });
  again.end();
  return openBytes([Buffer.concat(blocks)]);
}

async function partsOf(set: VolumeSet, paths: readonly string[]): Promise<readonly (number | undefined)[]> {
  const tree = set.jobTree({ jobId: 9 });
  return Promise.all(paths.map(async (path) => {
    const id = await lookupPath(tree, utf8(path));
    if (id === undefined) return undefined;
    const source = await tree.open(id);
    const bytes = Buffer.from(await readRange(source, 0, source.size));
    return [1, 2].find((part) => bytes.equals(content(path, part)));
  }));
}

test('a restart that stores everything again replaces the first part', async () => {
  for (const endsStopped of [false, true]) { // 15.0.3 ends a stopped job with a label, 9.6.7 does not
    const set = await restarted(1, ['/3', '/2', '/1', '/4'], { endsStopped });
    assert.deepEqual(set.problems(), []);
    assert.deepEqual(await partsOf(set, ['/1', '/2', '/3', '/4']), [2, 2, 2, 2]);
    for await (const problem of set.verifyContents()) assert.fail(problem.message);
  }
});

test('a restart that goes on keeps what came before its first FileIndex', async () => {
  for (const [first, expected] of [[2, [1, undefined, 2, 2]], [3, [1, 1, 2, 2]]] as const) {
    const set = await restarted(first, ['/3', '/4']);
    assert.deepEqual(set.problems(), []);
    assert.deepEqual(await partsOf(set, ['/1', '/2', '/3', '/4']), expected);
    assert.deepEqual(set.jobs().map(({ files, complete }) => [files, complete]), [[first + 1, true]]);
  }
});

test('what was being stored when the job was stopped, and is not stored again, is missed', async () => {
  const set = await restarted(4, ['/4']);
  assert.deepEqual(set.problems().map(({ kind }) => kind), ['damaged-file']);
  assert.deepEqual(await partsOf(set, ['/1', '/2', '/3', '/4']), [1, 1, undefined, 2]);
});

test('blocks that come twice are no restart', async () => {
  const set = await restarted(1, ['/1'], { restartedAfter: 0 });
  assert.ok(set.problems().length > 0);
  assert.deepEqual(await partsOf(set, ['/1', '/2']), [1, 1]);
});

/** Blocks of a volume with one job, which `fill` stores. */
async function written(version: 'BB02' | 'BB03', blockBytes: number, fill: (session: SessionWriter) => void): Promise<readonly Uint8Array[]> {
  const blocks: Uint8Array[] = [];
  const volume = new VolumeWriter({ version, blockBytes, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  volume.label('V', names, 0, 1.7e15);
  const session = new SessionWriter(volume, names, 0);
  session.start();
  fill(session);
  session.end();
  return blocks;
}

/** Attributes of file `/i` in a block of their own, behind which the spool is emptied. */
function attributesAlone(session: SessionWriter, i: number, size: number): void {
  session.record(i, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex: i, type: 3, name: utf8(`/${i}`) }, encodeLstat({ mode: 0o100644, size, mtime: 1 })));
  session.flush();
  session.spoolAgain();
}

function damaged(blocks: readonly Uint8Array[], isLost: (block: number) => boolean): Promise<VolumeSet> {
  return openBytes([Buffer.concat(blocks.map((block, i) => (isLost(i) ? new Uint8Array(block).fill(0xee, 40) : block)))]);
}

/** Four files; the spool is emptied behind each, in the middle of a block that may begin inside a record. */
function spooled(): Promise<readonly Uint8Array[]> {
  return written('BB03', 1000, (session) => {
    for (const [i, path] of ['/1', '/2', '/3', '/4'].entries()) {
      store(session, i + 1, { path, part: 1 });
      session.spoolAgain();
    }
  });
}

test('a spooled job, whose blocks are counted from 0 with every spool, is whole', async () => {
  const set = await openBytes([Buffer.concat(await spooled())]);
  assert.deepEqual(set.problems(), []);
  assert.deepEqual(await partsOf(set, ['/1', '/2', '/3', '/4']), [1, 1, 1, 1]);
});

test('blocks missing from a spooled job are missed, wherever they are', async () => {
  const blocks = await spooled();
  for (let lost = 1; lost < blocks.length; lost += 1) {
    const set = await openBytes([Buffer.concat(blocks.filter((_block, i) => i !== lost))]);
    assert.ok(set.problems().length > 0, `block '${lost}' of '${blocks.length}' was lost`);
  }
});

/** The spool is emptied behind every tenth of 40 files. Block `lost` is damaged. */
async function damagedSpool(lost: number): Promise<VolumeSet> {
  const blocks = await written('BB03', 1000, (session) => {
    for (let i = 1; i <= 40; i += 1) {
      store(session, i, { path: `/${i}`, part: 1 });
      if (i % 10 === 0) session.spoolAgain();
    }
  });
  return damaged(blocks, (block) => block === lost);
}

test('behind a damaged block a spooled job goes on, and no file is given that is not as it was', async () => {
  for (let lost = 2; lost < 60; lost += 1) {
    const set = await damagedSpool(lost);
    const tree = set.jobTree({ jobId: 9 });
    let given = 0;
    for (let i = 1; i <= 40; i += 1) {
      const id = await lookupPath(tree, utf8(`/${i}`));
      if (id === undefined) continue;
      try {
        const source = await tree.open(id);
        const bytes = Buffer.from(await readRange(source, 0, source.size));
        assert.ok(bytes.equals(content(`/${i}`, 1)), `file '${i}' without block '${lost}'`);
        given += 1;
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
      }
    }
    assert.ok(set.problems().length > 0);
    assert.ok(given >= 37, `without block '${lost}' only '${given}' of 40 files are given: ${set.problems().map(({ message }) => message).slice(0, 4).join('\n')}`);
  }
});

/** A file without a digest of one record a block, and one more; the spool is emptied behind every fourth block, so that each has the same numbers. Some blocks are damaged. */
async function evenSpool(bytes: Uint8Array, isLost: (block: number) => boolean): Promise<VolumeSet> {
  const blocks = await written('BB02', 536, (session) => {
    for (const [i, size] of [[1, bytes.length], [2, 0]] as const) {
      attributesAlone(session, i, size);
      for (let at = 0; at < size; at += 500) {
        session.record(i, STREAM.FILE_DATA, bytes.subarray(at, at + 500));
        session.flush();
        if (at / 500 % 4 === 3) session.spoolAgain();
      }
    }
  });
  return damaged(blocks, isLost);
}

test('damage that ends where a spool does, or takes as many blocks as a spool has, does not make a file shorter unseen', async () => {
  const bytes = Buffer.concat(Array.from({ length: 16 }, (_, i) => Buffer.alloc(500, i + 1)));
  for (let from = 3; from < 19; from += 1) {
    for (let until = from + 1; until < 19; until += 1) {
      const tree = (await evenSpool(bytes, (block) => block >= from && block < until)).jobTree({ jobId: 9 });
      const source = await tree.open(await lookupPath(tree, utf8('/1')) as NodeId);
      await assert.rejects(readRange(source, 0, source.size), HoldfastError, `blocks '${from}' to '${until - 1}' are lost`);
    }
  }
});

test('a spool that is missing as a whole is missed', async () => {
  const blocks = await written('BB02', 536, (session) => {
    for (let i = 1; i <= 6; i += 1) attributesAlone(session, i, 0);
  });
  const set = await openBytes([Buffer.concat(blocks.filter((_block, i) => i !== 4))]);
  assert.ok(set.problems().some(({ kind }) => kind === 'missing-blocks'));
  assert.deepEqual(set.jobs().map(({ complete }) => complete), [false]);
  const tree = set.jobTree({ jobId: 9 });
  for (let i = 1; i <= 6; i += 1) assert.equal(await lookupPath(tree, utf8(`/${i}`)) !== undefined, i !== 4, `file '${i}'`);
});
