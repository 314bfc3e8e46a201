/** What each backup in the guest contains, from its number alone, so that the host can tell what must come back. Nothing but Node's own modules: it runs in both. */
import { createHash } from 'node:crypto';

/** Files that stay the same in most rounds, and one that is always new. */
const FILES = 24;

function bytesOf(seed: string, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; parts.length * 32 < length; i += 1) parts.push(createHash('sha256').update(`${seed} ${i}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** Name and content of all files of a round. */
export function filesOf(round: number): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let i = 0; i < FILES; i += 1) {
    const version = Math.floor((round + i) / 7);
    files.set(`directory-${i % 5}/file-${i}`, bytesOf(`${i} ${version}`, 3_000 + ((i * 7919 + version * 104_729) % 60_000)));
  }
  files.set(`round-${round}`, bytesOf(`round ${round}`, 20_000));
  return files;
}
