/** `snapshots`: what a repository holds. */
import type { SnapshotInfo } from '../../../engine/index.ts';
import { openRepository } from '../../repositories.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { snapshotLines } from '../listings.ts';

interface Options extends CommonOptions {
  readonly tag?: readonly string[];
}

/** Counts beside the rest, so that no reader needs to know which is where. */
function snapshotObject({ counts, ...info }: SnapshotInfo): object {
  return { ...info, timeText: new Date(info.time).toISOString(), ...counts };
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const repository = await openRepository(operands[0] ?? '', { keys: context.keys, onNote: context.note, cacheDirectory: context.cacheDirectory, wireKey: context.wireKey });
  try {
    const errors: { readonly snapshot: string; readonly code: string; readonly message: string }[] = [];
    const all = await repository.snapshots((snapshot, { code, message }) => {
      errors.push({ snapshot, code, message });
      context.warn(message);
    });
    const chosen = all.filter((one) => options.tag === undefined || options.tag.some((tag) => one.tags.includes(tag)));
    for (const line of snapshotLines(chosen)) context.print(line);
    return { exitCode: errors.length > 0 ? 3 : 0, result: { snapshots: chosen.map(snapshotObject), errors } };
  } finally {
    await repository.close();
  }
}
