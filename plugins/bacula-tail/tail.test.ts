/** Volume files as a storage daemon leaves them from one look to the next: growing, relabelled, recycled, renamed; restarts, also after the state was lost. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { readRange } from '../../src/core/index.ts';
import { Repository, memoryWorld } from '../../src/engine/index.ts';
import { VolumeShelf, openStoredVolume } from '../../src/services/volumes/index.ts';
import { numberedBlocks } from '../../src/services/volumes/testing/numbered-volume.ts';
import { Tail, type FileProgress } from './tail.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-tail-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });

/** A directory that is followed; each round is another run of the program. */
class Followed {
  readonly directory: string;
  readonly stateFile: string;
  readonly repository: Repository;
  readonly notes: string[] = [];

  private constructor(name: string, repository: Repository) {
    this.directory = path.join(root, name, 'archive');
    this.stateFile = path.join(root, name, 'spool', 'tail.json');
    this.repository = repository;
    fs.mkdirSync(this.directory, { recursive: true });
  }

  static async open(name: string): Promise<Followed> {
    return new Followed(name, await Repository.create(memoryWorld(), {}, { index: 'memory', workers: 0 }));
  }

  file(name: string): string {
    return path.join(this.directory, name);
  }

  async round(): Promise<readonly FileProgress[]> {
    const shelf = await VolumeShelf.open(this.repository, { spool: path.dirname(this.stateFile), host: 'h' });
    try {
      return await new Tail(shelf, { directory: this.directory, stateFile: this.stateFile, note: (text) => { this.notes.push(text); } }).round(true);
    } finally {
      await shelf.close();
    }
  }

  /** One round, after which the stored volume must be the file, but for `lag` bytes. */
  async expect(name: string, change: string | undefined, lag = 0): Promise<number> {
    const found = (await this.round()).find(({ volume }) => volume === name) ?? assert.fail(`${name} was followed`);
    assert.deepEqual([found.change, found.lagBytes, found.committedBytes], [change, lag, found.storedBytes]);
    const stored = await openStoredVolume(this.repository, name, 'h');
    const bytes = fs.readFileSync(this.file(name));
    assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), bytes.subarray(0, bytes.length - lag)), 0);
    await stored.close();
    const snapshots = (await this.repository.snapshots()).filter(({ sources }) => sources[0] === `volume:${name}`);
    return snapshots[0]?.counts.bytesNew ?? 0;
  }
}

test('a volume is followed while it grows, by whole blocks', async () => {
  const followed = await Followed.open('grow');
  const [label, ...blocks] = await numberedBlocks('Vol', 60);
  fs.writeFileSync(followed.file('notes.txt'), 'no volume');
  fs.mkdirSync(followed.file('lost+found'));
  fs.writeFileSync(followed.file('Vol'), label as Uint8Array);
  await followed.expect('Vol', 'new');
  await followed.expect('Vol', undefined);
  for (const [i, block] of blocks.entries()) {
    const part = Math.min(block.length - 1, 1 + i * 3000);
    fs.appendFileSync(followed.file('Vol'), block.subarray(0, part));
    await followed.expect('Vol', undefined, part);
    fs.appendFileSync(followed.file('Vol'), block.subarray(part));
    await followed.expect('Vol', 'grown');
  }
  await followed.expect('Vol', undefined);
  assert.deepEqual((await followed.round()).map(({ volume }) => volume), ['Vol'], 'other files are left alone');
});

test('a new label costs the label, a recycled volume is stored anew', async () => {
  const followed = await Followed.open('label');
  const blocks = await numberedBlocks('Vol', 60);
  fs.writeFileSync(followed.file('Vol'), Buffer.concat(blocks));
  await followed.expect('Vol', 'new');
  const [label] = await numberedBlocks('Vol', 0, 8);
  const file = fs.openSync(followed.file('Vol'), 'r+');
  fs.writeSync(file, label as Uint8Array, 0, (label as Uint8Array).length, 0);
  fs.closeSync(file);
  assert.ok(await followed.expect('Vol', 'relabelled') < 1000);
  fs.writeFileSync(followed.file('Vol'), Buffer.concat(await numberedBlocks('Vol', 90, 9)));
  await followed.expect('Vol', 'replaced');
  fs.truncateSync(followed.file('Vol'), (label as Uint8Array).length);
  await followed.expect('Vol', 'replaced');
});

test('a renamed file is the same volume; a deleted one stays', async () => {
  const followed = await Followed.open('rename');
  fs.writeFileSync(followed.file('Old'), Buffer.concat(await numberedBlocks('Old', 20)));
  await followed.expect('Old', 'new');
  fs.renameSync(followed.file('Old'), followed.file('New'));
  assert.ok(await followed.expect('New', undefined) < 1000, 'nothing but its name was stored');
  assert.equal((await followed.repository.snapshots()).length, 1);
  fs.rmSync(followed.file('New'));
  assert.deepEqual(await followed.round(), []);
  assert.ok((await openStoredVolume(followed.repository, 'New', 'h')).size > 0);
  assert.match(followed.notes.join('\n'), /'Old' is now 'New'[\s\S]*'New' is gone/);
});

test('without its state everything is looked at again, and nothing stored twice', async () => {
  const followed = await Followed.open('state');
  fs.writeFileSync(followed.file('Vol'), Buffer.concat(await numberedBlocks('Vol', 60)));
  await followed.expect('Vol', 'new');
  const before = (await followed.repository.statistics()).bytesStored;
  fs.rmSync(followed.stateFile);
  await followed.expect('Vol', 'new');
  assert.ok((await followed.repository.statistics()).bytesStored - before < 2000);
});
