#!/usr/bin/env node
/** `holdfast-bacula-tail`: mode A beside a storage daemon that writes ordinary volume files. See README.md. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NotFoundError, UsageError } from '../../src/core/index.ts';
import { keepProcessSmall } from '../../src/services/process-memory.ts';
import { COMMON_USAGE, commonOptions, endWith, note, numberOption, readArguments, withShelf } from '../shelf-command.ts';
import { Tail, type FileProgress } from './tail.ts';

const USAGE = `Usage: holdfast-bacula-tail --repo REPO DIRECTORY [--once] [--interval MILLISECONDS]
Follows the volume files of DIRECTORY until SIGTERM, looking every 1000 ms; with --once until all are stored, with exit code 3 if one is no whole volume
${COMMON_USAGE}`;

/** Exit codes of `--once`: a stored volume's file is damaged; files are no volumes, or not whole ones. */
const FAILED = 1;
const SOME_FAILED = 3;

function print(progress: readonly FileProgress[], isAll: boolean): void {
  for (const one of progress) if (isAll || one.change !== undefined) process.stdout.write(`${JSON.stringify(one)}\n`);
}

/** Ends the wait between rounds at SIGINT and SIGTERM; the round that runs is finished, and everything committed. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort(); });
  return stop.signal;
}

keepProcessSmall();
await endWith('holdfast-bacula-tail', USAGE, async () => {
  const { values, positionals } = readArguments({
    args: process.argv.slice(2), allowPositionals: true, strict: true,
    options: { ...commonOptions, once: { type: 'boolean' }, interval: { type: 'string' } },
  });
  const [given, ...others] = positionals;
  if (given === undefined || others.length > 0) throw new UsageError(`Name one directory\n${USAGE}`);
  if (fs.statSync(given, { throwIfNoEntry: false })?.isDirectory() !== true) throw new NotFoundError(`Follow '${given}': no such directory`, { path: given });
  const interval = numberOption('interval', values.interval, { fallback: 1000, most: 3_600_000 });
  const stop = stopSignal();
  return withShelf(values, async ({ shelf, spool }) => {
    const tail = new Tail(shelf, { directory: path.resolve(given), stateFile: path.join(spool, 'tail.json'), note });
    while (values.once !== true && !stop.aborted) {
      print(await tail.round(false), false);
      await sleep(interval, undefined, { signal: stop }).catch(() => undefined); // a signal ends the wait
    }
    print(await tail.round(true), true);
    const { kept, doubtful } = tail.troubles;
    if (values.once !== true || kept.length + doubtful.length === 0) return 0;
    return kept.length > 0 ? FAILED : SOME_FAILED;
  });
});
