/** Chains of jobs: what each entry of a later job does to what the earlier ones left. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { IntegrityError, lookupPath, readRange, utf8 } from '../../core/index.ts';
import { FILE_TYPE } from './attributes.ts';
import { sharedBlockHasher } from './checksum.ts';
import type { BaculaTree } from './job-tree.ts';
import { STREAM } from './stream.ts';
import { openBytes } from './testdata/fixture.ts';
import { encodeAttributes, encodeLstat, SessionWriter, VolumeWriter } from './testing/volume-writer.ts';
import type { BaculaVolumeSet } from './volume-set.ts';

type Entry = readonly [path: string, content: string] | readonly [path: string, kind: 'deleted' | 'touched' | 'base' | 'link', modeOrTarget?: number];

function write(session: SessionWriter, fileIndex: number, entry: Entry): void {
  const [path, what, mode = 0o600] = entry as readonly [string, string, number?];
  const name = utf8(path);
  if (what === 'deleted') session.record(fileIndex, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex, type: FILE_TYPE.DELETED, name }, encodeLstat({ mode: 0 })));
  else if (what === 'base') {
    session.record(fileIndex, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex, type: FILE_TYPE.BASE, name }, encodeLstat({ mode, size: 3 })));
  } else if (what === 'link') {
    session.record(fileIndex, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex, type: FILE_TYPE.LNK, name, link: utf8('target') }, encodeLstat({ mode: 0o120777, size: 6 })));
  } else if (what === 'touched') {
    session.record(fileIndex, STREAM.UNIX_ATTRIBUTES_UPDATE, encodeAttributes({ fileIndex, type: FILE_TYPE.REG, name }, encodeLstat({ mode: 0o100000 | mode, size: 3 })));
  } else if (path.endsWith('/')) {
    session.record(fileIndex, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex, type: FILE_TYPE.DIREND, name }, encodeLstat({ mode: 0o40755 })));
  } else {
    session.record(fileIndex, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex, type: FILE_TYPE.REG, name }, encodeLstat({ mode: 0o100000 | mode, size: what.length })));
    session.record(fileIndex, STREAM.FILE_DATA, utf8(what));
  }
}

/** One volume with a job for each letter of `levels`: job 1, 2 … */
async function volume(jobs: readonly (readonly [level: string, entries: readonly Entry[]])[]): Promise<BaculaVolumeSet> {
  const blocks: Uint8Array[] = [];
  const writer = new VolumeWriter({ version: 'BB03', blockBytes: 64_512, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  writer.label('V', { id: 1, time: 1_700_000_000 }, 0, 1.7e15);
  for (const [i, [level, entries]] of jobs.entries()) {
    const session = new SessionWriter(writer, { id: i + 1, time: 1_700_000_000, jobId: i + 1, level }, i === 0 ? 1 : 0);
    session.start();
    for (const [at, entry] of entries.entries()) write(session, at + 1, entry);
    session.end();
  }
  const set = await openBytes([Buffer.concat(blocks)]);
  return set;
}

async function text(tree: BaculaTree, path: string): Promise<string | undefined> {
  const id = await lookupPath(tree, utf8(path));
  if (id === undefined || (await tree.stat(id)).type !== 'file') return id === undefined ? undefined : 'no file';
  const source = await tree.open(id);
  return Buffer.from(await readRange(source, 0, source.size)).toString();
}

test('later content replaces earlier, deletions apply, attributes alone keep the content', async () => {
  const set = await volume([['F', [['/a', 'one'], ['/b', 'two'], ['/c', 'old']]], ['I', [['/a', 'ONE!'], ['/b', 'deleted'], ['/c', 'touched', 0o644]]]]);
  const tree = set.chainTree([1, 2]);
  assert.deepEqual([await text(tree, '/a'), await text(tree, '/b'), await text(tree, '/c')], ['ONE!', undefined, 'old']);
  assert.equal((await tree.stat(await lookupPath(tree, utf8('/c')) ?? tree.rootId)).mode, 0o644);
  await assert.rejects(text(set.jobTree({ jobId: 2 }), '/c'), IntegrityError, 'the content is not in the job alone');
});

test('a directory that became a file, and a file that became a directory', async () => {
  const set = await volume([['F', [['/d/x', 'in d'], ['/d/', ''], ['/f', 'file']]], ['I', [['/d', 'now a file'], ['/f/y', 'in f'], ['/f/', ''], ['/d/', 'deleted'], ['/d/x', 'deleted']]]]);
  const tree = set.chainTree([1, 2]);
  assert.deepEqual([await text(tree, '/d'), await text(tree, '/d/x'), await text(tree, '/f/y')], ['now a file', undefined, 'in f']);
});

test('a differential replaces the incrementals before it', async () => {
  const set = await volume([['F', [['/a', 'full']]], ['I', [['/gone', 'short-lived']]], ['D', [['/b', 'differential']]], ['I', [['/c', 'last']]]]);
  const chain = set.chainTree([1, 2, 3, 4]);
  assert.deepEqual([await text(chain, '/a'), await text(chain, '/gone'), await text(chain, '/b'), await text(chain, '/c')], ['full', undefined, 'differential', 'last']);
});

test('a full by label begins anew where it stores again what had not changed; without that it takes nothing away', async () => {
  const set = await volume([['F', [['/a', 'same'], ['/b', 'same'], ['/gone', 'x']]], ['F', [['/b', 'copy of an incremental']]], ['F', [['/a', 'same'], ['/b', 'new']]]]);
  const copied = set.chainTree([1, 2]);
  assert.deepEqual([await text(copied, '/a'), await text(copied, '/b'), await text(copied, '/gone')], ['same', 'copy of an incremental', 'x']);
  const full = set.chainTree([1, 2, 3]);
  assert.deepEqual([await text(full, '/a'), await text(full, '/b'), await text(full, '/gone')], ['same', 'new', undefined]);
});

test('a full on a base job takes from it what it left out, and nothing else; alone it says what is missing', async () => {
  const set = await volume([['B', [['/a', 'one'], ['/l', 'link'], ['/not', 'any more']]], ['F', [['/a', 'base', 0o100600], ['/l', 'base', 0o120777], ['/b', 'own']]]]);
  assert.deepEqual(set.problems(), []);
  const both = set.chainTree([1, 2]);
  assert.deepEqual([await text(both, '/a'), await text(both, '/b'), await text(both, '/not')], ['one', 'own', undefined]);
  assert.equal(Buffer.from(await both.readLink(await lookupPath(both, utf8('/l')) ?? both.rootId)).toString(), 'target');
  assert.deepEqual(both.problems(), []);
  const alone = set.jobTree({ jobId: 2 });
  const [file, link] = [await lookupPath(alone, utf8('/a')) ?? alone.rootId, await lookupPath(alone, utf8('/l')) ?? alone.rootId];
  for (const work of [alone.open(file), alone.attributes(file), alone.readLink(link), alone.attributes(link)]) await assert.rejects(work, /Base job '1'/);
  assert.deepEqual(alone.problems().map((problem) => problem.kind), ['missing-base']);
});

test('a VirtualFull is one session of several jobs: numbered anew, with their labels and links by name', async () => {
  const blocks: Uint8Array[] = [];
  const writer = new VolumeWriter({ version: 'BB02', blockBytes: 64_512, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  writer.label('V', { id: 1, time: 1_700_000_000 }, 0, 1.7e15);
  const session = new SessionWriter(writer, { id: 1, time: 1_700_000_000, jobId: 1 });
  const file = (text: number, name: string): Uint8Array => encodeAttributes({ fileIndex: text, type: FILE_TYPE.REG, name: utf8(name) }, encodeLstat({ mode: 0o100600, size: 3 }));
  const link = encodeAttributes({ fileIndex: 9, type: FILE_TYPE.LNKSAVED, name: utf8('/link'), link: utf8('/a') }, encodeLstat({ mode: 0o100600, size: 3, linkFileIndex: 4 }));
  session.start(1);
  session.record(1, 1, file(4, '/a'));
  session.record(1, 2, utf8('one'));
  session.record(2, 1, link);
  session.start(2);
  session.record(3, 1, file(2, '/b'));
  session.record(3, 2, utf8('two'));
  session.flush();
  const set = await openBytes([Buffer.concat(blocks)]);
  assert.deepEqual(set.problems(), []);
  assert.deepEqual(set.jobs().map((job) => [job.sourceJobs, job.complete, job.files]), [[[1, 2], true, 3]]);
  const tree = set.jobTree({ session: { id: 1, time: 1_700_000_000 } });
  assert.deepEqual([await text(tree, '/a'), await text(tree, '/link'), await text(tree, '/b')], ['one', 'one', 'two']);
});
