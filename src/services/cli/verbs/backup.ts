/** `backup`: sources into one snapshot. */
import { existsSync } from 'node:fs';
import { storeSources, type BackupOptions } from '../../backup.ts';
import { openRepository } from '../../repositories.ts';
import { openSources } from '../../sources.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { formatBytes } from '../progress.ts';
import { totalsOf, type Totals } from '../totals.ts';

interface Options extends CommonOptions {
  readonly repo: string;
  readonly tag?: readonly string[];
  readonly exclude?: readonly string[];
  readonly oneFileSystem?: boolean;
  readonly parent?: string;
  readonly host?: string;
  readonly stdinFilename: string;
  readonly chunking: 'auto' | 'fastcdc' | 'fixed';
}

/** Runs the verb: 3 when the snapshot misses something, each listed; 1 when nothing at all could be read. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const { tag, exclude, oneFileSystem, parent, host, stdinFilename, chunking } = options;
  const { keys, keyNames, accounts, signal, onNote } = context.opening;
  let totals: Totals = {};
  const request: BackupOptions = {
    tags: tag ?? [], exclude: exclude ?? [], oneFileSystem: oneFileSystem ?? false, stdinFilename, chunking,
    ...(parent === undefined ? {} : { parent }), ...(host === undefined ? {} : { host }),
    ...(keys === undefined ? {} : { keys }), ...(keyNames === undefined ? {} : { keyNames }), ...(accounts === undefined ? {} : { accounts }), ...(signal === undefined ? {} : { signal }), ...(onNote === undefined ? {} : { onNote }), cacheDirectory: context.cacheDirectory, wireKey: context.wireKey,
    onProgress: (progress) => context.progress.update({ ...progress, ...totals }),
  };
  // Only what is no path of this host can be encrypted otherwise.
  const keysMayBeForOthers = operands.some((source) => source !== '-' && !existsSync(source));
  const repository = await openRepository(options.repo, { mode: 'write', keys: context.keys, keysMayBeForOthers, onNote: context.note, cacheDirectory: context.cacheDirectory, wireKey: context.wireKey });
  try {
    const sources = await openSources(operands, repository.directory === undefined ? request : { ...request, repositoryDirectory: repository.directory });
    try {
      if (context.progress.terminal) totals = await totalsOf({ tree: sources.tree, id: sources.tree.rootId, path: new Uint8Array() }, context.signal);
      const result = await storeSources(repository, sources, request);
      const seconds = context.progress.seconds();
      for (const error of result.errors) context.failures.add(error);
      context.failures.finish();
      for (const pattern of sources.unmatched()) context.warn(`pattern '${pattern}' matches nothing in the sources`);
      context.print(`snapshot ${result.snapshot}`);
      context.print(`${result.files} files (${result.unchanged} unchanged), ${formatBytes(result.bytesIn)}, ${formatBytes(result.bytesNew)} new, ${formatBytes(result.bytesStored)} stored, ${result.chunksNew} of ${result.chunks} chunks new, ${seconds.toFixed(1)} s`);
      if (result.errors.length > 0) context.print(`${result.errors.length} entries failed`);
      if (result.files + result.others === 0) context.note('the sources hold no files: the snapshot has only directories');
      const nothing = result.errors.length > 0 && result.bytesIn === 0;
      return { exitCode: nothing ? 1 : result.errors.length > 0 ? 3 : 0, result: { ...result, seconds } };
    } finally {
      await sources.close();
    }
  } finally {
    await repository.close();
  }
}
