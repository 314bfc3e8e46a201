/** Files in `testdata/` folders that Brotli packed, for tests; found from the compiled tests, which lie in `dist/`. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { NotFoundError } from '../../core/index.ts';

const root = new URL('../../../../src/formats/', import.meta.url);
const unpack = promisify(brotliDecompress);

/** Bytes of a file; `path` counts from `src/formats` and is without `.br`. @throws {NotFoundError} */
export async function readPacked(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await unpack(await readFile(new URL(`${path}.br`, root))));
  } catch (error) {
    throw new NotFoundError(`Open fixture '${path}'`, {}, error);
  }
}

/** A reader that gives the same array for the same name each time. */
export function packedFiles<Name extends string>(pathOf: (name: Name) => string): (name: Name) => Promise<Uint8Array> {
  const read = new Map<Name, Promise<Uint8Array>>();
  return (name) => {
    const known = read.get(name) ?? readPacked(pathOf(name));
    read.set(name, known);
    return known;
  };
}
