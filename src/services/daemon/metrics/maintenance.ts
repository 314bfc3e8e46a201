/** Metrics of garbage collection and checks. */
import { Counter, Gauge, type Registry } from 'prom-client';

/** What runs in the background. */
export type TaskName = 'gc' | 'check';

/** Which task, and where. */
export interface TaskLabels extends Record<string, string> {
  readonly task: TaskName;
  readonly domain: string;
}

/** How far a task is, as its process tells. */
export interface TaskProgress {
  readonly done: number;
  readonly total: number | undefined;
}

/** What a task did; seconds of its process. */
export interface TaskResult {
  readonly seconds: number;
  readonly ok: boolean;
  /** Of a collection. */
  readonly bytesReclaimed?: number;
  /** Backups that a collection waits for; the next one goes on there. */
  readonly waiting?: number;
  /** Of a check. */
  readonly problems?: number;
}

/** See the file's header. */
export class MaintenanceMetrics {
  readonly #cycles: Counter;
  readonly #reclaimed: Gauge;
  readonly #running: Gauge;
  readonly #done: Gauge;
  readonly #expected: Gauge;
  readonly #failures: Counter;
  readonly #success: Gauge;
  readonly #seconds: Gauge;
  readonly #next: Gauge;
  readonly #waiting: Gauge;
  readonly #problems: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['task', 'domain'];
    this.#cycles = new Counter({ name: 'gdd_vacuum_cycles_total', help: 'Collections of garbage that ended well', registers });
    this.#reclaimed = new Gauge({ name: 'gdd_vacuum_bytes_reclaimed', help: 'Bytes that they gave back', registers });
    this.#waiting = new Gauge({ name: 'gdd_vacuum_waiting_sessions', help: 'Backups whose end the last collection waits for before it removes the rest', labelNames: ['domain'], registers });
    this.#problems = new Gauge({ name: 'gdd_check_problems', help: 'Problems that the last check found', labelNames: ['domain'], registers });
    this.#running = new Gauge({ name: 'gdd_maintenance_running', help: '1 while the task runs', labelNames, registers });
    this.#done = new Gauge({ name: 'gdd_maintenance_steps_done', help: 'Steps of its present phase that the running task has done', labelNames, registers });
    this.#expected = new Gauge({ name: 'gdd_maintenance_steps_expected', help: 'Steps of its present phase in all, 0 where it is not known', labelNames, registers });
    this.#failures = new Counter({ name: 'gdd_maintenance_failures_total', help: 'Runs of the task that failed', labelNames, registers });
    this.#success = new Gauge({ name: 'gdd_maintenance_last_success_timestamp_seconds', help: 'When the task last ended well', labelNames, registers });
    this.#seconds = new Gauge({ name: 'gdd_maintenance_last_duration_seconds', help: 'How long its last run took', labelNames, registers });
    this.#next = new Gauge({ name: 'gdd_maintenance_next_run_timestamp_seconds', help: 'When the task is due next', labelNames: ['task'], registers });
  }

  /** Gives each task of a domain its series, so that an alert sees the first failure. */
  add(domain: string): void {
    for (const task of ['gc', 'check'] as const) {
      this.#failures.inc({ task, domain }, 0);
      this.#running.set({ task, domain }, 0);
    }
  }

  /** A task is due then, milliseconds since 1970; undefined when it is not scheduled any more. */
  schedule(task: TaskName, time: number | undefined): void {
    if (time === undefined) this.#next.remove({ task });
    else this.#next.set({ task }, time / 1_000);
  }

  /** A task began. */
  begin(labels: TaskLabels): void {
    this.#running.set(labels, 1);
    this.progress(labels, { done: 0, total: undefined });
  }

  /** A running task came so far. */
  progress(labels: TaskLabels, { done, total }: TaskProgress): void {
    this.#done.set(labels, done);
    this.#expected.set(labels, total ?? 0);
  }

  /** A task ended at `time`, milliseconds since 1970. */
  end(labels: TaskLabels, result: TaskResult, time: number): void {
    this.#running.set(labels, 0);
    this.#seconds.set(labels, result.seconds);
    const { domain } = labels;
    if (result.problems !== undefined) this.#problems.set({ domain }, result.problems);
    if (result.waiting !== undefined) this.#waiting.set({ domain }, result.waiting);
    if (result.bytesReclaimed !== undefined) this.#reclaimed.inc(result.bytesReclaimed);
    if (!result.ok) {
      this.#failures.inc(labels);
      return;
    }
    if (labels.task === 'gc') this.#cycles.inc();
    this.#success.set(labels, time / 1_000);
  }
}
