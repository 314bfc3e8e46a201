/** Chunk ids: BLAKE3 native and in WebAssembly against SHA-256 of OpenSSL; each plain, and keyed as in encrypted repositories. */
import { createHasher } from '../../src/engine/hashing/hasher.ts';
import type { Hasher } from '../../src/engine/hashing/hasher.ts';
import { randomBytesOf } from './inputs.ts';
import type { Suite } from './suite.ts';

const KIB = 1024;

async function withoutNative(key?: Uint8Array): Promise<Hasher> {
  const before = process.env['HOLDFAST_NO_NATIVE'];
  process.env['HOLDFAST_NO_NATIVE'] = '1';
  try {
    return await createHasher('blake3', key);
  } finally {
    if (before === undefined) delete process.env['HOLDFAST_NO_NATIVE'];
    else process.env['HOLDFAST_NO_NATIVE'] = before;
  }
}

/** Hashes chunks of 16 KiB and 1 MiB. Where there is no native BLAKE3, the WebAssembly one stands alone. */
export async function hashSuite(): Promise<Suite> {
  const hashers: { readonly label: string; readonly hasher: Hasher }[] = [];
  for (const key of [undefined, randomBytesOf(7, 32)]) {
    for (const hasher of [await createHasher('sha256', key), await createHasher('blake3', key), await withoutNative(key)]) {
      const label = `${hasher.name} ${hasher.implementation}${key === undefined ? '' : ', keyed'}`;
      if (!hashers.some((other) => other.label === label)) hashers.push({ label, hasher });
    }
  }
  const id = new Uint8Array(32);
  const cases = [16 * KIB, 1024 * KIB].flatMap((length) => {
    const data = randomBytesOf(2, length);
    return hashers.map(({ label, hasher }) => ({
      name: label, group: `${length / KIB} KiB`, amount: length,
      run: () => { hasher.digestInto(data, id, 0); },
    }));
  });
  return { title: 'Hashing', unit: 'bytes', cases };
}
