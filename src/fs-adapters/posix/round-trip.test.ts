/** Tree → sink → tree: everything that a restore keeps is the same afterwards. */
import assert from 'node:assert';
import * as fs from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../core/index.ts';
import { loadCalls } from './load-calls.ts';
import { PosixSink } from './posix-sink.ts';
import { PosixTree } from './posix-tree.ts';
import { cString, openPlace, type SystemCalls } from './system-calls.ts';
import { callsToTest, copyTree, describeTree, removeDirectory, temporaryDirectory } from './testing.ts';

const isRoot = process.geteuid?.() === 0;
const needs = (calls: SystemCalls): string | false => calls.capabilities.reason ?? (isRoot ? false : 'needs root');

/** `node:fs` sets times to microseconds and says so: only then is one problem expected, and times compared to that unit. */
async function roundTrip(source: string, target: string, calls: SystemCalls): Promise<void> {
  const tree = new PosixTree({ root: utf8(source), calls });
  const sink = new PosixSink({ target: utf8(target), calls });
  await copyTree(tree, sink);
  const timeUnit = calls.capabilities.timestampNanoseconds;
  assert.deepStrictEqual((await sink.finish()).map(({ what }) => what), timeUnit > 1 ? ['times'] : []);
  const restored = new PosixTree({ root: utf8(target), calls });
  assert.deepStrictEqual(await describeTree(restored, timeUnit), await describeTree(tree, timeUnit));
  await restored.close();
  await tree.close();
}

/** `user:12345:rw-` beside the usual three, in the kernel's form. Source: include/uapi/linux/posix_acl_xattr.h. */
function accessList(): Uint8Array {
  const entries = [[0x01, 6, 0xffff_ffff], [0x02, 6, 12345], [0x04, 4, 0xffff_ffff], [0x10, 6, 0xffff_ffff], [0x20, 4, 0xffff_ffff]] as const;
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + i * 8);
    bytes.writeUInt16LE(permissions, 6 + i * 8);
    bytes.writeUInt32LE(id, 8 + i * 8);
  }
  return bytes;
}

