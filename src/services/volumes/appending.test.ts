/** Volumes that threads append to while the main thread writes, cuts, reads, syncs and commits: always what was written, and nothing twice. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { ToolError } from '../../core/index.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { Repository, memoryWorld } from '../../engine/index.ts';
import { attributesLayout, attrOut, entryOut, opcodes, openIn, openOut, setattrIn } from '../../exports/fuse/abi.layout.ts';
import { LanePool, LaneThread } from '../../exports/fuse/append-lane.ts';
import { dieInWrite } from '../../exports/fuse/testing/dead-thread.ts';
import { nameBytes, rangeBody, requestBytes, writeRequest, type RequestWish } from '../../exports/fuse/testing/requests.ts';
import { decodeRequest } from '../../exports/fuse/request.ts';
import { Lent, Refusal, StoreFilesystem, type Reply } from '../../exports/index.ts';
import { readLayers } from './frozen-volume.ts';
import { VolumeShelf, type ShelfOptions } from './shelf.ts';
import { VolumeSpool } from './volume-spool.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-appending-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });
let spools = 0;

/** A shelf under a filesystem, and requests to it as threads of a session treat them. */
class Rig {
  readonly shelf: VolumeShelf;
  readonly handler: StoreFilesystem;
  readonly thread: LaneThread;
  /** Writes that went through a lane. */
  appended = 0;

  constructor(shelf: VolumeShelf) {
    this.shelf = shelf;
    this.handler = new StoreFilesystem(shelf, { uid: 0, gid: 0, mode: 0o640 });
    this.thread = new LaneThread(this.handler.settings.lanes ?? []);
  }

  static async open(options: Partial<ShelfOptions> = {}): Promise<Rig> {
    spools += 1;
    const repository = await Repository.create(memoryWorld(1), {}, { index: 'memory', workers: 0 });
    return new Rig(await VolumeShelf.open(repository, { spool: path.join(root, `${spools}`), host: 'h', ...options }));
  }

  async ask(opcode: number, wish: RequestWish = {}): Promise<Buffer> {
    return bytesOf(await this.handler.handle(decodeRequest(requestBytes(opcode, wish))));
  }

  async create(name: string): Promise<{ readonly node: number; readonly handle: number }> {
    const reply = await this.ask(opcodes.create, { body: [new Uint8Array(16), nameBytes(name)] });
    return { node: entryOut.view(reply).nodeid, handle: openOut.view(reply, entryOut.size + attributesLayout.size).fh };
  }

  async open(node: number): Promise<number> {
    return openOut.view(await this.ask(opcodes.open, { node, body: [openIn.encode({ flags: 0, open_flags: 0 })] })).fh;
  }

  async write(handle: number, offset: number, data: Uint8Array): Promise<void> {
    const request = writeRequest(handle, offset, data);
    if (this.thread.append(request) === undefined) bytesOf(await this.handler.handle(decodeRequest(request)));
    else this.appended += 1;
  }

  read(handle: number, offset: number, size: number): Promise<Buffer> {
    return this.ask(opcodes.read, { body: [rangeBody(handle, offset, size)] });
  }

  async size(node: number): Promise<number> {
    return attributesLayout.view(await this.ask(opcodes.getattr, { node, body: [new Uint8Array(16)] }), attrOut.size).size;
  }

  async resize(node: number, size: number): Promise<void> {
    const none = { padding: 0, fh: 0, lock_owner: new Uint8Array(8), atime: 0, mtime: 0, ctime: 0, atimensec: 0, mtimensec: 0, ctimensec: 0, unused4: 0, uid: 0, gid: 0, unused5: 0 };
    await this.ask(opcodes.setattr, { node, body: [setattrIn.encode({ ...none, valid: 8, size, mode: 0 })] });
  }

  async onHandle(opcode: number, handle: number): Promise<void> {
    await this.ask(opcode, { body: [openOut.encode({ fh: handle, open_flags: 0, padding: 0 }), new Uint8Array(8)] });
  }
}

