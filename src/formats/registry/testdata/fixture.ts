/** The hive in this folder, for tests; found from the compiled tests, which lie in `dist/`. */
import { readFile } from 'node:fs/promises';
import { brotliDecompressSync } from 'node:zlib';

const root = new URL('../../../../../src/formats/registry/testdata/', import.meta.url);

/** Bytes of the hive that hivex wrote. */
export async function madeHive(): Promise<Uint8Array> {
  return new Uint8Array(brotliDecompressSync(await readFile(new URL('made.hive.br', root))));
}
