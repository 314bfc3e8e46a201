/** Runs one verb: signals, errors, JSON, exit codes. */
import { HoldfastError, UsageError, type ErrorData } from '../../core/index.ts';
import { errorCode, errorMessage } from '../entry-error.ts';
import { hostAccounts, mappedAccounts } from '../locations/accounts.ts';
import { triedKeys } from '../locations/key-remarks.ts';
import { keyFromCommand, readKeys } from '../locations/keys.ts';
import type { CommonOptions, Context, Outcome } from './context.ts';
import { Failures } from './failures.ts';
import { Progress } from './progress.ts';

/** Exit codes of a process that a signal ended, as shells have them. */
const signalCodes = { SIGINT: 130, SIGTERM: 143 } as const;
const brokenPipeCode = 141;

/** A reader that went away (`cat … | head`) is no failure worth a message. */
export function endQuietlyWithoutReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => { process.exit(error.code === 'EPIPE' ? brokenPipeCode : 1); });
}


/** The JSON form of an error. */
export function errorObject(error: unknown): { readonly code: string; readonly message: string; readonly data: ErrorData } {
  return { code: errorCode(error), message: errorMessage(error), data: error instanceof HoldfastError ? error.data : {} };
}

/** Reports wrong use. @returns the exit code. */
export function failUsage(error: UsageError, json: boolean): number {
  if (json) process.stdout.write(`${JSON.stringify({ error: errorObject(error) })}\n`);
  process.stderr.write(`holdfast: ${errorMessage(error)}\n`);
  return 2;
}

/** How a verb differs from others in what runs around it. */
export interface RunStyle {
  /** The verb tells of signals itself, in logs that must hold nothing else. */
  readonly quietSignals?: boolean;
}

/** Turns SIGINT and SIGTERM into an abort; the second one ends the process at once. */
function catchSignals({ quietSignals = false }: RunStyle): { readonly signal: AbortSignal; received(): number | undefined; release(): void } {
  const controller = new AbortController();
  let code: number | undefined;
  const handler = (name: NodeJS.Signals): void => {
    if (code !== undefined) process.exit(code);
    code = signalCodes[name as keyof typeof signalCodes];
    if (!quietSignals) process.stderr.write(`\nholdfast: stopping after ${name}; once more to stop at once\n`);
    controller.abort();
  };
  process.on('SIGINT', handler);
  process.on('SIGTERM', handler);
  return {
    signal: controller.signal,
    received: () => code,
    release: () => { process.off('SIGINT', handler).off('SIGTERM', handler); },
  };
}

function makeContext(verb: string, options: CommonOptions, signal: AbortSignal): Context {
  const quiet = options.quiet === true;
  const progress = new Progress(verb, quiet);
  const warn = (line: string): void => {
    progress.clear();
    process.stderr.write(`holdfast: ${line}\n`);
  };
  const note = (line: string): void => { if (!quiet) warn(line); };
  const files = options.key ?? [];
  const keys = [...readKeys(files), ...(options.keyCmd === undefined ? [] : [keyFromCommand(options.keyCmd)])];
  const keyNames = [...files, 'of --key-cmd'];
  return {
    json: options.json === true,
    signal,
    progress,
    keys: keys.map((bytes, i) => ({ bytes, name: keyNames[i] ?? '' })),
    cacheDirectory: options.cacheDir,
    wireKey: options.wireKey,
    opening: { keys, keyNames, cacheDirectory: options.cacheDir, wireKey: options.wireKey, signal, onNote: note, accounts: mappedAccounts(options.mapUser ?? [], options.mapGroup ?? [], hostAccounts()) },
    print: (line) => { if (options.json !== true) process.stdout.write(`${line}\n`); },
    note,
    warn,
    failures: new Failures(warn, (message) => (message.includes('private keys given fits') ? `keys that do not fit: ${triedKeys(keys.map((bytes, i) => ({ bytes, name: keyNames[i] ?? '' })))}` : undefined)),
  };
}

/**
 * Runs a verb to its end. Never throws.
 * @returns the exit code; all output has been written, a JSON object exactly once.
 */
export async function runVerb(verb: string, options: CommonOptions, run: (context: Context) => Promise<Outcome>, style: RunStyle = {}): Promise<number> {
  const signals = catchSignals(style);
  let context: Context | undefined;
  try {
    context = makeContext(verb, options, signals.signal);
    const outcome = await run(context);
    context.progress.clear();
    if (options.json === true && outcome.result !== undefined) process.stdout.write(`${JSON.stringify(outcome.result)}\n`);
    return outcome.exitCode;
  } catch (error) {
    context?.progress.clear();
    if (error instanceof UsageError) return failUsage(error, options.json === true);
    if (options.json === true) process.stdout.write(`${JSON.stringify({ error: errorObject(error) })}\n`);
    process.stderr.write(`holdfast: ${errorMessage(error)}\n`);
    if (process.env['HOLDFAST_DEBUG'] !== undefined) process.stderr.write(`${(error as Error).stack ?? ''}\n`);
    return signals.received() ?? 1;
  } finally {
    signals.release();
  }
}