function bytesOf(reply: Reply): Buffer {
  assert.ok(!(reply instanceof Refusal));
  if (reply === 'none') return Buffer.alloc(0);
  if (!(reply instanceof Lent)) return reply instanceof Uint8Array ? Buffer.from(reply) : Buffer.concat(reply);
  const copy = Buffer.concat(reply.parts);
  reply.release();
  return copy;
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), at: fc.constant(1), count: fc.integer({ min: 1, max: 8 }), second: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('write' as const, 'size' as const), at: fc.double({ min: 0, max: 1.1, noNaN: true }), count: fc.constant(1), second: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), at: fc.double({ min: 0, max: 1, noNaN: true }), count: fc.integer({ min: 1, max: 30 }), second: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('sync' as const, 'look' as const, 'commit' as const, 'later' as const, 'reopen' as const), at: fc.constant(0), count: fc.constant(1), second: fc.boolean() }) },
);

test('any mix of appends and everything else through two handles gives what a plain file gives', async () => {
  let appended = 0;
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
    const rig = await Rig.open({ commitBytes: 300_000, segmentBytes: 200_000 });
    const { node, handle } = await rig.create('Vol');
    const handles = [handle, await rig.open(node)];
    const behind = await rig.shelf.open('Vol');
    let model = Buffer.alloc(0);
    const write = async (used: number, at: number, data: Uint8Array): Promise<void> => {
      await rig.write(used, at, data);
      model = Buffer.concat([model.subarray(0, at), Buffer.alloc(Math.max(0, at - model.length)), data, model.subarray(at + data.length)]);
    };
    for (const [i, { kind, at, count, second }] of steps.entries()) {
      const used = handles[second ? 1 : 0] as number;
      const place = Math.floor(at * model.length);
      if (kind === 'append') for (let n = 0; n < count; n += 1) await write(used, model.length, seededBytes(20_000 + n, i));
      else if (kind === 'write') await write(used, place, seededBytes(9000, i));
      else if (kind === 'sync') await rig.onHandle(opcodes.fsync, used);
      else if (kind === 'look') assert.equal(await rig.size(node), model.length);
      else if (kind === 'commit') await behind.commit();
      else if (kind === 'later') void behind.commit();
      else if (kind === 'size') {
        await rig.resize(node, place);
        model = Buffer.concat([model.subarray(0, place), Buffer.alloc(Math.max(0, place - model.length))]);
      } else if (kind === 'reopen') {
        await rig.onHandle(opcodes.release, used);
        handles[second ? 1 : 0] = await rig.open(node);
      } else {
        // A reader that follows the end: its windows must not hide what is appended between two reads.
        for (let n = 0, from = place; n < count && from < model.length; n += 1, from += 15_000) {
          assert.ok((await rig.read(used, from, 15_000)).equals(model.subarray(from, from + 15_000)), `read at ${from}`);
          if (n % 4 === 3) await write(handles[0] as number, model.length, seededBytes(12_000, n));
        }
      }
    }
    const found = new Uint8Array(behind.size);
    await behind.readInto(0, found);
    assert.equal(Buffer.compare(found, model), 0);
    appended += rig.appended;
    for (const used of handles) await rig.onHandle(opcodes.release, used);
    await behind.close();
    await rig.shelf.close();
  }), { numRuns: 30 });
  assert.ok(appended > 300, `only ${appended} writes went through lanes`);
});

