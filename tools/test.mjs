/**
 * Runs the unit tests that have a source: `node tools/test.mjs [FOLDER…]`, by default all of them. Files are named one by
 * one because Node 20 takes folders and no globs, and newer versions globs and no folders.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const roots = ['src', 'plugins', 'lab', 'soak', 'bench', 'tools'];

/** Test files to run, relative to `root`: compiled ones of `*.test.ts`, and `*.test.mjs` as they are. */
export function testFiles(root, folders = roots) {
  const present = folders.filter((folder) => fs.existsSync(path.join(root, folder)));
  const names = present.flatMap((folder) => fs.readdirSync(path.join(root, folder), { recursive: true }).map((name) => path.join(folder, String(name))));
  const compiled = names.filter((name) => name.endsWith('.test.ts')).map((name) => path.join('dist', name.replace(/\.ts$/, '.js')));
  return [...compiled, ...names.filter((name) => name.endsWith('.test.mjs'))].sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = path.resolve(path.dirname(process.argv[1]), '..');
  const folders = process.argv.slice(2);
  const files = testFiles(root, folders.length === 0 ? roots : folders);
  const missing = files.filter((name) => !fs.existsSync(path.join(root, name)));
  if (files.length === 0 || missing.length > 0) {
    console.error(files.length === 0 ? 'Run tests: none found' : `Run tests: not compiled: ${missing.join(' ')}`);
    process.exit(1);
  }
  // By itself node leaves one core idle: half of a small machine.
  const result = spawnSync(process.execPath, ['--test', `--test-concurrency=${availableParallelism()}`, '--test-reporter=spec', ...files], { cwd: root, stdio: 'inherit' });
  process.exitCode = result.status ?? 1;
}
