/**
 * Power cuts at every disk operation of a log index. The disk here keeps what was synced; of the rest each write is
 * dropped, kept or torn at 512 bytes, and each change of a name is dropped or kept, as a seed says.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idToHex, ID_BYTES, NotFoundError, PLACE_BYTES, BusyError } from '../../../core/index.ts';
import { sampleIds } from '../../../core/conformance/chunk-index.ts';
import type { ChunkIndex, Disk, DiskEntry, DiskFile, DiskLock } from '../../../core/index.ts';
import { openLogIndex } from './log-index.ts';

const options = { tableEntries: 16, filterBytesMax: 256 };

class PowerCut extends Error {}

/** Small seeded generator (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let x = Math.imul(state ^ state >>> 15, 1 | state);
    x = x + Math.imul(x ^ x >>> 7, 61 | x) ^ x;
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
  };
}

type Change = (bytes: Uint8Array) => Uint8Array;

function writing(offset: number, data: Uint8Array): Change {
  return (bytes) => {
    const result = new Uint8Array(Math.max(bytes.length, offset + data.length));
    result.set(bytes);
    result.set(data, offset);
    return result;
  };
}

function resizing(size: number): Change {
  return (bytes) => {
    const result = new Uint8Array(size);
    result.set(bytes.subarray(0, size));
    return result;
  };
}

class Inode {
  durable: Uint8Array = new Uint8Array(0);
  now: Uint8Array = new Uint8Array(0);
  pending: Change[] = [];

  apply(change: Change): void {
    this.now = change(this.now);
    this.pending.push(change);
  }
}

interface NameChange { readonly name: string; readonly inode: Inode | undefined }

/** What a disk only pretends to sync: files whose name contains the text, or names in directories. */
type Lie = 'seg-' | 'wal-' | 'CURRENT-' | 'directory' | undefined;

/** The operation numbered `cutAt` and all later ones fail. */
class CrashDisk implements Disk {
  operations = 0;
  readonly #cutAt: number;
  readonly #lie: Lie;
  #durable: ReadonlyMap<string, Inode>;
  #names: Map<string, Inode>;
  #pending: NameChange[] = [];

  constructor(cutAt = Number.POSITIVE_INFINITY, lie: Lie = undefined, names: ReadonlyMap<string, Inode> = new Map()) {
    this.#cutAt = cutAt;
    this.#lie = lie;
    this.#durable = names;
    this.#names = new Map(names);
  }

