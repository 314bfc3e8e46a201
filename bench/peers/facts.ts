/** What a reader needs to judge or repeat the figures. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { hasGnuTime } from './measure.ts';
import type { Options } from './options.ts';
import type { Tool } from './tools/tool.ts';

/** Machine and software of one run. No host name, no user name. */
export interface Facts {
  readonly startedAt: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Filesystem type under the work directory, as statfs names it. */
  readonly diskFilesystem: string;
  /** 1, 5 and 15 minutes, at the start. */
  readonly loadAverage: readonly number[];
  readonly accounting: 'wait4 (GNU time)' | '/proc sampling';
  readonly versions: Readonly<Record<string, string>>;
  /** Asked for, but not installed: not in any table. */
  readonly skipped: readonly string[];
  readonly options: Pick<Options, 'rounds' | 'smoke' | 'media' | 'sizes' | 'versionsMax'>;
}

/** Collects the facts now. `options.work` exists. */
export function collectFacts(options: Options, tools: readonly Tool[]): Facts {
  const versions = new Map(tools.map((tool) => [tool.name, tool.version()]));
  const { rounds, smoke, media, sizes, versionsMax } = options;
  return {
    startedAt: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    diskFilesystem: execFileSync('stat', ['-f', '-c', '%T', options.work], { encoding: 'utf8' }).trim(),
    loadAverage: loadavg(),
    accounting: hasGnuTime() ? 'wait4 (GNU time)' : '/proc sampling',
    versions: Object.fromEntries([...versions].flatMap(([name, version]) => (version === undefined ? [] : [[name, version]]))),
    skipped: [...versions].flatMap(([name, version]) => (version === undefined ? [name] : [])),
    options: { rounds, smoke, media, sizes, versionsMax },
  };
}
