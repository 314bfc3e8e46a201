/** `check`: damage in a repository, volumes or a tree; repair of a repository. */
import { UsageError, utf8 } from '../../../core/index.ts';
import type { ReadSelection } from '../../../engine/index.ts';
import { checkLocation, checkProgress, problemLine, type CheckReport } from '../../check.ts';
import type { CheckedPart } from '../../check-disk.ts';
import { formatPathText, openLocation } from '../../locations/index.ts';
import { credentialsOf } from '../../credentials.ts';
import { isDaemonPlace } from '../../daemon-place.ts';
import { isEncrypted, rebuildIndex, repairRepository } from '../../repositories.ts';
import { objectsNeeded } from '../../repository-place.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { percentOf } from '../percent.ts';
import { formatBytes } from '../progress.ts';
import { alignColumns } from '../table.ts';

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

/** What was looked at of a part, and why no more. */
function partWords({ holds, checked, why, files = 0, directories = 0, bytes = 0 }: CheckedPart): string {
  if (checked === 'nothing') return `not checked: ${why ?? ''}`;
  if (checked === 'table') return why ?? '';
  const content = checked === 'content' ? `all read, ${formatBytes(bytes)} of content` : 'names, attributes and maps read, content only with --read-data';
  const words = holds === undefined ? 'all bytes read' : `${files} files, ${directories} directories: ${content}`;
  return why === undefined ? words : `${words}; ${why}`;
}

/** Locations are shown as they go on behind what the user typed. */
function partCells(text: string, part: CheckedPart): readonly string[] {
  const { location, holds, type, size } = part;
  const shown = location.startsWith(text) ? location.slice(text.length) : location;
  return [shown === '' ? 'disk' : shown, holds ?? type, formatBytes(size), partWords(part)].map((cell) => formatPathText(utf8(cell)));
}

function printReport(context: Context, text: string, { ok, problems, errors, counts }: CheckReport): void {
  const { verifiedSince, parts } = counts;
  const rows = Array.isArray(parts) ? parts as readonly CheckedPart[] : [];
  for (const line of alignColumns(rows.map((part) => partCells(text, part)), [2])) context.print(line);
  for (const { location, remarks = [] } of rows) for (const remark of remarks) context.print(`remark at ${formatPathText(utf8(`${location}: ${remark}`))}`);
  for (const problem of problems) context.print(problemLine(problem));
  for (const error of errors) context.failures.add(error);
  context.failures.finish();
  context.print(ok ? `${text}: no damage found${errors.length === 0 ? '' : ' in what could be checked'}` : `${text}: ${problems.length} problems`);
  if (typeof verifiedSince === 'number') context.print(`everything was read since ${new Date(verifiedSince).toISOString()}`);
}

/** Runs the verb: exit code 1 when there is any problem, after a repair any that is left; 3 when something could not be looked at. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = ''] = operands;
  if ((options.rebuildIndex === true || options.repair === true) && text.includes('::')) throw new UsageError(`Repair '${text}': name the repository alone`);
  if (isDaemonPlace(text) && !text.includes('::')) throw objectsNeeded(text); // also without a key of the wire, which would not help
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
    printReport(context, text, report);
    const result = { ok: report.ok, problems: report.problems, errors: report.errors, ...report.counts, ...(rebuilt === undefined ? {} : { rebuilt }), seconds: context.progress.seconds() };
    return { exitCode: report.ok ? report.errors.length === 0 ? 0 : 3 : 1, result };
  } finally {
    await location.close();
  }
}
