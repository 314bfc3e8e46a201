/** The disk in this folder, for tests; found from the compiled tests, which lie in `dist/`. */
import { readFile } from 'node:fs/promises';
import { brotliDecompressSync } from 'node:zlib';

const root = new URL('../../../../../src/services/guests/testdata/', import.meta.url);

/** Bytes of a disk with Linux, Windows, swap and the head of a BitLocker volume. */
export async function guestsDisk(): Promise<Uint8Array> {
  return new Uint8Array(brotliDecompressSync(await readFile(new URL('guests.raw.br', root))));
}
