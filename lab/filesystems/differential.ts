/** Compares what a reader of ours sees with what the kernel (or another driver that mounts) sees. */
import type { FileTree } from '../../src/core/index.ts';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { differencesOf, surveyTree, type CompareOptions } from './entry-facts.ts';

export type { CompareOptions, FactName } from './entry-facts.ts';

/**
 * Every difference between `found` and `kernel`, each read whole: paths, types, modes, owners, times, sizes, bytes, hard links, targets,
 * devices, attributes. One line of text each.
 */
export async function compareTrees(found: FileTree, kernel: FileTree, options: CompareOptions = {}): Promise<readonly string[]> {
  const seen = await surveyTree(found, options, false);
  return differencesOf(seen, await surveyTree(kernel, options, false), options);
}

/** The same with a directory that is mounted: `compareTrees` with a {@link PosixTree} over it. */
export async function compareWithMount(found: FileTree, directory: string, options: CompareOptions = {}): Promise<readonly string[]> {
  const kernel = new PosixTree({ root: Buffer.from(directory) });
  try {
    return await compareTrees(found, kernel, options);
  } finally {
    await kernel.close();
  }
}
