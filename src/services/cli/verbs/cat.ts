/** `cat`: the bytes of one file on stdout. */
import { UsageError, type BlockSource } from '../../../core/index.ts';
import { entryRecord } from '../../entry-record.ts';
import { foreignImage } from '../../locations/foreign-image.ts';
import { openLocation } from '../../locations/index.ts';
import { diskHint } from '../../next-step.ts';
import { pieceBytes, readContent } from '../../trees/content.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { writeAll } from '../text-writer.ts';

interface Options extends CommonOptions {
  readonly offset?: number;
  readonly length?: number;
}

const zeroes = new Uint8Array(pieceBytes);

/** Hands a range of a source to `write`, piece by piece, holes as zeroes. */
function pour(source: BlockSource, range: { readonly from: number; readonly to: number; readonly signal: AbortSignal }, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  return readContent(source, {
    data: (_, bytes) => write(bytes),
    empty: async (_, length) => {
      for (let left = length; left > 0; left -= zeroes.length) await write(zeroes.subarray(0, Math.min(left, zeroes.length)));
    },
  }, new Uint8Array(Math.min(pieceBytes, Math.max(1, range.to - range.from))), range);
}

/** Runs the verb. With `--json` the content is in the object, as base64. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = ''] = operands;
  const location = await openLocation(text, context.opening, 'disk');
  try {
    const { tree, id, path } = await location.node();
    const stat = await tree.stat(id);
    if (stat.type !== 'file') throw new UsageError(`Write '${text}' to stdout: it is a ${stat.type}, expected a file${diskHint(location)}`);
    const source = await tree.open(id);
    try {
      // Of an image that is read, the disk in it is written: nobody may take these bytes for a disk's.
      const foreign = location.layers.length > 1 ? undefined : await foreignImage(source, text);
      if (foreign !== undefined) context.note(`'${text}' is an image of a kind that is not read ('${foreign.data['imageFormat']}'): these are the bytes of the file, not of the disk in it`);
      const from = Math.min(options.offset ?? 0, source.size);
      const range = { from, to: Math.min(source.size, from + (options.length ?? source.size)), signal: context.signal };
      if (!context.json) {
        await pour(source, range, (bytes) => writeAll(process.stdout, bytes));
        return { exitCode: 0 };
      }
      // Read to its end before a byte is written: an error must be the only object on stdout.
      const parts: Buffer[] = [];
      await pour(source, range, async (bytes) => { parts.push(Buffer.from(bytes)); });
      return { exitCode: 0, result: { entries: [await entryRecord(tree, { path, name: path, id, stat })], contentBase64: Buffer.concat(parts).toString('base64') } };
    } finally {
      await source.close();
    }
  } finally {
    await location.close();
  }
}
