/** The volumes that tests of ReFS read and damage: one tree in every shape that a volume may have. */
import { utf8 } from '../../../../core/index.ts';
import { seededBytes } from '../../../../core/testing/random.ts';
import { VolumeWriter, type NodeShape, type VolumeShape } from './writer.ts';

/** Shapes by name. */
export const shapes: Readonly<Record<string, VolumeShape>> = {
  '3.4': { minor: 4, clusterBytes: 4096, checksum: 'crc64', referenceBytes: 104, indirectRoots: false },
  '3.10 large clusters': { minor: 10, clusterBytes: 65_536, checksum: 'crc64', referenceBytes: 48, indirectRoots: false },
  '3.14': { minor: 14, clusterBytes: 4096, checksum: 'crc64', referenceBytes: 48, indirectRoots: true },
  '3.14 SHA-256': { minor: 14, clusterBytes: 4096, checksum: 'sha256', referenceBytes: 72, indirectRoots: true },
};

const made = new Map<string, Uint8Array>();

function reparse(tag: number, head: number, target: string): Uint8Array {
  const name = Buffer.from(target, 'utf16le');
  const data = new Uint8Array(8 + head + name.length);
  const view = new DataView(data.buffer);
  view.setUint32(0, tag, true);
  view.setUint16(4, head + name.length, true);
  view.setUint16(10, name.length, true);
  data.set(name, 8 + head);
  return data;
}

/** The tree, and the content of its files that tests compare. */
export function tree(clusterBytes: number): { readonly root: NodeShape & { readonly kind: 'directory' }; readonly content: Uint8Array; readonly sparse: Uint8Array; readonly big: Uint8Array } {
  const content = seededBytes(clusterBytes * 3 + 17, 1);
  const big = seededBytes(clusterBytes + 1, 2);
  const piece = seededBytes(clusterBytes, 4);
  const sparse = new Uint8Array(7 * clusterBytes);
  sparse.set(piece, 2 * clusterBytes);
  sparse.set(piece.subarray(0, 100), 6 * clusterBytes);
  const cut = (from: number, to?: number): Uint8Array => content.slice(from * clusterBytes, to === undefined ? undefined : to * clusterBytes);
  // Out of order on the disk, as they often are.
  const runs = [{ fileCluster: 2, bytes: cut(2) }, { fileCluster: 0, bytes: cut(0, 2) }];
  const directory = (children: readonly (readonly [string, NodeShape])[]): NodeShape & { readonly kind: 'directory' } => ({ kind: 'directory', children: new Map(children) });
  const inline = (text: string): NodeShape => ({ kind: 'inline', content: utf8(text) });
  const root = directory([
    ['small.txt', inline('hello\r\n')], ['empty', { kind: 'inline', content: new Uint8Array(0), readOnly: true }], ['large.bin', { kind: 'runs', size: content.length, runs }],
    ['apart.bin', { kind: 'runs', size: content.length, runs, apart: true }],
    ['sparse.bin', { kind: 'runs', size: sparse.length, validBytes: 6 * clusterBytes + 100, sparse: true, runs: [{ fileCluster: 2, bytes: piece }, { fileCluster: 6, bytes: piece }] }],
    ['with-streams', { kind: 'runs', size: big.length, runs: [{ fileCluster: 0, bytes: big }], largeStream: { name: 'large stream', content: seededBytes(5000, 3) } }],
    ['attributes', { kind: 'inline', content: utf8('a'), streams: new Map([['stream', utf8('in a stream')]]), extendedAttributes: new Map([['$LXUID', Uint8Array.of(1, 2, 3, 4)], ['other', utf8('x')]]) }],
    ['link', { kind: 'inline', content: new Uint8Array(0), reparse: reparse(0xa000_000c, 12, '..\\folder\\x') }],
    ['junction', { kind: 'directory', children: new Map(), reparse: reparse(0xa000_0003, 8, '\\??\\C:\\target') }],
    ['folder', directory([['deep', directory([['deeper', directory([['end', inline('end')]])]])], ['second name', { kind: 'link', ordinal: 0, size: content.length }]])],
    ['many', directory(Array.from({ length: 2000 }, (_, i) => [`entry ${i}`, inline(String(i))] as const))], ['日本語😀', inline('names')],
  ]);
  return { root, content, sparse, big };
}

/** A volume of this shape; the same bytes each time, not to be changed. */
export function goodVolume(name: string): Uint8Array {
  const shape = shapes[name] as VolumeShape;
  const volume = made.get(name) ?? new VolumeWriter(shape).build(tree(shape.clusterBytes).root);
  made.set(name, volume);
  return volume;
}