test('a thread that appends while the main thread syncs, commits, reads and asks', async (t) => {
  const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1e6);
  t.diagnostic(`HOLDFAST_SEED=${seed}`);
  const random = seededRandom(seed);
  const count = 3000;
  const expected = Buffer.concat(Array.from({ length: count }, (_, i) => seededBytes(1 + (i * 7919) % 6000, i)));
  const rig = await Rig.open({ commitBytes: 2 ** 40 });
  const { node, handle } = await rig.create('Vol');
  const volume = await rig.shelf.open('Vol');
  const answered = new SharedArrayBuffer(4);
  const answers = new Int32Array(answered);
  const worker = new Worker(new URL('./testing/lane-writer.js', import.meta.url), { workerData: { lanes: rig.handler.settings.lanes, handle, count, answered } });
  let asked = -1;
  const done = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => { resolve(); });
    worker.on('message', (message: Uint8Array | number) => {
      if (typeof message === 'number') {
        asked = message;
        return;
      }
      void Promise.resolve(rig.handler.handle(decodeRequest(Buffer.from(message)))).then(() => {
        Atomics.add(answers, 0, 1);
        Atomics.notify(answers, 0);
      }, reject);
    });
  });
  while (asked < 0) {
    const size = await rig.size(node);
    const from = Math.floor(random() * size);
    const piece = await rig.read(handle, from, 20_000);
    assert.ok(piece.length >= Math.min(20_000, size - from) && piece.equals(expected.subarray(from, from + piece.length)), `read at ${from}`);
    if (random() < 0.3) await volume.sync();
    if (random() < 0.05) await volume.commit();
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  await done;
  assert.equal(await rig.size(node), expected.length);
  const found = new Uint8Array(volume.size);
  await volume.readInto(0, found);
  assert.equal(Buffer.compare(found, expected), 0);
  t.diagnostic(`${asked} of ${count} asked the main thread`);
  assert.ok(asked < count, 'no lane was used');
  await rig.onHandle(opcodes.release, handle);
  await volume.close();
  await rig.shelf.close();
});

test('what was appended is in the spool after fsync, for whoever finds it', async () => {
  const rig = await Rig.open();
  const { handle } = await rig.create('Vol');
  const blocks = Array.from({ length: 5 }, (_, i) => seededBytes(5000, i));
  for (const [i, block] of blocks.entries()) await rig.write(handle, i * 5000, block);
  assert.equal(rig.appended, 4);
  await rig.onHandle(opcodes.fsync, handle);
  // What the process would leave if it were killed now.
  const copy = path.join(root, 'copy');
  fs.cpSync(path.join(root, `${spools}`, 'volume-Vol'), copy, { recursive: true });
  const recovered = await VolumeSpool.open(copy, undefined, { id: 'other', note: () => undefined });
  const found = new Uint8Array(recovered.size);
  await readLayers(recovered.layers, 0, found);
  assert.equal(Buffer.compare(found, Buffer.concat(blocks)), 0);
  await recovered.close(false);
  await rig.onHandle(opcodes.release, handle);
  await rig.shelf.close();
});

test('a thread that died in a write fails its volume; what it had appended is committed, and whoever closes it is told', async () => {
  const { shelf } = await Rig.open();
  const pool = new LanePool(20);
  const lane = pool.lend(7) ?? assert.fail('no lane');
  const thread = new LaneThread(pool.memory);
  const volume = await shelf.open('Vol', { create: true });
  await volume.write(0, seededBytes(100, 1));
  volume.offer(lane);
  assert.ok(thread.append(writeRequest(7, 100, seededBytes(50, 2))));
  dieInWrite(lane);
  const died = (error: unknown): boolean => error instanceof ToolError && /has not ended its write/.test(error.message);
  await assert.rejects(volume.write(150, seededBytes(10, 3)), died);
  await assert.rejects(volume.sync(), died);
  const other = pool.lend(8) ?? assert.fail('no lane');
  volume.offer(other);
  assert.equal(other.isOpen, false);
  await volume.commit();
  assert.equal(volume.size, 150);
  const bytes = new Uint8Array(150);
  await volume.readInto(0, bytes);
  assert.deepEqual(Buffer.from(bytes), Buffer.concat([seededBytes(100, 1), seededBytes(50, 2)]));
  assert.equal(shelf.list()[0]?.committed, 150);
  await assert.rejects(volume.close(), died);
  await assert.rejects(shelf.close(), died);
});
