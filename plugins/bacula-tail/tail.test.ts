/** Volume files as a storage daemon leaves them from one look to the next: growing, relabelled, recycled, renamed, damaged; restarts, also after the state was lost. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readRange } from '../../src/core/index.ts';
import { Repository, memoryWorld, nodeWorld } from '../../src/engine/index.ts';
import { fixtureVolume } from '../../src/formats/bacula/testdata/fixture.ts';
import { VolumeShelf, openStoredVolume } from '../../src/services/volumes/index.ts';
import { numberedBlocks } from '../../src/services/volumes/testing/numbered-volume.ts';
import { Tail, type FileProgress, type Troubles } from './tail.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-tail-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });

/** A directory that is followed; each round is another run of the program. */
class Followed {
  readonly directory: string;
  readonly stateFile: string;
  readonly repository: Repository;
  readonly notes: string[] = [];
  troubles: Troubles | undefined;

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
      const tail = new Tail(shelf, { directory: this.directory, stateFile: this.stateFile, note: (text) => { this.notes.push(text); } });
      const progress = await tail.round(true);
      this.troubles = tail.troubles;
      return progress;
    } finally {
      await shelf.close();
    }
  }

  async stored(name: string): Promise<Uint8Array> {
    const volume = await openStoredVolume(this.repository, name, 'h');
    const bytes = await readRange(volume, 0, volume.size);
    await volume.close();
    return bytes;
  }

  /** Lets a file look as if nobody had written it for long. */
  age(name: string): void {
    fs.utimesSync(this.file(name), 1_700_000_000, 1_700_000_000);
  }

  /** One round, after which the stored volume must be the file, but for `lag` bytes. */
  async expect(name: string, change: string | undefined, lag = 0): Promise<number> {
    const found = (await this.round()).find(({ volume }) => volume === name) ?? assert.fail(`${name} was followed`);
    assert.deepEqual([found.change, found.lagBytes, found.committedBytes], [change, lag, found.storedBytes]);
    const bytes = fs.readFileSync(this.file(name));
    assert.equal(Buffer.compare(await this.stored(name), bytes.subarray(0, bytes.length - lag)), 0);
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

test('a new volume with the inode of a deleted one is another, also when both are nothing but a label', async () => {
  for (const files of [5, 0]) {
    const followed = await Followed.open(`inode-${files}`);
    const blocks = (name: string, run: number, count: number): Promise<readonly Uint8Array[]> => numberedBlocks(name, count, run, 9000);
    const first = Buffer.concat(files === 0 ? (await blocks('VolA', 1, 0)).slice(0, 1) : await blocks('VolA', 1, files));
    fs.writeFileSync(followed.file('VolA'), first);
    await followed.expect('VolA', 'new');
    fs.renameSync(followed.file('VolA'), followed.file('VolB')); // keeps the inode, as a file system gives it to the next file
    fs.writeFileSync(followed.file('VolB'), Buffer.concat(files === 0 ? (await blocks('VolB', 2, 0)).slice(0, 1) : await blocks('VolB', 2, files + 3)));
    await followed.expect('VolB', 'new');
    assert.equal(Buffer.compare(await followed.stored('VolA'), first), 0, 'the deleted volume stays');
    assert.deepEqual(followed.notes, ["volume file 'VolA' is gone; what is stored of it stays"]);
  }
});

test('a damaged file leaves what is stored of it, and is said once', async () => {
  const good = Buffer.concat(await numberedBlocks('Vol', 5));
  const other = Buffer.concat(await numberedBlocks('Other', 3, 2));
  const flipped = Buffer.from(good);
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  const headless = Buffer.from(good);
  headless[12] = 0x58;
  const cases = { empty: Buffer.alloc(0), zeroes: Buffer.alloc(good.length), torn: good.subarray(0, 100), flipped, headless, other, text: Buffer.from('x'.repeat(90_000)) };
  for (const [kind, bytes] of Object.entries(cases)) {
    for (const hasState of [true, false]) {
      const followed = await Followed.open(`damage-${kind}-${String(hasState)}`);
      fs.writeFileSync(followed.file('Vol'), good);
      await followed.expect('Vol', 'new');
      fs.writeFileSync(followed.file('Vol'), bytes);
      if (!hasState) fs.rmSync(followed.stateFile);
      assert.equal((await followed.round())[0]?.change, 'kept', kind);
      assert.equal(Buffer.compare(await followed.stored('Vol'), good), 0, `${kind}: what was stored stays`);
      assert.deepEqual(followed.troubles, { kept: ['Vol'], doubtful: [] }, kind);
      assert.match(followed.notes.join('|'), /^volume file 'Vol' is not followed: [^|]* stays$/);
      fs.writeFileSync(followed.file('Vol'), good);
      await followed.round();
      assert.deepEqual([followed.troubles, Buffer.compare(await followed.stored('Vol'), good)], [{ kept: [], doubtful: [] }, 0], 'the file came back');
    }
  }
});

test('while it follows, damage is said at the second look and once; a recycled volume of Bacula is stored anew', async () => {
  const name = 'sparsegzip-0006';
  const followed = await Followed.open('recycled');
  const shelf = await VolumeShelf.open(followed.repository, { spool: path.dirname(followed.stateFile), host: 'h' });
  const tail = new Tail(shelf, { directory: followed.directory, stateFile: followed.stateFile, note: (text) => { followed.notes.push(text); } });
  const changes = async (): Promise<readonly unknown[]> => (await tail.round(false)).map(({ change }) => change);
  const written = await fixtureVolume('sparsegzip');
  fs.writeFileSync(followed.file(name), written);
  assert.deepEqual(await changes(), ['new']);
  fs.truncateSync(followed.file(name), 0);
  assert.deepEqual([await changes(), await changes(), followed.notes], [[], [], []], 'just truncated: its label will come');
  const recycled = await numberedBlocks(name, 12, 7);
  fs.writeFileSync(followed.file(name), recycled[0] as Uint8Array);
  assert.deepEqual(await changes(), ['replaced']);
  fs.appendFileSync(followed.file(name), Buffer.concat(recycled.slice(1)));
  assert.deepEqual(await changes(), ['grown']);
  fs.writeFileSync(followed.file(name), new Uint8Array(written.length));
  assert.deepEqual([await changes(), followed.notes.length], [[], 0], 'the daemon may be writing');
  assert.deepEqual([await changes(), followed.notes.length], [['kept'], 1]);
  fs.appendFileSync(followed.file(name), 'more');
  assert.deepEqual([await changes(), followed.notes.length], [['kept'], 1], 'said once');
  await shelf.close();
  assert.equal(Buffer.compare(await followed.stored(name), Buffer.concat(recycled)), 0);
  fs.writeFileSync(followed.file(name), written);
  await followed.expect(name, 'replaced');
});

test('files that are no volumes are said, those that may become one are waited for', async () => {
  const followed = await Followed.open('doubtful');
  const good = Buffer.concat(await numberedBlocks('Vol', 2));
  const flipped = Buffer.from(good);
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  const headless = Buffer.from(good);
  headless[12] = 0x58;
  for (const [name, bytes] of Object.entries({ empty: Buffer.alloc(0), flipped, headless, torn: good.subarray(0, 100), text: Buffer.from('no volume at all, but a text') })) fs.writeFileSync(followed.file(name), bytes);
  fs.mkdirSync(followed.file('lost+found'));
  assert.deepEqual((await followed.round()).map(({ volume }) => volume), ['flipped']);
  assert.equal(Buffer.compare(await followed.stored('flipped'), flipped), 0, 'a damaged label is kept as it is');
  assert.deepEqual(followed.troubles, { kept: [], doubtful: ['flipped', 'headless', 'text'] });
  for (const name of ['empty', 'torn']) followed.age(name);
  await followed.round();
  assert.deepEqual(followed.troubles, { kept: [], doubtful: ['empty', 'flipped', 'headless', 'text', 'torn'] }, 'nobody writes them any more');
});

test('the exit code of --once tells of files that are not followed', async () => {
  const [archive, repository] = [path.join(root, 'exit', 'archive'), path.join(root, 'exit', 'repository')];
  fs.mkdirSync(archive, { recursive: true });
  await (await Repository.create(nodeWorld(repository), {}, { index: 'memory', workers: 0 })).close();
  const once = (): readonly [number | null, string] => {
    const main = fileURLToPath(new URL('main.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [main, '--repo', repository, '--spool', path.join(root, 'exit', 'spool'), '--once', archive], { encoding: 'utf8' });
    return [status, stderr];
  };
  fs.writeFileSync(path.join(archive, 'Vol'), Buffer.concat(await numberedBlocks('Vol', 3)));
  assert.deepEqual(once(), [0, '']);
  fs.writeFileSync(path.join(archive, 'text'), 'no volume at all, but a text');
  assert.deepEqual(once(), [3, "file 'text' is passed over: it does not begin with a block of a volume\n"]);
  fs.truncateSync(path.join(archive, 'Vol'), 0);
  const [status, stderr] = once();
  assert.equal(status, 1);
  assert.match(stderr, /volume file 'Vol' is not followed: it is empty; what is stored of it stays/);
});
