/** The pools in `testdata/`, for tests; found from the compiled tests, which lie in `dist/`. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { defaultLimits, MemorySource, utf8 } from '../../../../core/index.ts';
import type { FilesystemContext } from '../../filesystem.ts';

const root = new URL('../../../../../../src/formats/filesystems/zfs/testdata/', import.meta.url);
const unpack = promisify(brotliDecompress);
const read = new Map<string, Promise<Uint8Array>>();

/** Members of the pools. */
export const pools = { plain: ['plain-1'], old: ['old-1'], parity: ['parity-1', 'parity-2', 'parity-3'], crash: ['crash-1'] } as const;

/** Bytes of a member; the same array each time. */
export function fixture(name: string): Promise<Uint8Array> {
  const known = read.get(name) ?? readFile(new URL(`${name}.br`, root)).then((packed) => unpack(packed)).then((bytes) => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  read.set(name, known);
  return known;
}

/** Sources of members. */
export function sourcesOf(names: readonly string[]): Promise<MemorySource[]> {
  return Promise.all(names.map(async (name) => new MemorySource(await fixture(name))));
}

/** With the key of the encrypted dataset. */
export const context: FilesystemContext = { limits: defaultLimits, keys: [utf8('fixture-passphrase')] };
