/** Is the restored tree the source? Names, sizes and SHA-256 of all files, outside every timing. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { filesIn } from './source.ts';

/** Digest over the sorted list of relative paths and file digests below `directory`. */
export function treeDigest(directory: string): string {
  const lines: string[] = [];
  const buffer = Buffer.alloc(1 << 20);
  for (const path of filesIn(directory)) lines.push(`${fileDigest(path, buffer)} ${relative(directory, path)}`);
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}

/**
 * Where a restore put the source's content: `target`, or below it when the tool recreated leading directories
 * (each of which is then the only entry of its parent).
 */
export function restoredRoot(target: string, source: string): string {
  const wanted = new Set(readdirSync(source));
  let root = target;
  for (;;) {
    const names = readdirSync(root);
    const only = names.length === 1 ? names[0] : undefined;
    if (only === undefined || wanted.has(only) || !statSync(join(root, only)).isDirectory()) return root;
    root = join(root, only);
  }
}

/** Sum of the sizes of all files below a path, in bytes: what `du --apparent-size` counts, less the directories. */
export function storedBytes(repo: string): number {
  let bytes = 0;
  for (const path of filesIn(repo)) bytes += statSync(path).size;
  return bytes;
}

function fileDigest(path: string, buffer: Buffer): string {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) hash.update(buffer.subarray(0, length));
  closeSync(file);
  return hash.digest('hex');
}
