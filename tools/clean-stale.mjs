/** Removes compiled files whose source is gone, so that a deleted test or module cannot run on. Part of every build. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const emitted = /\.(?:js|js\.map|d\.ts|d\.ts\.map)$/;

/** Deletes stale files below `root/dist`. @returns {string[]} their paths relative to `root`, in ascending order */
export function cleanStale(root) {
  const dist = path.join(root, 'dist');
  if (!fs.existsSync(dist)) return [];
  // The bundle has no sources of its own; each build writes it anew.
  const names = fs.readdirSync(dist, { recursive: true }).map(String).filter((name) => emitted.test(name) && !name.startsWith(`cli${path.sep}`));
  const stale = names.filter((name) => !fs.existsSync(path.join(root, name.replace(emitted, '.ts'))));
  for (const name of stale) fs.rmSync(path.join(dist, name));
  return stale.map((name) => path.join('dist', name)).sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of cleanStale(path.resolve(path.dirname(process.argv[1]), '..'))) console.log(`removed '${name}': its source is gone`);
}
