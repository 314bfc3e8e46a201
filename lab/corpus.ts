/**
 * The corpora of real Bacula volumes and of disk images: a folder with `bacula-public/` and `images-public/`, or with a script `unpack DIR bacula|images` that makes them.
 * It is looked for in HOLDFAST_CORPUS, else in `../shared/corpus` beside the repository, and unpacked once to `.cache/`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from './environment.ts';

/** Where the corpus is, or why it cannot be had; `broken` when something is there that should have been the corpus. */
export type CorpusLookup = { readonly folder: string } | { readonly reason: string; readonly broken: boolean };

/** Sets of the corpus. */
export type CorpusSet = 'bacula-public' | 'images-public';

function unpack(script: string, setName: CorpusSet): CorpusLookup {
  const target = path.join(repositoryRoot(), '.cache', 'corpus');
  const folder = path.join(target, setName);
  if (existsSync(folder)) return { folder };
  mkdirSync(target, { recursive: true });
  const result = spawnSync(script, [target, setName.split('-')[0] ?? ''], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status === 0 && existsSync(folder)) return { folder };
  return { reason: `'${script}' failed: ${result.error?.message ?? result.stderr.trim()}`, broken: true };
}

/** Finds the corpus and unpacks it when that has not been done yet. Never throws. */
export function findCorpus(setName: CorpusSet = 'bacula-public'): CorpusLookup {
  const given = process.env['HOLDFAST_CORPUS'];
  const base = given ?? path.join(repositoryRoot(), '..', 'shared', 'corpus');
  if (existsSync(path.join(base, setName))) return { folder: path.join(base, setName) };
  if (existsSync(path.join(base, 'unpack'))) return unpack(path.join(base, 'unpack'), setName);
  if (given === undefined && !existsSync(base)) return { reason: 'HOLDFAST_CORPUS is not set', broken: false };
  return { reason: `'${base}' holds neither '${setName}' nor 'unpack'`, broken: true };
}
