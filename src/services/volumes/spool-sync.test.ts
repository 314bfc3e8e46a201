/**
 * The spool on a disk that keeps nothing but what was synced, and of the rest what a seed says: names, and sectors of 512 bytes. The power goes before every sync, and after
 * every promise. What was promised must be there, and rot in it must be refused. Without any one of the syncs this must not hold, or the test looks too little.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { readLayers } from './frozen-volume.ts';
import { VolumeSpool } from './volume-spool.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-sync-'));
const shelf = { id: 'shelf', note: () => undefined };
/** Where the power came back. */
const target = path.join(root, 'cut');
const SECTOR = 512;
/** Outcomes of each cut: nothing unsynced is kept, and two that are mixed. */
const OUTCOMES = 3;
const STEPS = 30;

type Handle = fs.promises.FileHandle;
type HandlePrototype = { sync(this: Handle): Promise<void>; datasync(this: Handle): Promise<void> };

const pathOf = new WeakMap<Handle, string>();
const { open } = fs.promises;
const first = await open(root);
const prototype = Object.getPrototypeOf(first) as HandlePrototype;
await first.close();
const real = { sync: prototype.sync, datasync: prototype.datasync };
/** Told of each sync; nothing here is synced in earnest. */
let onSync: (file: string) => Promise<void> = async () => {};

fs.promises.open = async (file, flags, mode) => {
  const handle = await open(file, flags, mode);
  pathOf.set(handle, String(file));
  return handle;
};
prototype.sync = prototype.datasync = function sync() { return onSync(pathOf.get(this) ?? ''); };
after(() => {
  fs.promises.open = open;
  Object.assign(prototype, real);
  fs.rmSync(root, { recursive: true, force: true });
});

/** Which syncs a disk only pretends to make. */
type Lie = RegExp | undefined;

/** What is durable of a directory and all below it. */
class Durable {
  readonly top: string;
  readonly #lie: Lie;
  readonly #names = new Map<string, readonly string[]>();
  readonly #content = new Map<string, Buffer>();

  constructor(top: string, lie: Lie) {
    this.top = top;
    this.#lie = lie;
  }

