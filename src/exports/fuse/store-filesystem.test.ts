/** A store of files as a filesystem: what was answered is so, what failed is an error, windows never show old bytes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ToolError } from '../../core/index.ts';
import { attrOut, attributesLayout, entryOut, opcodes, openIn, openOut, rename2In, setattrIn } from './abi.layout.ts';
import { Refusal, errors } from './errno.ts';
import { Lent } from './handler.ts';
import { decodeRequest } from './request.ts';
import { StoreFilesystem } from './store-filesystem.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { nameBytes, rangeBody, requestBytes, type RequestWish } from './testing/requests.ts';

/** A store and the filesystem over it. */
class Rig {
  readonly store = new MemoryStore();
  readonly handler: StoreFilesystem = new StoreFilesystem(this.store, { uid: 5, gid: 6, mode: 0o640 });

  async ask(opcode: number, wish: RequestWish = {}): Promise<Buffer | number> {
    const reply = await this.handler.handle(decodeRequest(requestBytes(opcode, wish)));
    if (reply instanceof Refusal) return reply.errno;
    if (reply === 'none') return Buffer.alloc(0);
    if (reply instanceof Lent) {
      const copy = Buffer.concat(reply.parts);
      reply.release();
      return copy;
    }
    return reply instanceof Uint8Array ? Buffer.from(reply) : Buffer.concat(reply);
  }

  async create(name: string): Promise<{ readonly node: number; readonly handle: number }> {
    const reply = await this.ask(opcodes.create, { body: [new Uint8Array(16), nameBytes(name)] });
    assert.ok(typeof reply !== 'number');
    return { node: entryOut.view(reply).nodeid, handle: openOut.view(reply, entryOut.size + attributesLayout.size).fh };
  }

  async open(node: number): Promise<number> {
    const reply = await this.ask(opcodes.open, { node, body: [openIn.encode({ flags: 0, open_flags: 0 })] });
    assert.ok(typeof reply !== 'number');
    return openOut.view(reply).fh;
  }

  write(handle: number, offset: number, data: Uint8Array): Promise<Buffer | number> {
    return this.ask(opcodes.write, { body: [rangeBody(handle, offset, data.length), data] });
  }

  async read(handle: number, offset: number, size: number): Promise<Buffer> {
    const reply = await this.ask(opcodes.read, { body: [rangeBody(handle, offset, size)] });
    assert.ok(typeof reply !== 'number');
    return reply;
  }

  release(handle: number): Promise<Buffer | number> {
    return this.ask(opcodes.release, { body: [handleBody(handle)] });
  }

  setSize(node: number, size: number, valid = 8): Promise<Buffer | number> {
    const none = { padding: 0, fh: 0, lock_owner: new Uint8Array(8), atime: 0, mtime: 0, ctime: 0, atimensec: 0, mtimensec: 0, ctimensec: 0, unused4: 0, uid: 9, gid: 9, unused5: 0 };
    return this.ask(opcodes.setattr, { node, body: [setattrIn.encode({ ...none, valid, size, mode: 0o600 })] });
  }
}

function handleBody(handle: number): Uint8Array {
  return Buffer.concat([openOut.encode({ fh: handle, open_flags: 0, padding: 0 }), new Uint8Array(8)]);
}

function rename(from: string, to: string, flags = 0): RequestWish {
  return { body: [rename2In.encode({ newdir: 1, flags, padding: 0 }), nameBytes(from), nameBytes(to)] };
}

