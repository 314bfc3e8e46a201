/** Command line of `npm run bench:peers`. */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { UsageError } from '../../src/core/index.ts';

/** Where stores and restore targets live during a run. Sources are always on the work directory's disk, warm. */
export type Medium = 'tmpfs' | 'disk';

/** Sizes of the generated corpora. A cached corpus is rebuilt when the size it was made with differs. */
export interface CorpusSizes {
  /** Bytes of the `usr` and `random` corpora. */
  readonly fileBytes: number;
  /** Bytes of one image of the `images` series. */
  readonly imageBytes: number;
  /** Bytes of the first version of the `logs` series. */
  readonly logBytes: number;
  /** Number of files of the `small` corpus. */
  readonly smallFiles: number;
}

/** Everything a run needs to know. Empty lists mean "all". */
export interface Options {
  readonly work: string;
  /** Directory for the two result files; undefined means the default of run.ts. */
  readonly out: string | undefined;
  readonly rounds: number;
  readonly smoke: boolean;
  readonly media: readonly Medium[];
  readonly corpora: readonly string[];
  readonly classes: readonly string[];
  readonly tools: readonly string[];
  /** Versions of a series that are used, oldest first. */
  readonly versionsMax: number;
  readonly sizes: CorpusSizes;
}

const MIB = 1 << 20;

const SPEC = {
  'work': { type: 'string' },
  'out': { type: 'string' },
  'rounds': { type: 'string' },
  'media': { type: 'string' },
  'corpora': { type: 'string', default: '' },
  'classes': { type: 'string', default: '' },
  'tools': { type: 'string', default: '' },
  'mib': { type: 'string' },
  'image-mib': { type: 'string' },
  'log-mib': { type: 'string' },
  'versions': { type: 'string' },
  'files': { type: 'string' },
  'smoke': { type: 'boolean', default: false },
} as const;

/**
 * Reads the arguments after the script's name.
 * @throws UsageError for an unknown option, medium or a count that is not a positive integer.
 */
export function parseOptions(args: readonly string[]): Options {
  const values = parse(args);
  const smoke = values.smoke === true;
  const media = list(values.media ?? (smoke ? 'tmpfs' : 'tmpfs,disk'));
  for (const medium of media) {
    if (medium !== 'tmpfs' && medium !== 'disk') throw new UsageError(`Choose media from 'tmpfs,disk': found '${medium}'`);
  }
  return {
    work: resolve(values.work ?? join(process.env['TMPDIR'] ?? tmpdir(), 'holdfast-bench')),
    out: values.out === undefined ? undefined : resolve(values.out),
    rounds: count('rounds', values.rounds, smoke ? 1 : 3),
    smoke,
    media: media as Medium[],
    corpora: list(values.corpora),
    classes: list(values.classes),
    tools: list(values.tools),
    versionsMax: count('versions', values.versions, smoke ? 2 : 10),
    sizes: {
      fileBytes: count('mib', values.mib, smoke ? 32 : 512) * MIB,
      imageBytes: count('image-mib', values['image-mib'], smoke ? 32 : 384) * MIB,
      logBytes: count('log-mib', values['log-mib'], smoke ? 4 : 55) * MIB,
      smallFiles: count('files', values.files, smoke ? 1000 : 100_000),
    },
  };
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof SPEC }>>['values'] {
  try {
    return parseArgs({ args: [...args], options: SPEC, strict: true }).values;
  } catch (error) {
    throw new UsageError(`Give only known options: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function list(text: string | undefined): string[] {
  return (text ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '');
}

function count(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`Give --${name} as a positive integer: found '${text}'`);
  return value;
}
