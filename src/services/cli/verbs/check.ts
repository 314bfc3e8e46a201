/** `check`: damage in a repository, volumes or a tree; repair of a repository. */
import { UsageError } from '../../../core/index.ts';
import type { ReadSelection } from '../../../engine/index.ts';
import { checkLocation, checkProgress, problemLine } from '../../check.ts';
import { openLocation } from '../../locations/index.ts';
import { credentialsOf } from '../../credentials.ts';
import { isEncrypted, rebuildIndex, repairRepository } from '../../repositories.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { percentOf } from '../percent.ts';

interface Options extends CommonOptions {
  readonly readData?: boolean;
  readonly readDataSubset?: string;
  readonly budget?: string;
  readonly repair?: boolean;
  readonly addParity?: string;
  readonly dryRun?: boolean;
  readonly rebuildIndex?: boolean;
}

/** An encrypted repository whose index was built again without a key: that is all that can be done. */
function withoutKey(context: Context, text: string, { problems, ...rebuilt }: Awaited<ReturnType<typeof rebuildIndex>>): Outcome {
  for (const problem of problems) context.print(problemLine(problem));
  context.print(`${text}: index of ${rebuilt.chunks} chunks in ${rebuilt.containers} containers built again; nothing else was checked, because the repository is encrypted and no key was given`);
  return { exitCode: problems.length === 0 ? 0 : 1, result: { ok: problems.length === 0, problems, rebuilt, checked: false, seconds: context.progress.seconds() } };
}

function selectionOf({ readData = false, readDataSubset, budget }: Options): boolean | ReadSelection {
  if (readDataSubset !== undefined && budget !== undefined) throw new UsageError('Read a part of the data: choose --read-data-subset or --budget');
  if (budget !== undefined) return { budgetPercent: percentOf(budget, '--budget') };
  if (readDataSubset === undefined) return readData;
  const [, part, parts] = /^(\d+)\/(\d+)$/.exec(readDataSubset) ?? [];
  return part === undefined || parts === undefined ? { percent: percentOf(readDataSubset, '--read-data-subset') } : { part: Number(part), parts: Number(parts) };
}

async function repair(context: Context, text: string, options: Options): Promise<Outcome> {
  const problems: { readonly kind: string; readonly where: string; readonly message: string }[] = [];
  const selection = selectionOf(options);
  const { dryRun, actions, before, after, ...counts } = await repairRepository(text, {
    dryRun: options.dryRun ?? false, signal: context.signal, onNote: context.note, keys: context.keys, cacheDirectory: context.cacheDirectory,
    ...(selection === false ? {} : { readData: selection }),
    ...(options.addParity === undefined ? {} : { addParity: percentOf(options.addParity, '--add-parity') }),
    onProblem: (problem) => { problems.push(problem); },
    onProgress: (progress) => context.progress.update(checkProgress(progress)),
  });
  context.progress.clear();
  for (const { action, name, message } of actions) context.print(`${dryRun ? 'would be ' : ''}${action}: ${name}: ${message}`);
  for (const problem of problems) context.print(problemLine(problem));
  const { saved, foundElsewhere, lost } = counts;
  if (saved + foundElsewhere + lost > 0) context.print(`${saved} chunks saved, ${foundElsewhere} found elsewhere, ${lost} lost: a backup of the same content brings those back`);
  const ok = problems.length === 0;
  context.print(ok ? `${text}: no damage ${actions.length === 0 ? 'found' : 'left'}` : `${text}: ${problems.length} problems ${dryRun ? 'now' : 'left'}`);
  return { exitCode: ok ? 0 : 1, result: { ok, dryRun, actions, problems, ...counts, before, ...(after === undefined ? {} : { after }), seconds: context.progress.seconds() } };
}

/** Runs the verb: exit code 1 when there is any problem, after a repair any that is left. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = ''] = operands;
  if ((options.rebuildIndex === true || options.repair === true) && text.includes('::')) throw new UsageError(`Repair '${text}': name the repository alone`);
  if (options.repair !== true && (options.addParity !== undefined || options.dryRun === true)) throw new UsageError('Check with --add-parity or --dry-run: they go with --repair');
  const rebuilt = options.rebuildIndex === true ? await rebuildIndex(text, { onNote: context.note, cacheDirectory: context.cacheDirectory }) : undefined;
  if (rebuilt !== undefined && credentialsOf(context.keys).length === 0 && await isEncrypted(text, context)) return withoutKey(context, text, rebuilt);
  if (options.repair === true) return repair(context, text, options);
  const location = await openLocation(text, context.opening, 'inside-disk');
  try {
    const report = await checkLocation(location, {
      readData: selectionOf(options),
      signal: context.signal,
      onProgress: (progress) => context.progress.update(progress),
    });
    context.progress.clear();
    for (const problem of report.problems) context.print(problemLine(problem));
    context.print(report.ok ? `${text}: no damage found` : `${text}: ${report.problems.length} problems`);
    const { verifiedSince } = report.counts;
    if (typeof verifiedSince === 'number') context.print(`everything was read since ${new Date(verifiedSince).toISOString()}`);
    const result = { ok: report.ok, problems: report.problems, ...report.counts, ...(rebuilt === undefined ? {} : { rebuilt }), seconds: context.progress.seconds() };
    return { exitCode: report.ok ? 0 : 1, result };
  } finally {
    await location.close();
  }
}