  step(): void {
    this.operations += 1;
    if (this.operations >= this.#cutAt) throw new PowerCut(`power cut at operation ${this.#cutAt}`);
  }

  liesAbout(name: string): boolean {
    return this.#lie !== undefined && name.includes(this.#lie);
  }

  /** The disk after the power is back. */
  afterCrash(seed: number): CrashDisk {
    const next = random(seed);
    const names = new Map(this.#durable);
    for (const { name, inode } of this.#pending) {
      if (next() < 0.5) continue;
      if (inode === undefined) names.delete(name);
      else names.set(name, inode);
    }
    const survivors = new Map<string, Inode>();
    for (const [name, inode] of names) {
      const copy = new Inode();
      copy.durable = inode.durable;
      for (const change of inode.pending) {
        const chance = next();
        if (chance < 0.4) copy.durable = change(copy.durable);
        else if (chance < 0.7) copy.durable = torn(copy.durable, change, next);
      }
      copy.now = copy.durable;
      survivors.set(name, copy);
    }
    return new CrashDisk(Number.POSITIVE_INFINITY, undefined, survivors);
  }

  #change(name: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#names.delete(name);
    else this.#names.set(name, inode);
    this.#pending.push({ name, inode });
  }

  async open(name: string): Promise<DiskFile> {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new NotFoundError(`Open '${name}': no such file`);
    return new CrashFile(this, inode, name);
  }

  async create(name: string): Promise<DiskFile> {
    this.step();
    if (this.#names.has(name)) throw new BusyError(`Create '${name}': it exists already`);
    const inode = new Inode();
    this.#change(name, inode);
    return new CrashFile(this, inode, name);
  }

  async remove(name: string): Promise<void> {
    this.step();
    this.#change(name, undefined);
  }

  async removeTree(name: string): Promise<void> {
    for (const key of this.#names.keys()) if (key.startsWith(`${name}/`)) await this.remove(key);
  }

  async list(name: string): Promise<readonly DiskEntry[]> {
    return [...this.#names].filter(([key]) => key.startsWith(`${name}/`))
      .map(([key, inode]) => ({ name: key.slice(name.length + 1), directory: false, size: inode.now.length, modified: 0 }));
  }

  async syncDirectory(): Promise<void> {
    this.step();
    if (this.liesAbout('directory')) return;
    this.#durable = new Map(this.#names);
    this.#pending = [];
  }

  async makeDirectory(): Promise<void> {}

  async exists(name: string): Promise<boolean> {
    return this.#names.has(name);
  }

  async lock(): Promise<DiskLock> {
    return { isHeld: async () => true, release: async () => {} };
  }

  nativePath(): undefined {
    return undefined;
  }

  async rename(): Promise<void> {
    assert.fail('the log index renames nothing');
  }

  async link(): Promise<void> {
    assert.fail('the log index links nothing');
  }
}

/** Only some 512-byte sectors of one change reach the disk. */
function torn(before: Uint8Array, change: Change, next: () => number): Uint8Array {
  const after = change(before);
  const result = new Uint8Array(after.length);
  result.set(before.subarray(0, after.length));
  for (let at = 0; at < after.length; at += 512) if (next() < 0.5) result.set(after.subarray(at, at + 512), at);
  return result;
}

class CrashFile implements DiskFile {
  readonly #disk: CrashDisk;
  readonly #inode: Inode;
  readonly #name: string;

  constructor(disk: CrashDisk, inode: Inode, name: string) {
    this.#disk = disk;
    this.#name = name;
    this.#inode = inode;
  }

  get size(): number {
    return this.#inode.now.length;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    if (offset + target.length > this.size) throw new RangeError(`Read: '${offset}+${target.length}' leaves '${this.size}'`);
    target.set(this.#inode.now.subarray(offset, offset + target.length));
  }

  async writeFrom(offset: number, ...parts: readonly Uint8Array[]): Promise<void> {
    this.#disk.step();
    this.#inode.apply(writing(offset, new Uint8Array(Buffer.concat(parts))));
  }

  async truncate(size: number): Promise<void> {
    this.#disk.step();
    this.#inode.apply(resizing(size));
  }

  async sync(): Promise<void> {
    this.#disk.step();
    if (this.#disk.liesAbout(this.#name)) return;
    this.#inode.durable = this.#inode.now;
    this.#inode.pending = [];
  }

  async close(): Promise<void> {}
}

/** The states after each step of the workload, as text; the state that was durable at the last flush. */
interface Progress { readonly states: string[]; flushed: number }

function textOf(content: ReadonlyMap<string, number>, mark: number): string {
  return JSON.stringify([[...content].sort((a, b) => (a[0] < b[0] ? -1 : 1)), mark]);
}

async function stateOf(index: ChunkIndex): Promise<string> {
  const content = new Map<string, number>();
  for await (const { ids, places } of index.scan()) {
    const view = new DataView(places.buffer, places.byteOffset);
    for (let i = 0; i < ids.count; i += 1) content.set(idToHex(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)), view.getUint32(i * PLACE_BYTES));
  }
  return textOf(content, (await index.watermarks())[0]?.offset ?? 0);
}

async function work(disk: Disk, progress: Progress): Promise<void> {
  const index = await openLogIndex(disk, 'write', options);
  const content = new Map<string, number>();
  let mark = 0;
  for (let step = 1; step <= 40; step += 1) {
    const numbers = [0, 1, 2, 3, 4].map((i) => (step * 3 + i * 17) % 120);
    const ids = sampleIds(numbers);
    const names = numbers.map((_, i) => idToHex(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)));
    if (step % 5 === 0) {
      for (const name of names) content.delete(name);
      progress.states.push(textOf(content, mark));
      await index.deleteMany(ids);
    } else {
      mark = step;
      for (const name of names) content.set(name, step);
      const places = new Uint8Array(numbers.length * PLACE_BYTES);
      const view = new DataView(places.buffer);
      numbers.forEach((_, i) => view.setUint32(i * PLACE_BYTES, step));
      progress.states.push(textOf(content, mark));
      await index.putMany(ids, places, [{ container: '00000000000000aa', offset: step, sealed: false }]);
    }
    if (step % 4 !== 0) continue;
    await index.flush();
    progress.flushed = progress.states.length - 1;
  }
  await index.close();
}

interface Cut { readonly disk: CrashDisk; readonly progress: Progress; readonly cut: boolean }

/** Runs the workload until the power goes. */
async function runUntil(cutAt: number, lie?: Lie): Promise<Cut> {
  const disk = new CrashDisk(cutAt, lie);
  const progress: Progress = { states: [textOf(new Map(), 0)], flushed: 0 };
  try {
    await work(disk, progress);
    return { disk, progress, cut: false };
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
    return { disk, progress, cut: true };
  }
}

/** Opens what the crash left, twice. Undefined when all is well, else what is wrong. */
async function examine({ disk, progress }: Cut, seed: number): Promise<string | undefined> {
  const survivor = disk.afterCrash(seed);
  for (const round of ['first', 'second']) {
    try {
      const index = await openLogIndex(survivor, 'write', options);
      const state = await stateOf(index);
      await index.close();
      const found = progress.states.lastIndexOf(state);
      if (found < progress.flushed) return `${round} open: state ${found} of ${progress.states.length}, flushed was ${progress.flushed}`;
    } catch (error) {
      // Before the first flush an index that must be rebuilt is an older state like any other.
      return progress.flushed > 0 ? `${round} open: ${String(error)}` : undefined;
    }
  }
  return undefined;
}

test('a power cut at any operation leaves the flushed state or a newer one', async () => {
  let cutAt = 1;
  for (let cut = true; cut; cutAt += 1) {
    const crash = await runUntil(cutAt);
    for (let seed = 1; seed <= 6; seed += 1) assert.equal(await examine(crash, seed), undefined, `runUntil(${cutAt}), seed ${seed}`);
    ({ cut } = crash);
  }
  assert.ok(cutAt > 100, `the workload has only ${cutAt} operations`);
});

for (const lie of ['seg-', 'wal-', 'CURRENT-', 'directory'] as const) {
  test(`the check above is sensitive: without the syncs of '${lie}' it finds losses`, async () => {
    let losses = 0;
    for (let cutAt = 20; cutAt < 100; cutAt += 1) if (await examine(await runUntil(cutAt, lie), cutAt) !== undefined) losses += 1;
    assert.ok(losses > 0);
  });
}
