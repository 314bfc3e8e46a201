/**
 * Jobs that used their volumes in another order than these were labelled in: with two drives and one pool, Bacula goes on at the end of an older volume that another job has left.
 * Met with an autochanger of file devices (9.6.7): the job was good, its volumes in no order gave any of its files.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { lookupPath, readRange, utf8 } from '../../core/index.ts';
import { sharedBlockHasher } from './checksum.ts';
import { STREAM } from './stream.ts';
import { openBytes } from './testdata/fixture.ts';
import { encodeAttributes, encodeLstat, SessionWriter, VolumeWriter } from './testing/volume-writer.ts';

type VolumeSet = Awaited<ReturnType<typeof openBytes>>;

const X = { id: 5, time: 1_700_000_000, jobId: 9 };
const Y = { ...X, id: 6, jobId: 10 };

function content(path: string, jobId: number): Buffer {
  return Buffer.alloc(2500, `${path} of job ${jobId} `);
}

/** Volumes in the order of their labels. */
class Shelf {
  readonly #blocks: Uint8Array[][] = [];
  readonly volumes: VolumeWriter[] = [];

  static async of(count: number): Promise<Shelf> {
    const shelf = new Shelf();
    const hasher = await sharedBlockHasher();
    for (let i = 0; i < count; i += 1) {
      const blocks: Uint8Array[] = [];
      const volume = new VolumeWriter({ version: 'BB02', blockBytes: 1000, hasher, emit: (block) => { blocks.push(block); } });
      volume.label(`V${i}`, { id: 0, time: 0 }, 0, 1.7e15 + i);
      shelf.#blocks.push(blocks);
      shelf.volumes.push(volume);
    }
    return shelf;
  }

  open(given: (volume: number) => boolean = () => true): Promise<VolumeSet> {
    return openBytes(this.#blocks.filter((_blocks, i) => given(i)).map((blocks) => Buffer.concat(blocks)));
  }
}

/** A job that stores file `/i` on the i-th of these volumes, the end of it on the next. */
function* run(names: typeof X, order: readonly number[], { volumes }: Shelf, isSpooled = false): Generator {
  const session = new SessionWriter(volumes[order[0] ?? 0] as VolumeWriter, names, 0);
  session.start();
  for (const [i, volume] of order.entries()) {
    session.changeVolume(volumes[volume] as VolumeWriter);
    if (isSpooled) session.spoolAgain();
    const bytes = content(`/${i}`, names.jobId);
    session.record(i + 1, STREAM.UNIX_ATTRIBUTES, encodeAttributes({ fileIndex: i + 1, type: 3, name: utf8(`/${i}`) }, encodeLstat({ mode: 0o100644, size: bytes.length, mtime: 1 })));
    session.record(i + 1, STREAM.FILE_DATA, bytes);
    session.record(i + 1, STREAM.MD5_DIGEST, createHash('md5').update(bytes).digest());
    yield;
  }
  session.end();
}

/** Which of a job's files can be read, and are right. */
async function readable(set: VolumeSet, { jobId }: typeof X, count: number): Promise<readonly number[]> {
  const tree = set.jobTree({ jobId });
  const found: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const id = await lookupPath(tree, utf8(`/${i}`));
    if (id === undefined) continue;
    try {
      const source = await tree.open(id);
      if (content(`/${i}`, jobId).equals(await readRange(source, 0, source.size))) found.push(i);
    } catch { /* named among the problems */ }
  }
  return found;
}

function permutations(of: readonly number[]): readonly (readonly number[])[] {
  return of.length === 0 ? [[]] : of.flatMap((one) => permutations(of.filter((other) => other !== one)).map((rest) => [one, ...rest]));
}

test('a job is read in the order in which it used its volumes, whatever that is', async () => {
  for (const isSpooled of [false, true]) {
    for (const order of permutations([0, 1, 2, 3])) {
      const shelf = await Shelf.of(4);
      for (const _stored of run(X, order, shelf, isSpooled));
      const set = await shelf.open();
      assert.deepEqual(set.problems(), [], order.join());
      assert.deepEqual(await readable(set, X, 4), [0, 1, 2, 3], order.join());
      assert.deepEqual(set.jobs().map(({ files, complete }) => [files, complete]), [[4, true]]);
    }
  }
});

test('two jobs that change their volumes with each other', async () => {
  const shelf = await Shelf.of(2);
  const jobs = [run(X, [0, 1], shelf), run(Y, [1, 0], shelf)];
  for (let ended = false; !ended;) ended = jobs.map((job) => job.next().done === true).every(Boolean);
  const set = await shelf.open();
  assert.deepEqual(set.problems(), []);
  for (const job of [X, Y]) assert.deepEqual(await readable(set, job, 2), [0, 1]);
});

test('a volume that is missing is missed, in whatever order', async () => {
  for (const order of permutations([0, 1, 2, 3])) {
    for (const [i, lost] of order.entries()) {
      const shelf = await Shelf.of(4);
      for (const _stored of run(X, order, shelf));
      const set = await shelf.open((volume) => volume !== lost);
      assert.ok(set.problems().length > 0, `${order.join()} without ${lost}`);
      // Of the file before it the end is lost, too.
      assert.deepEqual(await readable(set, X, 4), [0, 1, 2, 3].filter((file) => file !== i && file !== i - 1), `${order.join()} without ${lost}`);
    }
  }
});
