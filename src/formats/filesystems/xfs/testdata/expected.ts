/** What `make.sh` puts into its images. */
import { utf8 } from '../../../../core/index.ts';
import type { ExpectedNode } from '../../../../core/conformance/index.ts';

/** `pattern` of the script. */
export function pattern(length: number): string {
  const line = `pattern of ${length}\n`;
  return line.repeat(Math.ceil(length / line.length)).slice(0, length);
}

/** What the shell makes of it as a word. */
function word(length: number): string {
  return pattern(length).replace(/\n+$/, '');
}

function target(length: number): string {
  return word(length).replaceAll(/[\n ]/g, '/');
}

function filled(size: number, parts: readonly (readonly [number, string])[]): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const [at, text] of parts) bytes.set(utf8(text), at);
  return bytes;
}

function attributes(entries: readonly (readonly [string, string | Uint8Array])[]): ReadonlyMap<string, Uint8Array> {
  return new Map(entries.map(([name, value]) => [name, typeof value === 'string' ? utf8(value) : value]));
}

function numbered(folder: string, count: number, digits: number): readonly ExpectedNode[] {
  return Array.from({ length: count }, (_, i) => ({ path: utf8(`${folder}/${String(i).padStart(digits, '0')}`), stat: { type: 'file', size: 0, mode: 0o644, links: 1 } }));
}

/** The kernel's form of an ACL: tag, permissions and id of each entry. Source: acl(5), linux/posix_acl_xattr.h. */
function acl(entries: readonly (readonly [number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(4 + entries.length * 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 2, true);
  entries.forEach(([tag, permissions, id], i) => {
    view.setUint16(4 + i * 8, tag, true);
    view.setUint16(6 + i * 8, permissions, true);
    view.setUint32(8 + i * 8, id, true);
  });
  return bytes;
}

const NOBODY = 0xffff_ffff;

/** Of `v5` and `v4`. */
export const filledNodes: readonly ExpectedNode[] = [
  { path: utf8('hello.txt'), content: utf8('hello\n'), stat: { type: 'file', mode: 0o6755, uid: 0, links: 2 } },
  { path: utf8('hard'), sameAs: utf8('hello.txt') },
  { path: utf8('soft'), target: utf8('hello.txt'), stat: { type: 'symlink', size: 9 } },
  { path: utf8('long soft'), target: utf8(target(999)) },
  { path: utf8('fifo'), stat: { type: 'fifo' } },
  { path: utf8('null'), stat: { type: 'character', deviceMajor: 1, deviceMinor: 3 } },
  { path: utf8('disk'), stat: { type: 'block', deviceMajor: 8, deviceMinor: 17 } },
  { path: utf8('attributes'), attributes: attributes([['user.short', 'value'], ['trusted.t', 't'], ['security.s', 's']]) },
  { path: utf8('remote attribute'), attributes: attributes([['user.large', word(15_000)]]) },
  { path: utf8('many attributes'), attributes: attributes(Array.from({ length: 90 }, (_, i) => [`user.attribute-${i}`, word(i * 2 + 20)])) },
  { path: utf8('acl'), attributes: attributes([['system.posix_acl_access', acl([[1, 6, NOBODY], [2, 6, 1001], [4, 4, NOBODY], [8, 4, 5000], [16, 6, NOBODY], [32, 4, NOBODY]])]]) },
  { path: utf8('acl folder'), attributes: attributes([['system.posix_acl_default', acl([[1, 7, NOBODY], [2, 7, 1001], [4, 5, NOBODY], [16, 7, NOBODY], [32, 5, NOBODY]])]]) },
  { path: utf8('content'), content: utf8(pattern(300_000)), stat: { uid: 4_000_000_000, gid: 70_000 } },
  { path: utf8('holes'), content: filled(9_000_001, [[4_000_000, 'at four million']]) },
  { path: utf8('unwritten'), content: filled(100_000, [[50_000, 'written']]) },
  { path: utf8('pieces'), content: filled(299 * 2048 + 9, Array.from({ length: 300 }, (_, i) => [i * 2048, `piece ${i}`])) },
  { path: utf8('short'), stat: { type: 'directory', modified: { seconds: -446_751_900, nanoseconds: 123_456_789 } } },
  { path: utf8('block'), stat: { type: 'directory', modified: { seconds: 2_145_916_799, nanoseconds: 500_000_000 } } },
  ...numbered('short', 3, 5), ...numbered('block', 20, 9), ...numbered('leaf', 110, 30), ...numbered('node', 700, 60),
];

/** Of `v5` alone. */
export const v5Nodes: readonly ExpectedNode[] = [
  { path: utf8('shared'), content: utf8(pattern(300_000)) },
  { path: utf8('leaf'), stat: { modified: { seconds: 10_413_792_000, nanoseconds: 1 } } },
];

/** Of `dirty`, once its log is replayed. */
export const dirtyNodes: readonly ExpectedNode[] = [
  { path: utf8('renamed'), content: utf8('first'), attributes: attributes([['user.late', 'late']]) },
  { path: utf8('content'), content: utf8(pattern(50_000)) },
  { path: utf8('long soft'), target: utf8(target(500)) },
  ...numbered('only-in-the-log', 100, 30),
];
