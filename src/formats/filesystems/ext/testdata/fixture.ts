/** The images in this folder and what the kernel says is in them, for tests. */
import { defaultLimits, joinPath, MemorySource, type FileTree, type NodeId } from '../../../../core/index.ts';
import { packedFiles } from '../../../testdata/packed.ts';
import type { Filesystem, FilesystemContext } from '../../filesystem.ts';
import { extDriver } from '../ext.ts';

/** Bytes of a file; the same array each time. */
export const fixture: (name: string) => Promise<Uint8Array> = packedFiles((name) => `filesystems/ext/testdata/${name}`);

/** Opens the bytes of an image. */
export function openBytes(bytes: Uint8Array, more: Partial<FilesystemContext> = {}): Promise<Filesystem> {
  return extDriver.open([new MemorySource(bytes)], { limits: defaultLimits, ...more });
}

/** One path as `find -printf` and `sha256sum` told of it; bytes of paths and targets as Latin-1. */
export interface ToldPath {
  readonly type: string;
  readonly mode: string;
  readonly uid: string;
  readonly gid: string;
  readonly time: string;
  readonly links: string;
  readonly inode: string;
  readonly size: string;
  readonly target: string;
  readonly sha256: string;
}

/** What the kernel said about an image, by path; the root is ''. */
export async function told(name: string): Promise<ReadonlyMap<string, ToldPath>> {
  const parts = Buffer.from(await fixture(`${name}.txt`)).toString('latin1').split('\0').filter((part) => part !== '');
  const digests = new Map(parts.filter((part) => part.startsWith('.', 66)).map((part) => [part.slice(68), part.slice(0, 64)]));
  const paths = parts.filter((part) => part[1] === '\t').map((part) => part.split('\t'));
  return new Map(paths.map(([type = '', mode = '', uid = '', gid = '', time = '', links = '', inode = '', size = '', target = '', path = '']) => (
    [path, { type, mode, uid, gid, time, links, inode, size, target, sha256: digests.get(path) ?? '' }]
  )));
}

/** All entries of a tree but `lost+found`, by path as Latin-1. */
export async function entriesOf(tree: FileTree): Promise<ReadonlyMap<string, NodeId>> {
  const found = new Map<string, NodeId>([['', tree.rootId]]);
  const queue: { readonly id: NodeId; readonly path: Uint8Array }[] = [{ id: tree.rootId, path: new Uint8Array(0) }];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for await (const page of tree.list(next.id)) {
      for (const { name, id } of page) {
        const path = joinPath(next.path, name);
        const key = Buffer.from(path).toString('latin1');
        if (key === 'lost+found') continue;
        found.set(key, id);
        if ((await tree.stat(id)).type === 'directory') queue.push({ id, path });
      }
    }
  }
  return found;
}
