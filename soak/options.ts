/** Command line of `npm run soak`. */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { UsageError } from '../src/core/index.ts';
import type { Settings } from './journal.ts';
import type { Policy } from './store.ts';

/** Everything a run needs to know. */
export interface Options {
  readonly mode: 'real' | 'simulated';
  /** Real seconds, or simulated days. */
  readonly length: number;
  readonly seed: number | undefined;
  readonly corpusMebibytes: number;
  /** Real seconds from the start of a cycle to the start of the next; a cycle that takes longer is followed at once. */
  readonly everySeconds: number;
  /** State of the run; a real one that finds its own there goes on. */
  readonly work: string;
  /** Where the report goes; undefined: into `work`. */
  readonly out: string | undefined;
  /** Name of the report's files. */
  readonly name: string;
}

/** Simulated backups per day. */
export const CYCLES_PER_DAY = 2;

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const SPEC = {
  'days': { type: 'string' },
  'hours': { type: 'string' },
  'minutes': { type: 'string' },
  'simulated-days': { type: 'string' },
  'seed': { type: 'string' },
  'corpus-mib': { type: 'string' },
  'every': { type: 'string' },
  'work': { type: 'string' },
  'out': { type: 'string' },
  'name': { type: 'string' },
} as const;
const units = { days: DAY_S, hours: HOUR_S, minutes: 60 } as const;

/** What snapshots are kept: enough rules that both short and long ones are at work in either mode. */
export function policyOf(mode: Options['mode']): Policy {
  return mode === 'real' ? { last: 6, hourly: 12, daily: 7, weekly: 0, monthly: 0 } : { last: 3, hourly: 0, daily: 7, weekly: 3, monthly: 2 };
}

/** The line that repeats a run. */
export function replayLine(settings: Settings): string {
  const length = settings.mode === 'real' ? `--minutes ${settings.length / 60}` : `--simulated-days ${settings.length}`;
  return `npm run soak -- ${length} --seed ${settings.seed} --corpus-mib ${settings.corpusMebibytes}`;
}

/** Reads the arguments after the script's name. @throws {UsageError} */
export function parseOptions(args: readonly string[]): Options {
  const values = parse(args);
  const given = Object.keys(values).filter((name) => name in units || name === 'simulated-days');
  const [unit = ''] = given;
  if (given.length !== 1) throw new UsageError(`Give exactly one of '--days', '--hours', '--minutes' and '--simulated-days': found '${given.length}'`);
  const mode = unit === 'simulated-days' ? 'simulated' : 'real';
  const length = positive(unit, values[unit as keyof typeof units]) * (mode === 'real' ? units[unit as keyof typeof units] : 1);
  return {
    mode, length,
    seed: values.seed === undefined ? undefined : positive('seed', values.seed),
    corpusMebibytes: positive('corpus-mib', values['corpus-mib'] ?? (mode === 'real' ? '64' : '12')),
    everySeconds: values.every === undefined ? (length >= DAY_S ? 600 : 0) : positive('every', values.every),
    work: resolve(values.work ?? join(tmpdir(), 'holdfast-soak')),
    out: values.out === undefined ? undefined : resolve(values.out),
    name: values.name ?? 'soak',
  };
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof SPEC }>>['values'] {
  try {
    return parseArgs({ args: [...args], options: SPEC, strict: true }).values;
  } catch (error) {
    throw new UsageError(`Give only known options: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function positive(name: string, text: string | undefined): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new UsageError(`Give --${name} as a positive number: found '${text ?? ''}'`);
  return value;
}
