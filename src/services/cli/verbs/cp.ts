/** `cp`: one file of a location to a file of the host, under its name only when complete. */
import { statSync } from 'node:fs';
import * as path from 'node:path';
import { IntegrityError, UsageError, textOf, utf8 } from '../../../core/index.ts';
import { entryRecord } from '../../entry-record.ts';
import { openLocation } from '../../locations/index.ts';
import { restoreTree } from '../../restore.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

/** Runs the verb: a restore of one file under a name of the user's choice. */
export async function run(context: Context, operands: readonly string[], _options: CommonOptions): Promise<Outcome> {
  const [text = '', target = ''] = operands;
  const location = await openLocation(text, context.opening);
  try {
    const view = await location.node();
    const stat = await view.tree.stat(view.id);
    if (stat.type !== 'file') throw new UsageError(`Copy '${text}': it is a ${stat.type}, expected a file; use 'restore'`);
    const intoDirectory = statSync(target, { throwIfNoEntry: false })?.isDirectory() === true;
    const file = path.resolve(intoDirectory ? path.join(target, path.basename(textOf(view.path))) : target);
    const result = await restoreTree({ ...view, path: utf8(`/${path.basename(file)}`) }, path.dirname(file), { signal: context.signal, durable: true });
    const content = result.errors.find(() => result.files === 0);
    if (content !== undefined) throw new IntegrityError(`Copy '${text}': ${content.message}`, { path: content.path, code: content.code });
    context.print(`${file}: ${result.bytes} bytes`);
    return { exitCode: result.errors.length > 0 ? 3 : 0, result: { file, entries: [await entryRecord(view.tree, { ...view, name: view.path, stat })], ...result } };
  } finally {
    await location.close();
  }
}
