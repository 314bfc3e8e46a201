/** Chunk ids: BLAKE3 native and in WebAssembly against SHA-256 of OpenSSL. */
import { createHasher } from '../../src/engine/hashing/hasher.ts';
import type { Hasher } from '../../src/engine/hashing/hasher.ts';
import { randomBytesOf } from './inputs.ts';
import type { Suite } from './suite.ts';

const KIB = 1024;

async function withoutNative(): Promise<Hasher> {
  const before = process.env['HOLDFAST_NO_NATIVE'];
  process.env['HOLDFAST_NO_NATIVE'] = '1';
  try {
    return await createHasher('blake3');
  } finally {
    if (before === undefined) delete process.env['HOLDFAST_NO_NATIVE'];
    else process.env['HOLDFAST_NO_NATIVE'] = before;
  }
}

/** Hashes chunks of 16 KiB and 1 MiB. Where there is no native BLAKE3, the WebAssembly one stands alone. */
export async function hashSuite(): Promise<Suite> {
  const hashers = [await createHasher('sha256'), await createHasher('blake3'), await withoutNative()]
    .filter((hasher, i, all) => all.findIndex((other) => other.name === hasher.name && other.implementation === hasher.implementation) === i);
  const id = new Uint8Array(32);
  const cases = [16 * KIB, 1024 * KIB].flatMap((length) => {
    const data = randomBytesOf(2, length);
    return hashers.map((hasher) => ({
      name: `${hasher.name} ${hasher.implementation}`, group: `${length / KIB} KiB`, amount: length,
      run: () => { hasher.digestInto(data, id, 0); },
    }));
  });
  return { title: 'Hashing', unit: 'bytes', cases };
}
