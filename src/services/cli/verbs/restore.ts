/** `restore`: a tree, a directory or a file into a directory of the host. */
import { UsageError } from '../../../core/index.ts';
import { problemError } from '../../entry-error.ts';
import { openLocation, type Location } from '../../locations/index.ts';
import { restoreTree, type Overwrite } from '../../restore.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { formatBytes } from '../progress.ts';
import { totalsOf, type Totals } from '../totals.ts';

interface Options extends CommonOptions {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly overwrite: Overwrite;
  readonly sparse?: boolean;
  readonly durable?: boolean;
  readonly dryRun?: boolean;
  readonly verify?: boolean;
}

/** A disk image that was restored as the file that it is: who wanted the files in it learns where they are. */
async function noteDisk(context: Context, location: Location, text: string): Promise<void> {
  const { diskOf, filesHint } = await import('../../next-step.ts');
  const disk = await diskOf(location).catch(() => undefined);
  if (disk !== undefined) context.note(`'${text}' was restored as a file; ${await filesHint(location)}`);
}

/** Runs the verb: 3 when some entries could not be restored, 1 when no content could (a missing key, say). */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = '', target = ''] = operands;
  const location = await openLocation(text, context.opening, 'inside-root');
  try {
    if (location.place.kind === 'disk') {
      const { filesHint } = await import('../../next-step.ts');
      throw new UsageError(`Restore '${text}': ${await filesHint(location)}; 'holdfast cp' writes the disk itself to a file`);
    }
    const view = await location.node();
    const { type } = await view.tree.stat(view.id);
    const totals: Totals = context.progress.terminal ? await totalsOf(view, context.signal) : {};
    const result = await restoreTree(view, target, {
      include: options.include ?? [],
      exclude: options.exclude ?? [],
      overwrite: options.overwrite,
      sparse: options.sparse ?? false,
      durable: options.durable ?? false,
      dryRun: options.dryRun ?? false,
      verify: options.verify ?? false,
      signal: context.signal,
      onProgress: (progress) => context.progress.update({ ...progress, ...totals }),
    });
    const seconds = context.progress.seconds();
    // Files that damage took away are not in the tree: nothing but the layer itself can tell.
    const errors = [...result.errors, ...location.problems().map(problemError)];
    for (const error of errors) context.failures.add(error);
    context.failures.finish();
    for (const [name, count] of Object.entries(result.leftOut)) context.warn(`attribute '${name}' of ${count} entries has no place in '${target}': left out`);
    for (const pattern of result.unmatched) context.warn(`pattern '${pattern}' matches nothing in '${text}'`);
    const done = options.dryRun === true ? 'would restore' : 'restored';
    context.print(`${done} ${result.files} files, ${result.directories} directories, ${formatBytes(result.bytes)} in ${seconds.toFixed(1)} s; ${result.verified} verified, ${result.skipped} left alone, ${errors.length} failed`);
    if (type === 'file') await noteDisk(context, location, text);
    const nothing = errors.length > 0 && result.bytes === 0;
    return { exitCode: nothing ? 1 : errors.length > 0 ? 3 : 0, result: { ...result, errors, target, seconds } };
  } finally {
    await location.close();
  }
}
