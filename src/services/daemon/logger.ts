/** Logs of the daemon: one JSON object a line on stderr, by pino. */
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Makes the log. Lines are written before the call returns, so that the last words of a process are never lost. */
export function makeLogger(level: string): Logger {
  return pino({
    level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }, pino.destination({ dest: 2, sync: true }));
}
