/** `check`: damage in a repository, volumes or a tree. */
import { UsageError } from '../../../core/index.ts';
import { checkLocation, problemLine } from '../../check.ts';
import { openLocation } from '../../locations/index.ts';
import { credentialsOf } from '../../credentials.ts';
import { isEncrypted, rebuildIndex } from '../../repositories.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly readData?: boolean;
  readonly rebuildIndex?: boolean;
}

/** An encrypted repository whose index was built again without a key: that is all that can be done. */
function withoutKey(context: Context, text: string, { problems, ...rebuilt }: Awaited<ReturnType<typeof rebuildIndex>>): Outcome {
  for (const problem of problems) context.print(problemLine(problem));
  context.print(`${text}: index of ${rebuilt.chunks} chunks in ${rebuilt.containers} containers built again; nothing else was checked, because the repository is encrypted and no key was given`);
  return { exitCode: problems.length === 0 ? 0 : 1, result: { ok: problems.length === 0, problems, rebuilt, checked: false, seconds: context.progress.seconds() } };
}

/** Runs the verb: exit code 1 when there is any problem. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = ''] = operands;
  if (options.rebuildIndex === true && text.includes('::')) throw new UsageError(`Rebuild the index of '${text}': name the repository alone`);
  const rebuilt = options.rebuildIndex === true ? await rebuildIndex(text, { onNote: context.note, cacheDirectory: context.cacheDirectory }) : undefined;
  if (rebuilt !== undefined && credentialsOf(context.keys).length === 0 && await isEncrypted(text, context)) return withoutKey(context, text, rebuilt);
  const location = await openLocation(text, context.opening, 'inside');
  try {
    const report = await checkLocation(location, {
      readData: options.readData ?? false,
      signal: context.signal,
      onProgress: (progress) => context.progress.update(progress),
    });
    context.progress.clear();
    for (const problem of report.problems) context.print(problemLine(problem));
    context.print(report.ok ? `${text}: no damage found` : `${text}: ${report.problems.length} problems`);
    const result = { ok: report.ok, problems: report.problems, ...report.counts, ...(rebuilt === undefined ? {} : { rebuilt }), seconds: context.progress.seconds() };
    return { exitCode: report.ok ? 0 : 1, result };
  } finally {
    await location.close();
  }
}
