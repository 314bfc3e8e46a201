/**
 * Garbage collection and checks on a schedule. Tasks of all domains wait in one line: never two at once. A task that is due while the same one waits or runs
 * is dropped; the next time comes anyway.
 */
import type { DaemonConfig, Schedule } from './config.ts';
import type { LastRuns } from './last-runs.ts';
import type { Logger } from './logger.ts';
import type { MaintenanceMetrics, TaskLabels, TaskName, TaskResult } from './metrics/maintenance.ts';
import { nextRun, waitFor } from './schedule.ts';
import { runTask, type TaskEnd } from './task-process.ts';

/** What maintenance works with. */
export interface MaintenanceParts {
  /** How this program is started: Node and the script. */
  readonly self: readonly string[];
  readonly log: Logger;
  readonly metrics: MaintenanceMetrics;
  readonly lastRuns: LastRuns;
  /** A task of the domain ended, so the repository may have changed. */
  onEnd(domain: string): void;
}

interface Timer {
  due: number;
  handle: NodeJS.Timeout;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** What the object of `holdfast gc` or `holdfast check` says. A check that found damage has run: its exit code 1 comes with a list. */
function resultOf(task: TaskName, { code, result = {}, seconds }: TaskEnd): TaskResult {
  if (task === 'gc') {
    const [bytesReclaimed, { waitingFor }] = [numberOf(result['bytesReclaimed']), result];
    const ok = code === 0 && bytesReclaimed !== undefined;
    return ok ? { seconds, ok, bytesReclaimed, waiting: Array.isArray(waitingFor) ? waitingFor.length : 0 } : { seconds, ok: false };
  }
  const { problems } = result;
  return Array.isArray(problems) && (code === 0 || code === 1) ? { seconds, ok: code === 0, problems: problems.length } : { seconds, ok: false };
}

/** The command of a task. */
export function commandOf(task: TaskName, config: DaemonConfig, domain: string): readonly string[] {
  const found = config.domains[domain];
  const where = [found?.repository ?? '', '--json', ...(found?.keys ?? []).flatMap((key) => ['--key', key]), ...(config.cacheDirectory === undefined ? [] : ['--cache-dir', config.cacheDirectory])];
  if (task === 'check') return ['check', ...where, '--budget', `${config.check?.budget ?? 1}%`];
  const { maxUnused, wait } = config.gc ?? {};
  return ['gc', ...where, ...(maxUnused === undefined ? [] : ['--max-unused', String(maxUnused)]), ...(wait === undefined ? [] : ['--wait', `${Math.round(wait / 1_000)}s`])];
}

/** See the file's header. */
export class Maintenance {
  readonly #parts: MaintenanceParts;
  readonly #timers = new Map<TaskName, Timer>();
  readonly #waiting = new Set<string>();
  readonly #stopped = new AbortController();
  #config: DaemonConfig;
  #line: Promise<void> = Promise.resolve();

  constructor(parts: MaintenanceParts, config: DaemonConfig) {
    this.#parts = parts;
    this.#config = config;
  }

  /**
   * Begins to run tasks by the schedules of a configuration, in place of those before. A running task goes on. What became due while nothing ran
   * runs at once.
   */
  schedule(config: DaemonConfig): void {
    this.#config = config;
    for (const [task, schedule] of [['gc', config.gc?.schedule], ['check', config.check?.schedule]] as const) {
      clearTimeout(this.#timers.get(task)?.handle);
      this.#timers.delete(task);
      if (schedule === undefined) this.#parts.metrics.schedule(task, undefined);
      else this.#arm(task, schedule, nextRun(schedule, this.#parts.lastRuns.of(task, Date.now())));
    }
  }

  #arm(task: TaskName, schedule: Schedule, due: number): void {
    this.#parts.metrics.schedule(task, due);
    const handle = setTimeout(() => {
      if (Date.now() < due) this.#arm(task, schedule, due); // longer than one timer may wait
      else {
        this.#parts.lastRuns.begin(task, Date.now());
        for (const domain of Object.keys(this.#config.domains)) void this.run(task, domain);
        this.#arm(task, schedule, nextRun(schedule, Date.now()));
      }
    }, waitFor(due, Date.now()));
    handle.unref();
    this.#timers.set(task, { due, handle });
  }

  /** Runs a task of a domain as soon as those before it have ended; resolves when it has ended too. Never rejects. */
  run(task: TaskName, domain: string): Promise<void> {
    const key = `${task} ${domain}`;
    if (this.#waiting.has(key)) {
      this.#parts.log.warn({ task, domain }, 'a task is due again before it has ended');
      return this.#line;
    }
    this.#waiting.add(key);
    this.#line = this.#line.then(() => this.#runNow({ task, domain })).finally(() => { this.#waiting.delete(key); });
    return this.#line;
  }

  /** Ends the running task and runs no other. Resolves when it has ended; what it did not finish the next one does. */
  async stop(): Promise<void> {
    for (const { handle } of this.#timers.values()) clearTimeout(handle);
    this.#timers.clear();
    this.#stopped.abort();
    await this.#line;
  }

  async #runNow(labels: TaskLabels): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const { self, log, metrics } = this.#parts;
    const { task, domain } = labels;
    metrics.begin(labels);
    log.info({ task, domain }, 'task began');
    const ended = await runTask({
      words: [...self, ...commandOf(task, this.#config, domain)], signal: this.#stopped.signal,
      onProgress: (progress) => {
        metrics.progress(labels, progress);
        log.debug({ task, domain, ...progress }, 'task goes on');
      },
    });
    const result = resultOf(task, ended);
    metrics.end(labels, result, Date.now());
    const { messages, code } = ended;
    if (result.ok) log.info({ task, domain, ...result, messages }, 'task ended');
    else if (this.#stopped.signal.aborted) log.info({ task, domain, code }, 'task was stopped');
    else log.error({ task, domain, code, ...result, messages, error: ended.result?.['error'] }, 'task failed');
    this.#parts.onEnd(domain);
  }
}
