/** `clone`: a consistent copy of a repository. */
import { cloneLocation } from '../../clone.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { formatBytes } from '../progress.ts';

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: CommonOptions & { readonly cacheDir?: string }): Promise<Outcome> {
  const [from = '', to = ''] = operands;
  const report = await cloneLocation(from, to, {
    signal: context.signal, cacheDirectory: options.cacheDir,
    onProgress: ({ objects, bytes, totalObjects, totalBytes }) => { context.progress.update({ files: objects, bytes, totalFiles: totalObjects, totalBytes, unit: 'objects' }); },
  });
  context.progress.clear();
  context.print(`${to}: ${report.snapshots} snapshots, ${report.objectsCopied} of ${report.objects} objects copied, ${formatBytes(report.bytesCopied)}`);
  return { exitCode: 0, result: { ...report, durable: true, seconds: context.progress.seconds() } };
}