describe('a store of files as a filesystem', () => {
  test('fsync and close are durable or fail; a failed write is no short one', async () => {
    const rig = new Rig();
    const { handle } = await rig.create('v');
    await rig.write(handle, 0, Buffer.from('label'));
    assert.equal(rig.store.synced('v'), '');
    assert.deepEqual(await rig.ask(opcodes.fsync, { body: [handleBody(handle)] }), Buffer.alloc(0));
    assert.equal(rig.store.synced('v'), 'label');
    rig.store.fault = 'ENOSPC';
    await assert.rejects(rig.write(handle, 5, Buffer.from('more')), ToolError);
    await assert.rejects(rig.ask(opcodes.flush, { body: [handleBody(handle)] }), ToolError);
    await assert.rejects(rig.release(handle), ToolError);
  });

  test('label rewrite, truncation, size and owner', async () => {
    const rig = new Rig();
    const { node, handle } = await rig.create('v');
    await rig.write(handle, 0, Buffer.from('0123456789'));
    await rig.write(handle, 0, Buffer.from('XX'));
    assert.equal((await rig.read(handle, 0, 100)).toString(), 'XX23456789');
    const reply = await rig.setSize(node, 4);
    assert.ok(typeof reply !== 'number');
    const { size, uid, gid, mode } = attributesLayout.view(reply, attrOut.size);
    assert.deepEqual([size, uid, gid, mode], [4, 5, 6, 0o100640]);
    assert.equal((await rig.read(handle, 0, 100)).toString(), 'XX23');
    for (const valid of [1, 2, 4, 0x20]) assert.equal(await rig.setSize(node, 0, valid), errors.EPERM);
  });

  test('what is open is neither removed nor renamed; a release that is on its way is waited for', async () => {
    const rig = new Rig();
    const { handle } = await rig.create('a');
    const removed = rig.ask(opcodes.unlink, { body: [nameBytes('a')] });
    setTimeout(() => { void rig.release(handle); }, 20);
    assert.deepEqual(await removed, Buffer.alloc(0));
    const other = await rig.create('b');
    assert.equal(await rig.ask(opcodes.rename2, rename('b', 'c')), errors.EBUSY);
    await rig.release(other.handle);
    assert.deepEqual(await rig.ask(opcodes.rename2, rename('b', 'c')), Buffer.alloc(0));
    await rig.release((await rig.create('d')).handle);
    assert.equal(await rig.ask(opcodes.rename2, rename('d', 'c', 1)), errors.EEXIST);
    assert.equal(await rig.ask(opcodes.rename2, rename('d', 'c', 2)), errors.EINVAL);
    assert.equal(await rig.ask(opcodes.mkdir, { body: [new Uint8Array(8), nameBytes('x')] }), errors.EPERM);
    assert.deepEqual(rig.store.list().map(({ name }) => name).toSorted(), ['c', 'd']);
  });

  test('any mix of writes, truncations and reads through two handles gives what a plain file gives', async () => {
    const most = 3 << 20;
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), at: fc.nat(most), length: fc.integer({ min: 1, max: 200_000 }), second: fc.boolean() }),
      fc.record({ kind: fc.constant('size' as const), at: fc.nat(most), length: fc.constant(0), second: fc.boolean() }),
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), at: fc.nat(most), length: fc.integer({ min: 1, max: 100 }), second: fc.boolean() }) },
    );
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const rig = new Rig();
      const { node, handle } = await rig.create('v');
      const handles = [handle, await rig.open(node)];
      let model = Buffer.alloc(0);
      const resize = (size: number): void => { model = Buffer.concat([model.subarray(0, size), Buffer.alloc(Math.max(0, size - model.length))]); };
      for (const [i, { kind, at, length, second }] of steps.entries()) {
        const used = handles[second ? 1 : 0] as number;
        if (kind === 'write') {
          const data = Buffer.alloc(length, i + 1);
          await rig.write(used, at, data);
          resize(Math.max(model.length, at + length));
          data.copy(model, at);
        } else if (kind === 'size') {
          await rig.setSize(node, at);
          resize(at);
        } else {
          // A run of reads, as a storage daemon makes them, so that windows are used; a write lands between two of them.
          for (let n = 0, offset = at; n < length && offset < model.length; n += 1, offset += 64_512) {
            assert.ok((await rig.read(used, offset, 64_512)).equals(model.subarray(offset, offset + 64_512)), `read at ${offset}`);
            if (n !== 3) continue;
            await rig.write(handles[0] as number, offset, Buffer.from([i]));
            model[offset] = i;
          }
        }
      }
    }), { numRuns: 40 });
  });

  test('a write that overlaps a run of reads is seen by every read after it', async () => {
    const rig = new Rig();
    const { handle } = await rig.create('v');
    await rig.write(handle, 0, Buffer.alloc(4 << 20, 1));
    await rig.read(handle, 0, 4096);
    const during = rig.read(handle, 4096, 4096);
    await rig.write(handle, 0, Buffer.alloc(4 << 20, 2));
    assert.ok([1, 2].includes((await during)[0] as number));
    for (let at = 8192; at < 3 << 20; at += 4096) assert.equal((await rig.read(handle, at, 4096))[0], 2, `at ${at}`);
  });
});
