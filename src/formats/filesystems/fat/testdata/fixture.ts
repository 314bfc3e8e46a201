/** The volumes in `testdata/` of FAT and exFAT, and the tree that all of them hold. */
import { defaultLimits, MemorySource, utf8 } from '../../../../core/index.ts';
import type { ExpectedNode } from '../../../../core/conformance/index.ts';
import { packedFiles } from '../../../testdata/packed.ts';
import type { Filesystem, FilesystemDriver } from '../../filesystem.ts';

/** Bytes of a volume, as `fat/fat12`; the same array each time. */
export const volume: (name: string) => Promise<Uint8Array> = packedFiles((name) => `filesystems/${name.replace('/', '/testdata/')}.img`);

/** Opens bytes as a volume. */
export function openVolume(driver: FilesystemDriver, bytes: Uint8Array): Promise<Filesystem> {
  return driver.open([new MemorySource(bytes)], { limits: defaultLimits });
}

/** What `make.sh` puts into a file. */
export function contentOf(name: string, size: number): Uint8Array {
  const line = utf8(`${name}\n`);
  return Uint8Array.from({ length: size }, (_, i) => line[i % line.length] as number);
}

function file(path: string, size: number, time: string): ExpectedNode {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const seconds = Math.floor(Date.parse(`${time}Z`) / 1000 / 2) * 2;
  return { path: utf8(path), content: contentOf(name, size), stat: { type: 'file', size, mode: name === 'README.TXT' ? 0o555 : 0o755, links: 1, modified: { seconds, nanoseconds: 0 } } };
}

/** The tree of every volume. */
export const expectedTree: readonly ExpectedNode[] = [
  file('README.TXT', 1000, '2001-02-03T04:05:06'), file('Long file name, with spaces.txt', 5000, '1980-01-01T00:00:00'), file('lower.txt', 12, '2099-12-31T23:59:58'), file('empty', 0, '2024-02-29T12:00:00'),
  file('日本語ñ.txt', 70_000, '2038-01-19T03:14:08'), file('Deep/down/further/inner.bin', 4096, '2107-12-31T23:59:58'), file('pieces.bin', 40_000, '2015-05-05T05:05:04'),
  file(`${'abcdefghij'.repeat(26).slice(0, 251)}.txt`, 3, '2020-01-01T00:00:00'),
  ...Array.from({ length: 150 }, (_, i) => file(`many/a rather long name number ${i + 1}`, i + 1, '2010-10-10T10:10:10')),
  ...[2, 4, 6, 8, 10].map((i) => ({ path: utf8(`small${i}`), content: contentOf(`small${i}`, 6000) })),
  { path: utf8('Deep'), stat: { type: 'directory', links: 3 } }, { path: utf8('many'), stat: { type: 'directory', links: 2 } },
];
