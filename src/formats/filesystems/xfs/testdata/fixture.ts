/** The images in `testdata/`, for tests; found from the compiled tests, which lie in `dist/`. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { type BlockSource, defaultLimits, type FileTree, lookupPath, MemorySource, type NodeId, utf8 } from '../../../../core/index.ts';
import type { Filesystem, FilesystemContext } from '../../filesystem.ts';
import { xfsDriver } from '../xfs.ts';

const root = new URL('../../../../../../src/formats/filesystems/xfs/testdata/', import.meta.url);
const unpack = promisify(brotliDecompress);
const read = new Map<string, Promise<Uint8Array>>();

/** Names of images. */
export type FixtureName = 'v5' | 'v4' | 'dirty';

/** Bytes of an image; the same array each time. */
export function fixture(name: FixtureName): Promise<Uint8Array> {
  const known = read.get(name) ?? readFile(new URL(`${name}.br`, root)).then(unpack).then((bytes) => new Uint8Array(bytes));
  read.set(name, known);
  return known;
}

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
