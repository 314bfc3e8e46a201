/** The images in `testdata/`, for tests. */
import { type BlockSource, defaultLimits, type FileTree, lookupPath, MemorySource, type NodeId, utf8 } from '../../../../core/index.ts';
import { packedFiles } from '../../../testdata/packed.ts';
import type { Filesystem, FilesystemContext } from '../../filesystem.ts';
import { xfsDriver } from '../xfs.ts';

/** Names of images. */
export type FixtureName = 'v5' | 'v4' | 'dirty' | 'dirty-v4';

/** Bytes of an image; the same array each time. */
export const fixture: (name: FixtureName) => Promise<Uint8Array> = packedFiles((name) => `filesystems/xfs/testdata/${name}`);

/** Opens bytes or a source. */
export function openXfs(image: Uint8Array | BlockSource, context: Partial<FilesystemContext> = {}): Promise<Filesystem> {
  return xfsDriver.open([image instanceof Uint8Array ? new MemorySource(image) : image], { limits: defaultLimits, ...context });
}

/** The id of a path that exists. */
export async function idOf(tree: FileTree, path: string): Promise<NodeId> {
  const id = await lookupPath(tree, utf8(path));
  if (id === undefined) throw new Error(`'${path}' does not exist`);
  return id;
}
