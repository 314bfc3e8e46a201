/** Input that is the same in every run, and program files of this machine. */
import { createCipheriv } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Random-looking bytes: AES-128-CTR with the seed as key. */
export function randomBytesOf(seed: number, length: number): Uint8Array {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** The first `length` bytes of the regular files in /usr/bin and /usr/lib, by name; fewer where there are not that many. */
export function programBytes(length: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (const folder of ['/usr/bin', '/usr/lib', '/usr/lib/x86_64-linux-gnu']) {
    for (const name of namesIn(folder)) {
      if (total >= length) break;
      const path = join(folder, name);
      if (!lstatSync(path).isFile()) continue;
      const bytes = readFileSync(path);
      parts.push(bytes);
      total += bytes.length;
    }
  }
  return Buffer.concat(parts).subarray(0, length);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // not every distribution has all of them
  }
}
