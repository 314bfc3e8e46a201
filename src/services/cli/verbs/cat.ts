/** `cat`: the bytes of one file on stdout. */
import { UsageError } from '../../../core/index.ts';
import { openLocation } from '../../locations/index.ts';
import { pieceBytes, readContent } from '../../trees/content.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { writeAll } from '../text-writer.ts';

interface Options extends CommonOptions {
  readonly offset?: number;
  readonly length?: number;
}

const zeroes = new Uint8Array(pieceBytes);

/** Runs the verb. With `--json` the content still goes to stdout, so that combination is refused. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = ''] = operands;
  if (context.json) throw new UsageError("Write a file to stdout: '--json' has no room there; use 'stat --json --digest sha256'");
  const location = await openLocation(text, context.opening);
  try {
    const { tree, id } = await location.node();
    const { type } = await tree.stat(id);
    if (type !== 'file') throw new UsageError(`Write '${text}' to stdout: it is a ${type}, expected a file`);
    const source = await tree.open(id);
    try {
      const from = Math.min(options.offset ?? 0, source.size);
      const to = Math.min(source.size, from + (options.length ?? source.size));
      await readContent(source, {
        data: (_, bytes) => writeAll(process.stdout, bytes),
        empty: async (_, length) => {
          for (let left = length; left > 0; left -= zeroes.length) await writeAll(process.stdout, zeroes.subarray(0, Math.min(left, zeroes.length)));
        },
      }, new Uint8Array(Math.min(pieceBytes, Math.max(1, to - from))), { from, to, signal: context.signal });
    } finally {
      await source.close();
    }
    return { exitCode: 0 };
  } finally {
    await location.close();
  }
}
