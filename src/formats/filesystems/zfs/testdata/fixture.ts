/** The pools in `testdata/`, for tests; found from the compiled tests, which lie in `dist/`. */
import { defaultLimits, MemorySource, utf8 } from '../../../../core/index.ts';
import { packedFiles } from '../../../testdata/packed.ts';
import type { FilesystemContext } from '../../filesystem.ts';

/** Members of the pools. */
export const pools = { plain: ['plain-1'], old: ['old-1'], parity: ['parity-1', 'parity-2', 'parity-3'], crash: ['crash-1'] } as const;

/** Bytes of a member; the same array each time. */
export const fixture: (name: string) => Promise<Uint8Array> = packedFiles((name) => `filesystems/zfs/testdata/${name}`);

/** Sources of members. */
export function sourcesOf(names: readonly string[]): Promise<MemorySource[]> {
  return Promise.all(names.map(async (name) => new MemorySource(await fixture(name))));
}

/** With the key of the encrypted dataset. */
export const context: FilesystemContext = { limits: defaultLimits, keys: [utf8('fixture-passphrase')] };
