/** `gc`: removes what no snapshot needs. */
import { UsageError } from '../../../core/index.ts';
import type { CollectReport, Repository } from '../../../engine/index.ts';
import { openDirectRepository } from '../../repositories.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { formatBytes } from '../progress.ts';

/** Options of a collection, as `forget --gc` has them too. */
export interface GcOptions {
  readonly dryRun?: boolean;
  readonly wait?: string;
  readonly fenceAfter?: string;
  readonly maxUnused?: string;
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `2h`, `3d` in milliseconds. */
function milliseconds(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  if (match === null) throw new UsageError(`Read time '${text}': write a number with s, m, h or d, such as '10m'`);
  return Number(match[1]) * (units[match[2] ?? ''] ?? 0);
}

function share(text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0 && value <= 1)) throw new UsageError(`Read share '${text}': write a number from 0 to 1`);
  return value;
}

function lines(report: CollectReport): readonly string[] {
  const { dryRun } = report;
  return [
    `${report.containers} containers, ${formatBytes(report.bytes)}: ${report.containersDead} not needed, ${report.containersSparse} mostly not needed`,
    dryRun
      ? `would reclaim about ${formatBytes(report.bytesReclaimed)}`
      : `removed ${report.containersRemoved} containers and ${report.snapshotsRemoved} forgotten snapshots, copied ${report.chunksCopied} chunks: ${formatBytes(report.bytesReclaimed)} reclaimed`,
  ];
}

/** Collects and prints; a run that has to wait for others is no failure: the next one goes on. */
export async function collectGarbage(repository: Repository, context: Context, options: GcOptions): Promise<CollectReport> {
  const report = await repository.collect({
    dryRun: options.dryRun ?? false, signal: context.signal,
    ...(options.wait === undefined ? {} : { waitMs: milliseconds(options.wait) }),
    ...(options.fenceAfter === undefined ? {} : { fenceAfterMs: milliseconds(options.fenceAfter) }),
    ...(options.maxUnused === undefined ? {} : { maxUnused: share(options.maxUnused) }),
    onProgress: ({ phase, done, total }) => { context.progress.update({ files: done, bytes: 0, totalFiles: total, unit: `${phase}: steps` }); },
  });
  context.progress.clear();
  for (const line of lines(report)) context.print(line);
  for (const { writer, id } of report.waitingFor) {
    context.warn(`waiting for the backup of process ${writer.pid} on '${writer.host}' (session ${id.slice(0, 12)}): the next gc goes on when it has ended`);
  }
  return report;
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: CommonOptions & GcOptions): Promise<Outcome> {
  const repository = await openDirectRepository(operands[0] ?? '', { mode: 'write', keys: context.keys, onNote: context.note, cacheDirectory: context.cacheDirectory });
  try {
    const report = await collectGarbage(repository, context, options);
    return { exitCode: 0, result: { ...report, seconds: context.progress.seconds() } };
  } finally {
    await repository.close();
  }
}
