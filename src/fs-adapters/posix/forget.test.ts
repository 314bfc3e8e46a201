/**
 * A walker that forgets directories behind it sees the same tree as one that does not, and costs no memory per file. The danger is
 * an id or a descriptor that outlives its name and then stands for another: every content is compared.
 */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { textOf, utf8, type NodeId } from '../../core/index.ts';
import { NodeTable } from './node-table.ts';
import { PosixTree } from './posix-tree.ts';

const bytesOf = (text: string): Uint8Array => utf8(text);

test('released ids are handed out again, older names keep theirs, through growth of the table', () => {
  fc.assert(fc.property(fc.array(fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 60 }), { maxLength: 12 }), (levels) => {
    const table = new NodeTable();
    const stack: { end: number; names: Map<string, NodeId>; parent: NodeId }[] = [];
    let parent = table.rootId;
    for (const names of levels) {
      const level = { end: table.end, names: new Map<string, NodeId>(), parent };
      for (const name of names) {
        const bytes = bytesOf(name).subarray(0, 255);
        level.names.set(name, table.intern(parent, bytes, 0, bytes.length));
      }
      stack.push(level);
      parent = [...level.names.values()].at(-1) ?? parent;
    }
    for (let level = stack.pop(); level !== undefined; level = stack.pop()) {
      table.release(level.end);
      for (const kept of stack) {
        for (const [name, id] of kept.names) {
          const bytes = bytesOf(name).subarray(0, 255);
          assert.equal(table.intern(kept.parent, bytes, 0, bytes.length), id);
        }
      }
    }
    assert.equal(table.count, 1);
  }));
});

function makeTree(root: string): void {
  for (let a = 0; a < 12; a += 1) {
    for (let b = 0; b < 8; b += 1) {
      const directory = path.join(root, `a${a}`, `b${b}`);
      fs.mkdirSync(directory, { recursive: true });
      for (let c = 0; c < 20; c += 1) fs.writeFileSync(path.join(directory, `file-${c}`), `${a}/${b}/${c}`);
    }
    fs.linkSync(path.join(root, `a${a}`, 'b0', 'file-3'), path.join(root, `a${a}`, 'linked'));
    if (a > 0) fs.linkSync(path.join(root, 'a0', 'b1', 'file-4'), path.join(root, `a${a}`, 'far'));
  }
}

async function digestOf(tree: PosixTree, forget: boolean): Promise<string> {
  const hash = createHash('sha256');
  const links = new Map<NodeId, string>();
  const visit = async (directory: NodeId, where: string): Promise<void> => {
    for await (const page of tree.list(directory)) {
      for (const entry of page) {
        const name = `${where}/${textOf(entry.name)}`;
        if (entry.stat?.type === 'directory') {
          await visit(entry.id, name);
          continue;
        }
        const source = await tree.open(entry.id);
        const bytes = new Uint8Array(source.size);
        await source.readInto(0, bytes);
        await source.close();
        // Only ids of inodes with several names may be kept.
        const isShared = (entry.stat?.links ?? 1) > 1;
        if (isShared && !links.has(entry.id)) links.set(entry.id, name);
        hash.update(`${name} ${textOf(bytes)} ${isShared ? links.get(entry.id) : ''}\n`);
      }
    }
    if (forget) tree.forget(directory);
  };
  await visit(tree.rootId, '');
  return hash.digest('hex');
}

test('a walk that forgets sees the same names, contents and links, in less memory', async () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-forget-'));
  try {
    makeTree(root);
    const keeping = new PosixTree({ root: utf8(root) });
    const forgetting = new PosixTree({ root: utf8(root) });
    assert.equal(await digestOf(forgetting, true), await digestOf(keeping, false));
    assert(forgetting.memory.nodes < keeping.memory.nodes / 2, `${forgetting.memory.nodes} of ${keeping.memory.nodes} nodes are left`);
    await keeping.close();
    await forgetting.close();
  } finally {
    fs.rmSync(root, { recursive: true });
  }
});
