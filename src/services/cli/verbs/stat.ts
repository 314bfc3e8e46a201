/** `stat`: one entry with all its metadata. */
import { entryRecord, formatMode, formatTime } from '../../entry-record.ts';
import { openLocation, formatPathText } from '../../locations/index.ts';
import type { DigestName } from '../../trees/content.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

interface Options extends CommonOptions {
  readonly digest?: DigestName;
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const location = await openLocation(operands[0] ?? '', context.opening);
  try {
    const { tree, id, path } = await location.browse();
    const stat = await tree.stat(id);
    const record = await entryRecord(tree, { path, name: path, id, stat }, { digest: options.digest, xattrs: true });
    context.print(`${formatMode(stat)} ${formatPathText(path.length === 0 ? Uint8Array.of(0x2f) : path)}`);
    context.print(`  size ${record.size}, links ${record.nlink}, owner ${record.uid}:${record.gid}, mode ${record.modeOctal}`);
    context.print(`  modified ${formatTime(record.mtime)} UTC (${record.mtimeNs} ns)`);
    if (record.target !== undefined) context.print(`  target ${record.target}`);
    if (record.rdev !== undefined) context.print(`  device ${record.rdev.join(', ')}`);
    for (const [name, value] of Object.entries(record.xattrs ?? {})) context.print(`  ${name} = ${String(value)} (base64)`);
    if (options.digest !== undefined) context.print(`  ${options.digest} ${record[options.digest] ?? '-'}`);
    return { exitCode: 0, result: { ...record, entries: [record] } };
  } finally {
    await location.close();
  }
}
