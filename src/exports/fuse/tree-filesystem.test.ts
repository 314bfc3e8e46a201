/** What the kernel would get from a tree: every name exactly once at any buffer size, errors as errors, ids forgotten when they may be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { directoryNode, fileNode, MemoryTree } from '../../core/testing/memory-tree.ts';
import { ToolError, type NodeId } from '../../core/index.ts';
import { attributesLayout, dirent, entryOut, lseekIn, lseekOut, opcodes, openIn, openOut } from './abi.layout.ts';
import { Refusal, errnoOf, errors } from './errno.ts';
import { Lent, type FuseHandler } from './handler.ts';
import { decodeRequest } from './request.ts';
import { nameBytes, rangeBody, requestBytes, type RequestWish } from './testing/requests.ts';
import { TreeFilesystem } from './tree-filesystem.ts';

/** The reply's body, or the number of its error. */
async function ask(handler: FuseHandler, opcode: number, wish: RequestWish = {}): Promise<Buffer | number> {
  const reply = await handler.handle(decodeRequest(requestBytes(opcode, wish)));
  if (reply instanceof Refusal) return reply.errno;
  if (reply === 'none') return Buffer.alloc(0);
  if (reply instanceof Lent) return Buffer.concat(reply.parts);
  return reply instanceof Uint8Array ? Buffer.from(reply) : Buffer.concat(reply);
}

async function bytes(reply: Promise<Buffer | number>): Promise<Buffer> {
  const found = await reply;
  assert.ok(typeof found !== 'number', `error ${String(found)}`);
  return found;
}

async function handleOf(handler: FuseHandler, opcode: number, node: number): Promise<number> {
  return openOut.view(await bytes(ask(handler, opcode, { node, body: [openIn.encode({ flags: 0, open_flags: 0 })] }))).fh;
}

async function nodeOf(handler: FuseHandler, name: string, node = 1): Promise<number> {
  return entryOut.view(await bytes(ask(handler, opcodes.lookup, { node, body: [nameBytes(name)] }))).nodeid;
}

/** One reply to readdir: names and the position behind each. */
function rows(reply: Buffer, isPlus: boolean): readonly { readonly name: string; readonly next: number }[] {
  const found = [];
  const head = isPlus ? entryOut.size + attributesLayout.size : 0;
  for (let at = 0; at < reply.length;) {
    const { namelen, off } = dirent.view(reply, at + head);
    const start = at + head + dirent.size;
    found.push({ name: reply.subarray(start, start + namelen).toString('latin1'), next: off });
    at = (start + namelen + 7) & ~7;
  }
  return found;
}

async function listAll(handler: FuseHandler, size: number, isPlus: boolean): Promise<readonly string[]> {
  const handle = await handleOf(handler, opcodes.opendir, 1);
  const names: string[] = [];
  for (let offset = 0; ;) {
    const found = rows(await bytes(ask(handler, isPlus ? opcodes.readdirplus : opcodes.readdir, { body: [rangeBody(handle, offset, size)] })), isPlus);
    if (found.length === 0) return names;
    names.push(...found.map(({ name }) => name));
    offset = found.at(-1)?.next ?? 0;
  }
}

const content = Buffer.alloc(300_000, 'holdfast ');
content.fill(0, 100_000, 200_000);

function tree(): MemoryTree {
  const files = Object.fromEntries(Array.from({ length: 350 }, (_, i) => [`${i}-${'n'.repeat(i % 200)}`, fileNode(new Uint8Array(i))]));
  return new MemoryTree(directoryNode({
    ...files, data: fileNode(content, { holes: [[100_000, 100_000]], attributes: new Map([['user.x', Buffer.from('value')]]) }),
    bad: fileNode(Buffer.alloc(100_000), { fault: 50_000 }), link: { type: 'symlink', target: Buffer.from([0xff, 0x41]) }, sub: directoryNode({ inner: fileNode(Buffer.from('x')) }),
  }));
}