  keep(file: string): void {
    if (this.#lie?.test(file) === true) return;
    if (fs.statSync(file).isDirectory()) this.#names.set(file, fs.readdirSync(file));
    else this.#content.set(file, fs.readFileSync(file));
  }

  /** Makes {@link target} what is there after the power came back; without `next` nothing that was not synced. */
  restore(next?: () => number, to: string = target, from: string = this.top): void {
    fs.mkdirSync(to);
    const isKept = (): boolean => next !== undefined && next() < 0.5;
    for (const name of isKept() ? fs.readdirSync(from) : this.#names.get(from) ?? []) {
      const file = path.join(from, name);
      if (fs.statSync(file).isDirectory()) this.restore(next, path.join(to, name), file);
      else fs.writeFileSync(path.join(to, name), mixed(this.#content.get(file) ?? Buffer.alloc(0), fs.readFileSync(file), isKept));
    }
  }
}

function mixed(before: Buffer, now: Buffer, isKept: () => boolean): Buffer {
  const result = Buffer.alloc(isKept() ? now.length : before.length);
  before.copy(result);
  for (let at = 0; at < result.length; at += SECTOR) if (isKept()) now.copy(result, at, at, Math.min(at + SECTOR, now.length));
  return result;
}

async function contentOf(spool: VolumeSpool): Promise<Buffer> {
  const bytes = Buffer.alloc(spool.size);
  await readLayers(spool.layers, 0, bytes);
  return bytes;
}

/** One run: a spool that is used, and all that the power did to it. */
class Run {
  readonly broken: string[] = [];
  cuts = 0;
  readonly #disk: Durable;
  readonly #seed: number;
  readonly #states: Buffer[] = [Buffer.alloc(0)];
  /** The state that was promised last. */
  #promised = 0;

  constructor(lie: Lie, seed: number) {
    const top = fs.mkdtempSync(path.join(root, 'disk-'));
    this.#disk = new Durable(top, lie);
    this.#seed = seed;
  }

  async work(): Promise<void> {
    const next = seededRandom(this.#seed);
    onSync = async (file) => {
      if (file.startsWith(target)) return; // of a spool that is looked at
      await this.cut();
      this.#disk.keep(file);
    };
    const spool = await VolumeSpool.open(path.join(this.#disk.top, 'volume'), undefined, shelf);
    for (let step = 0; step < STEPS; step += 1) {
      const dice = next();
      if (dice < 0.55) await this.#changed(spool, spool.write(Math.floor(next() * 6000), seededBytes(1 + Math.floor(next() * 3000), step), 1));
      else if (dice < 0.65) await this.#changed(spool, spool.truncate(Math.floor(next() * 8000), 1));
      else if (dice < 0.9) await this.#promise(spool.sync());
      else await this.#promise(spool.freeze().then(() => { spool.thaw(); })); // a commit that failed: all logs stay
    }
    await this.#promise(spool.sync());
    await this.#rot();
    await spool.close(false);
  }

  async #changed(spool: VolumeSpool, change: Promise<void>): Promise<void> {
    await change;
    this.#states.push(await contentOf(spool));
  }

  async #promise(done: Promise<void>): Promise<void> {
    await done;
    this.#promised = this.#states.length - 1;
    await this.cut();
  }

  /** The power goes. */
  async cut(): Promise<void> {
    this.cuts += 1;
    for (let outcome = 0; outcome < OUTCOMES && this.broken.length === 0; outcome += 1) {
      this.#disk.restore(outcome === 0 ? undefined : seededRandom(this.#seed * 1000 + this.cuts * OUTCOMES + outcome));
      await this.#look(`cut ${this.cuts}, outcome ${outcome}`);
    }
  }

  /** A byte that was promised rots, and the power goes. */
  async #rot(): Promise<void> {
    this.#disk.restore();
    const files = fs.existsSync(path.join(target, 'volume')) ? fs.readdirSync(path.join(target, 'volume')) : [];
    const last = files.filter((name) => name.endsWith('.data') && fs.statSync(path.join(target, 'volume', name)).size > 0).sort().at(-1);
    if (last !== undefined) {
      const file = path.join(target, 'volume', last);
      const bytes = fs.readFileSync(file);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      fs.writeFileSync(file, bytes);
    }
    await this.#look('rot', last !== undefined);
  }

  async #look(where: string, mayRefuse = false): Promise<void> {
    try {
      const spool = await VolumeSpool.open(path.join(target, 'volume'), undefined, shelf);
      const found = await contentOf(spool);
      await spool.close(false);
      const state = this.#states.findLastIndex((one) => one.equals(found));
      if (state < this.#promised) this.broken.push(`${where}: state ${state} of ${this.#states.length}, ${this.#promised} was promised`);
    } catch (error) {
      if (!mayRefuse) this.broken.push(`${where}: ${String(error)}`);
    } finally {
      fs.rmSync(target, { recursive: true, force: true });
    }
  }
}

async function runOf(lie: Lie, seed: number): Promise<Run> {
  const run = new Run(lie, seed);
  await run.work();
  return run;
}

test('what was synced is there after the power went at any sync, and rot in it is refused', async (t) => {
  let cuts = 0;
  for (const seed of [1, Number(process.env['HOLDFAST_SEED'] ?? 2)]) {
    const run = await runOf(undefined, seed);
    assert.deepEqual(run.broken, [], `HOLDFAST_SEED=${seed}`);
    cuts += run.cuts;
  }
  assert.ok(cuts > 50, `${cuts} cuts`);
  t.diagnostic(`${cuts} power cuts, ${OUTCOMES} outcomes each`);
});

const syncs: readonly (readonly [string, RegExp])[] = [
  ["a log's data", /\.data$/], ["a log's operations", /\.operations$/], ["a log's marker", /\.synced$/], ["a log's names", /\/volume$/], ["the spool's name", /\/disk-[^/]+$/],
];
for (const [what, files] of syncs) {
  test(`it is noticed when ${what} ${what.endsWith('s') || what.endsWith('data') ? 'are' : 'is'} not synced`, async () => {
    const broken: string[] = [];
    for (let seed = 1; seed <= 4 && broken.length === 0; seed += 1) broken.push(...(await runOf(files, seed)).broken);
    assert.ok(broken.length > 0);
  });
}
