/** `convert`: the disk in a location into a new image file of another format. */
import * as path from 'node:path';
import { UsageError } from '../../../core/index.ts';
import { convertDisk, writableFormat } from '../../convert.ts';
import { foreignImage } from '../../locations/foreign-image.ts';
import { openLocation, type Location } from '../../locations/index.ts';
import { diskHint } from '../../next-step.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly to: string;
}

/** Why a file is no disk to convert. */
async function noImage(location: Location, text: string): Promise<Error> {
  const { tree, id } = await location.node();
  const source = await tree.open(id);
  const foreign = await foreignImage(source, text).finally(() => source.close());
  return foreign ?? new UsageError(`Convert '${text}': it is no disk image of a known format; 'raw:FILE' says that its bytes are the disk`);
}

/** Runs the verb. A file without a magic number is a raw disk only where the caller says so: it may as well be a damaged image. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = '', out = ''] = operands;
  const format = writableFormat(options.to);
  const location = await openLocation(text, context.opening, 'inside-disk');
  try {
    const view = await location.node();
    const stat = await view.tree.stat(view.id);
    if (stat.type !== 'file') throw new UsageError(`Convert '${text}': it is a ${stat.type}, expected a disk image or a raw disk${diskHint(location)}`);
    if (!location.layers.some(({ layer }) => layer === 'image')) throw await noImage(location, text);
    const source = await view.tree.open(view.id);
    try {
      const report = await convertDisk(source, path.resolve(out), format, {
        signal: context.signal,
        onProgress: (bytes, phase) => { context.progress.update({ files: phase === 'writing' ? 0 : 1, bytes, unit: 'images', totalBytes: source.size }); },
      });
      context.print(`${report.file}: ${report.format}, ${report.bytes} bytes of disk in ${report.fileBytes} bytes of file, compared with the source`);
      return { exitCode: 0, result: { files: [report], verified: true } };
    } finally {
      await source.close();
    }
  } finally {
    await location.close();
  }
}
