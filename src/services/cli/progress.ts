/** Progress on stderr: a bar with rate and time left on a terminal, otherwise a line about every ten seconds, or JSON lines for a program that asks for them. */

/** What is done so far. Totals are there once known. */
export interface ProgressState {
  readonly files: number;
  readonly bytes: number;
  readonly totalFiles?: number | undefined;
  readonly totalBytes?: number | undefined;
  /** What `files` counts when it is something else. */
  readonly unit?: string | undefined;
}

/** `HOLDFAST_PROGRESS=json`: lines for a program that runs this one. */
const forPrograms = 'json';
const programIntervalMs = 500;
const terminalIntervalMs = 100;
const lineIntervalMs = 10_000;
/** So that a line fits into 80 columns. */
const barWidth = 16;

/** `1.5 GB`: decimal units, three digits. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toPrecision(3)} ${units[unit] ?? ''}`;
}

/** `1:02:03` or `2:03`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const tail = String(whole % 60).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${tail}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${tail}`;
}

/** One line of progress after `seconds`. Bytes decide the share; files do where there are no bytes. */
export function formatProgress(verb: string, state: ProgressState, seconds: number): string {
  const rate = seconds > 0 ? state.bytes / seconds : 0;
  const bytes = state.bytes > 0 ? `, ${formatBytes(state.bytes)}, ${formatBytes(rate)}/s` : '';
  const counts = `${state.files.toLocaleString('en')} ${state.unit ?? 'files'}${bytes}`;
  const total = state.totalBytes ?? 0;
  const share = total > 0 ? state.bytes / total : (state.totalFiles ?? 0) > 0 ? state.files / (state.totalFiles ?? 1) : undefined;
  if (share === undefined) return `${verb}: ${counts}, ${formatSeconds(seconds)} so far`;
  const done = Math.min(1, share);
  const bar = '#'.repeat(Math.round(done * barWidth)).padEnd(barWidth, '.');
  const left = done > 0 ? `, ${formatSeconds((seconds / done) * (1 - done))} left` : '';
  return `${verb} [${bar}] ${Math.floor(done * 100)} % ${counts}${left}`;
}

/** Writes progress of one verb; silent when told so. */
export class Progress {
  /** Whether a bar is drawn, so that it is worth knowing totals beforehand. */
  readonly terminal: boolean;
  readonly #verb: string;
  readonly #quiet: boolean;
  readonly #started: number = Date.now();
  readonly #asJson: boolean = process.env['HOLDFAST_PROGRESS'] === forPrograms;
  readonly #intervalMs: number;
  #last: number;
  #drawn = false;

  constructor(verb: string, quiet: boolean) {
    this.#verb = verb;
    this.#quiet = quiet;
    this.terminal = !quiet && !this.#asJson && process.stderr.isTTY === true;
    this.#intervalMs = this.#asJson ? programIntervalMs : this.terminal ? terminalIntervalMs : lineIntervalMs;
    this.#last = this.terminal || this.#asJson ? 0 : this.#started;
  }

  /** Cheap enough to call for every file. */
  update(state: ProgressState): void {
    if (this.#quiet) return;
    const now = Date.now();
    if (now - this.#last < this.#intervalMs) return;
    this.#last = now;
    if (this.#asJson) {
      process.stderr.write(`${JSON.stringify({ progress: { verb: this.#verb, ...state, seconds: (now - this.#started) / 1_000 } })}\n`);
      return;
    }
    const line = formatProgress(this.#verb, state, (now - this.#started) / 1_000);
    if (this.terminal) {
      // A terminal that doesn't know its width says 0.
      const { columns } = process.stderr;
      process.stderr.write(`\r\u001b[K${columns > 0 ? line.slice(0, columns - 1) : line}`);
      this.#drawn = true;
    } else process.stderr.write(`${line}\n`);
  }

  /** Removes the bar, before other output. */
  clear(): void {
    if (this.#drawn) process.stderr.write('\r\u001b[K');
    this.#drawn = false;
  }

  /** Since the verb began. */
  seconds(): number {
    return (Date.now() - this.#started) / 1_000;
  }
}