describe('tree → sink → tree', () => {
  const calls = loadCalls();

  it('keeps attributes, ACLs, capabilities, devices, owners and nanoseconds', { skip: needs(calls) }, () => {
    const directory = temporaryDirectory();
    const [source, target] = [`${directory}/source`, `${directory}/target`];
    fs.mkdirSync(`${source}/sub`, { recursive: true });
    fs.writeFileSync(`${source}/file`, 'content');
    fs.linkSync(`${source}/file`, `${source}/sub/other name`);
    fs.symlinkSync('file', `${source}/link`);
    fs.writeFileSync(`${source}/set-id`, 'x');
    const place = fs.openSync(source, openPlace);
    const at = (name: string): Uint8Array => cString(utf8(name));
    const acl = accessList();
    // Version 2 with one permitted capability. Source: include/uapi/linux/capability.h.
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    for (const [name, attribute, value] of [
      ['file', 'user.plain', utf8('value')], ['file', 'user.empty', new Uint8Array(0)], ['file', 'user.large', new Uint8Array(3000).fill(9)],
      ['file', 'system.posix_acl_access', acl], ['sub', 'system.posix_acl_default', acl], ['sub', 'user.of-a-directory', utf8('d')],
      ['set-id', 'security.capability', capability], ['link', 'trusted.of-a-link', utf8('l')],
    ] as const) assert.strictEqual(calls.setAttributeAt(place, at(name), attribute, value), 0, `${attribute} of ${name}`);
    for (const [name, type, major, minor] of [['tty', 'character', 4, 300], ['disk', 'block', 259, 70_000], ['fifo', 'fifo', 0, 0], ['socket', 'socket', 0, 0]] as const) {
      const stat = { type, size: 0, mode: 0o600, uid: 0, gid: 0, modified: { seconds: 0, nanoseconds: 0 }, links: 1, deviceMajor: major, deviceMinor: minor };
      assert.strictEqual(calls.makeSpecial(place, at(name), stat), 0, name);
    }
    for (const name of ['file', 'link', 'tty', 'sub']) assert.strictEqual(calls.chownAt(place, at(name), 1001, 70_000), 0);
    fs.chmodSync(`${source}/set-id`, 0o6711);
    assert.strictEqual(calls.setAttributeAt(place, at('set-id'), 'security.capability', capability), 0);
    fs.chmodSync(`${source}/sub`, 0o3751);
    for (const [i, name] of ['file', 'link', 'tty', 'sub', 'set-id'].entries()) {
      assert.strictEqual(calls.setTimesAt(place, at(name), undefined, { seconds: i === 0 ? -12345 : 4_000_000_000 + i, nanoseconds: 123_456_789 }), 0);
    }
    fs.closeSync(place);
    return roundTrip(source, target, calls).finally(() => removeDirectory(directory));
  });

  it('keeps random trees', { timeout: 60_000 }, async () => {
    const name = fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f || byte === 0x2e ? 0x61 : byte))).toString('latin1'));
    const leaf = fc.record({
      kind: fc.constantFrom('file', 'symlink', 'holes'), content: fc.uint8Array({ maxLength: 40 }), mode: fc.integer({ min: 0, max: 0o7777 }), seconds: fc.integer({ min: -2e9, max: 4e9 }),
    });
    type Leaf = { readonly kind: string; readonly content: Uint8Array; readonly mode: number; readonly seconds: number };
    interface Branch { readonly mode: number; readonly children: readonly (readonly [string, Leaf | Branch])[] }
    const { branch } = fc.letrec<{ branch: Branch; child: Leaf | Branch }>((tie) => ({
      child: fc.oneof({ maxDepth: 4 }, leaf, tie('branch')),
      branch: fc.record({
        mode: fc.integer({ min: 0, max: 0o7777 }).map((mode) => mode | 0o700),
        children: fc.uniqueArray(fc.tuple(name, tie('child')), { maxLength: 5, selector: ([key]) => key }),
      }),
    }));
    const make = (at: Buffer, node: Leaf | Branch): void => {
      if ('children' in node) {
        fs.mkdirSync(at);
        for (const [key, child] of node.children) make(Buffer.concat([at, Buffer.from('/'), Buffer.from(key, 'latin1')]), child);
      } else if (node.kind === 'symlink') {
        fs.symlinkSync(Buffer.from(`t${Buffer.from(node.content).toString('hex')}`), at);
        return;
      } else {
        fs.writeFileSync(at, node.content);
        if (node.kind === 'holes') fs.truncateSync(at, 100_000);
        fs.utimesSync(at, node.seconds, node.seconds);
      }
      fs.chmodSync(at, isRoot ? node.mode : node.mode | 0o600);
    };
    await fc.assert(fc.asyncProperty(branch, async (root) => {
      const directory = temporaryDirectory();
      try {
        make(Buffer.from(`${directory}/source`), root);
        for (const [i, each] of callsToTest().entries()) await roundTrip(`${directory}/source`, `${directory}/target${i}`, each);
      } finally {
        removeDirectory(directory);
      }
    }), { numRuns: 40 });
  });

  it('keeps paths longer than the system takes', { timeout: 30_000 }, async () => {
    const directory = temporaryDirectory();
    const sink = new PosixSink({ target: utf8(`${directory}/target`) });
    const stat = { type: 'directory', size: 0, mode: 0o755, uid: process.geteuid!(), gid: process.getegid!(), modified: { seconds: 1e9, nanoseconds: 0 }, links: 1 } as const;
    const parts = Array.from({ length: 300 }, (_, i) => `${i}-${'p'.repeat(30)}`);
    for (let i = 1; i <= parts.length; i += 1) await sink.createDirectory(utf8(parts.slice(0, i).join('/')), { stat, attributes: new Map() });
    const file = await sink.createFile(utf8([...parts, 'leaf'].join('/')), { stat: { ...stat, type: 'file' }, attributes: new Map() });
    await file.commit({ size: 0, verifiedBytes: 0 });
    for (let i = parts.length; i > 0; i -= 1) await sink.finishDirectory(utf8(parts.slice(0, i).join('/')), { stat, attributes: new Map() });
    await sink.finish();
    const tree = new PosixTree({ root: utf8(`${directory}/target`) });
    const lines = await describeTree(tree);
    assert.strictEqual(lines.length, 302);
    assert.ok(lines.at(-1)!.startsWith(`/${parts.join('/')}/leaf file 755`));
    await tree.close();
    removeDirectory(directory);
  });
});
