/** `diff`: what two locations differ in. Differences are a result, not a failure. */
import { UsageError, utf8, type TreeProblem } from '../../../core/index.ts';
import { diffTrees, type DiffEntry } from '../../diff.ts';
import { openLocation, type Location } from '../../locations/index.ts';
import { formatPathText } from '../../locations/path-text.ts';
import { diskOf, filesHint } from '../../next-step.ts';
import type { TreeView } from '../../trees/walk.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly quick?: boolean;
}

type Side = readonly [Location, TreeView];

/** A disk has nothing in common with a directory. @throws {UsageError} saying where its files are. */
async function refuseMixture(...sides: readonly [Side, Side]): Promise<void> {
  const types = await Promise.all(sides.map(([, { tree, id }]) => tree.stat(id)));
  for (const [i, [location]] of sides.entries()) {
    if (types[i]?.type !== 'file' || types[1 - i]?.type !== 'directory' || await diskOf(location) === undefined) continue;
    throw new UsageError(`Compare '${location.text}' with a directory: ${await filesHint(location)}`);
  }
}

/** Runs the verb: 0 with or without differences, 3 when something could not be compared. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [first = '', second = ''] = operands;
  const a = await openLocation(first, context.opening, 'inside-root');
  try {
    const b = await openLocation(second, context.opening, 'inside-root');
    try {
      const added: DiffEntry[] = [];
      const removed: DiffEntry[] = [];
      const changed: DiffEntry[] = [];
      const errors: TreeProblem[] = [];
      const keep = (list: DiffEntry[], sign: string) => (entry: DiffEntry): void => {
        if (context.json) list.push(entry);
        context.print(`${sign} ${formatPathText(entry.pathBase64 === undefined ? utf8(entry.path) : Buffer.from(entry.pathBase64, 'base64'))}${entry.what === undefined ? '' : ` (${entry.what.join(', ')})`}`);
      };
      const [left, right] = [await a.node(), await b.node()];
      await refuseMixture([a, left], [b, right]);
      await diffTrees(left, right, {
        quick: options.quick ?? false,
        signal: context.signal,
        onAdded: keep(added, '+'),
        onRemoved: keep(removed, '-'),
        onChanged: keep(changed, '~'),
        onProblem: (problem) => {
          errors.push(problem);
          context.failures.add({ path: `${problem.kind} at ${problem.where}`, message: problem.message });
        },
        onProgress: (progress) => context.progress.update(progress),
      });
      context.failures.finish();
      return { exitCode: errors.length > 0 ? 3 : 0, result: { added, removed, changed, errors } };
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
}
