/**
 * A corpus is one directory per version, made once and cached. Same seed and size give the same bytes on every machine,
 * except where the description says that the machine's own /usr goes in.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CorpusSizes } from '../options.ts';

/** How to make a corpus. */
export interface Corpus {
  readonly name: string;
  readonly description: string;
  readonly versions: number;
  /** What the result depends on besides the code: the cache key. */
  parameters(sizes: CorpusSizes): Readonly<Record<string, number>>;
  /** Fills `directories`, which exist and are empty, one per version. */
  build(directories: readonly string[], sizes: CorpusSizes): Promise<void>;
}

/** Increase when a generator's output changes, so that stale caches are not used. */
const GENERATION = 2;

/** Makes the corpus under `cache`, or finds it there. Returns the version directories, oldest first. */
export async function prepareCorpus(corpus: Corpus, cache: string, sizes: CorpusSizes): Promise<string[]> {
  const base = join(cache, corpus.name);
  const directories = Array.from({ length: corpus.versions }, (_, version) => join(base, `v${version}`));
  const key = JSON.stringify({ generation: GENERATION, versions: corpus.versions, ...corpus.parameters(sizes) });
  const keyFile = join(base, 'key.json');
  if (existsSync(keyFile) && readFileSync(keyFile, 'utf8') === key) return directories;
  rmSync(base, { recursive: true, force: true });
  for (const directory of directories) mkdirSync(directory, { recursive: true });
  await corpus.build(directories, sizes);
  writeFileSync(keyFile, key);
  return directories;
}