describe('a tree as a filesystem', () => {
  for (const isPlus of [false, true]) {
    test(`listing ${isPlus ? 'with' : 'without'} attributes gives each name once`, async () => {
      const expected = ['.', '..', ...Array.from({ length: 350 }, (_, i) => `${i}-${'n'.repeat(i % 200)}`), 'data', 'bad', 'link', 'sub'].toSorted();
      for (const size of [500, 4096, 65_536]) assert.deepEqual((await listAll(new TreeFilesystem(tree()), size, isPlus)).toSorted(), expected);
    });
  }

  test('a listing goes on anywhere, backwards too, and a buffer too small is no end', async () => {
    const handler = new TreeFilesystem(tree());
    const handle = await handleOf(handler, opcodes.opendir, 1);
    const first = rows(await bytes(ask(handler, opcodes.readdir, { body: [rangeBody(handle, 0, 65_536)] })), false);
    for (const at of [200, 3, 0, 349, 350]) {
      const found = rows(await bytes(ask(handler, opcodes.readdir, { body: [rangeBody(handle, at, 4096)] })), false);
      assert.equal(found[0]?.name, first[at]?.name);
    }
    assert.equal(await ask(handler, opcodes.readdir, { body: [rangeBody(handle, 5, 16)] }), errors.EINVAL);
  });

  test('reads are exact, short only at the end, and an error is no data', async () => {
    const handler = new TreeFilesystem(tree());
    const data = await handleOf(handler, opcodes.open, await nodeOf(handler, 'data'));
    for (const [offset, size] of [[0, 300_000], [99_999, 3], [299_990, 4096], [300_000, 10], [400_000, 10]] as const) {
      assert.deepEqual(await ask(handler, opcodes.read, { body: [rangeBody(data, offset, size)] }), content.subarray(offset, offset + size));
    }
    const bad = await handleOf(handler, opcodes.open, await nodeOf(handler, 'bad'));
    assert.equal((await bytes(ask(handler, opcodes.read, { body: [rangeBody(bad, 0, 4096)] }))).length, 4096);
    await assert.rejects(ask(handler, opcodes.read, { body: [rangeBody(bad, 49_000, 4096)] }), ToolError);
  });

  test('lseek finds data and holes', async () => {
    const handler = new TreeFilesystem(tree());
    const handle = await handleOf(handler, opcodes.open, await nodeOf(handler, 'data'));
    const seek = async (offset: number, whence: number): Promise<number> => {
      const reply = await ask(handler, opcodes.lseek, { body: [lseekIn.encode({ fh: handle, offset, whence, padding: 0 })] });
      return typeof reply === 'number' ? -reply : lseekOut.view(reply).offset;
    };
    const [data, hole] = [3, 4];
    assert.deepEqual([await seek(0, data), await seek(0, hole), await seek(150_000, data), await seek(200_001, hole)], [0, 100_000, 200_000, 300_000]);
    assert.deepEqual([await seek(300_000, data), await seek(0, 9)], [-errors.ENXIO, -errors.EINVAL]);
  });

  test('attributes, links, absent names, long names, writes', async () => {
    const handler = new TreeFilesystem(tree());
    const data = await nodeOf(handler, 'data');
    const attribute = (size: number, name: string): Promise<Buffer | number> => ask(handler, opcodes.getxattr, { node: data, body: [Uint8Array.of(size, 0, 0, 0, 0, 0, 0, 0), nameBytes(name)] });
    assert.deepEqual(await attribute(5, 'user.x'), Buffer.from('value'));
    assert.deepEqual([await attribute(4, 'user.x'), await attribute(5, 'user.y')], [errors.ERANGE, errors.ENODATA]);
    assert.deepEqual(await ask(handler, opcodes.readlink, { node: await nodeOf(handler, 'link') }), Buffer.from([0xff, 0x41]));
    assert.equal(await nodeOf(handler, 'absent'), 0);
    assert.equal(await ask(handler, opcodes.lookup, { body: [nameBytes('n'.repeat(256))] }), errors.ENAMETOOLONG);
    assert.equal(await ask(handler, opcodes.open, { node: data, body: [openIn.encode({ flags: 1, open_flags: 0 })] }), errors.EROFS);
    assert.equal(await ask(handler, opcodes.unlink, { body: [nameBytes('data')] }), errors.EROFS);
  });

  test('when the kernel knows nothing below a directory, the tree may forget it', async () => {
    const source = tree();
    const forgotten: NodeId[] = [];
    const handler = new TreeFilesystem(Object.assign(source, { forget: (id: NodeId) => { forgotten.push(id); } }));
    const sub = await nodeOf(handler, 'sub');
    const inner = await nodeOf(handler, 'inner', sub);
    const forget = (node: number): Promise<unknown> => ask(handler, opcodes.forget, { node, body: [Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)] });
    await forget(sub);
    assert.deepEqual(forgotten, [], 'its child is known');
    assert.equal(handler.held.nodes, 2);
    await forget(inner);
    assert.equal(handler.held.nodes, 0);
    assert.deepEqual(forgotten, [inner - 2, sub - 2]);
  });

  test('whatever is thrown is an error number', () => {
    assert.deepEqual([errnoOf(new ToolError('x', { errno: 'ENOSPC' })), errnoOf(new Error('x')), errnoOf(undefined)], [errors.ENOSPC, errors.EIO, errors.EIO]);
  });
});
