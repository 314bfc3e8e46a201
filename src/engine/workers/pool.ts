/**
 * Threads for hashing, compression and decoding. Small tasks and the first few megabytes run inline, so that a small job never pays for
 * starting threads (some 50 ms each); tasks also run inline while the threads are still starting.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { threadArguments } from '../../core/index.ts';
import { TaskRunner, taskBytes, type Task, type TaskResult, type TaskSettings } from './tasks.ts';

/** Bytes worked on inline before threads are started: about 30 ms of compression. */
const INLINE_BYTES = 8 << 20;
/** Work of this size keeps threads busy for longer than they take to start. */
const LARGE_BYTES = 32 << 20;
/** A task of fewer bytes costs less than the messages to hand it over. */
const TASK_BYTES_MIN = 65_536;
/** Tasks a thread may have at hand, so that it does not wait for the main thread between two. */
const TASKS_PER_THREAD = 2;

interface Thread {
  readonly worker: Worker;
  readonly ended: Promise<void>;
  ready: boolean;
  busy: number;
}

interface Pending {
  readonly task: Task;
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: Error) => void;
}

interface Answer {
  readonly ready?: boolean;
  readonly id?: number;
  readonly result?: TaskResult;
  readonly failure?: string;
}

/** Runs tasks; results arrive in any order. */
export class WorkerPool {
  readonly #settings: TaskSettings;
  readonly #runner: TaskRunner;
  readonly #threadCount: number;
  readonly #threads: Thread[] = [];
  readonly #queue: Pending[] = [];
  readonly #running = new Map<number, Pending & { readonly thread: Thread }>();
  #bytes = 0;
  #nextId = 0;
  #failure: Error | undefined;

  private constructor(settings: TaskSettings, runner: TaskRunner, threadCount: number) {
    this.#settings = settings;
    this.#runner = runner;
    this.#threadCount = threadCount;
  }

  /** `threads` 0 runs everything inline and in order; the default is one per core, at least 1, at most 8. */
  static async create(settings: TaskSettings, threads: number = Math.min(8, availableParallelism())): Promise<WorkerPool> {
    return new WorkerPool(settings, await TaskRunner.create(settings), threads);
  }

  /** @throws what the task threw, or why the threads died. */
  run(task: Task): Promise<TaskResult> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const bytes = taskBytes(task);
    this.#bytes += bytes;
    if (this.#bytes > INLINE_BYTES) this.#start();
    if (bytes < TASK_BYTES_MIN || !this.#threads.some((thread) => thread.ready)) return this.#runInline(task);
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
      this.#dispatch();
    });
  }

  /** Tells of `bytes` of work to come: if that is much, threads are started now rather than after the first megabytes. */
  expect(bytes: number): void {
    if (bytes >= LARGE_BYTES) this.#start();
  }

  #start(): void {
    if (this.#threadCount > 0 && this.#threads.length === 0 && this.#failure === undefined) this.#startThreads();
  }

  /**
   * Ends the threads after the tasks they have; those not handed over yet are rejected. Threads end by themselves: one that is terminated
   * while it still loads native code takes the process down with it.
   */
  async close(): Promise<void> {
    this.#failure ??= new Error('the worker pool is closed');
    for (const pending of this.#queue.splice(0)) pending.reject(this.#failure);
    await Promise.all(this.#threads.map((thread) => {
      thread.worker.ref();
      thread.worker.postMessage({ stop: true });
      return thread.ended;
    }));
  }

  async #runInline(task: Task): Promise<TaskResult> {
    const result = this.#runner.run(task);
    // Threads that are starting say so by a message, and messages need a turn of the event loop.
    if (this.#threads.length > 0) await new Promise((resolve) => { setImmediate(resolve); });
    return result;
  }

  #startThreads(): void {
    for (let i = 0; i < this.#threadCount; i += 1) {
      const worker = new Worker(new URL('./worker.js', import.meta.url), {
        workerData: this.#settings,
        ...threadArguments(),
        // Data is outside the heap: a small heap keeps the process small.
        resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 },
      });
      const ended = new Promise<void>((resolve) => { worker.once('exit', () => { resolve(); }); });
      const thread: Thread = { worker, ended, ready: false, busy: 0 };
      worker.on('message', (answer: Answer) => { this.#receive(thread, answer); });
      worker.on('error', (error) => { this.#fail(error); });
      worker.on('exit', (code) => { this.#fail(new Error(`a worker thread ended with code ${code}`)); });
      worker.unref();
      this.#threads.push(thread);
    }
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      let best: Thread | undefined;
      for (const thread of this.#threads) {
        if (thread.ready && thread.busy < TASKS_PER_THREAD && (best === undefined || thread.busy < best.busy)) best = thread;
      }
      if (best === undefined) return;
      const pending = this.#queue.shift() as Pending;
      this.#nextId += 1;
      best.busy += 1;
      if (best.busy === 1) best.worker.ref();
      this.#running.set(this.#nextId, { ...pending, thread: best });
      best.worker.postMessage({ id: this.#nextId, task: pending.task });
    }
  }

  #receive(thread: Thread, answer: Answer): void {
    if (answer.ready === true) {
      thread.ready = true;
      return;
    }
    const id = answer.id as number;
    const pending = this.#running.get(id);
    this.#running.delete(id);
    thread.busy -= 1;
    // Who closes the pool waits for the thread: an answer that comes meanwhile must not let the process go.
    if (thread.busy === 0 && this.#failure === undefined) thread.worker.unref();
    if (answer.failure === undefined) pending?.resolve(answer.result as TaskResult);
    else pending?.reject(new Error(`Run task in a worker thread: ${answer.failure}`));
    this.#dispatch();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const pending of [...this.#running.values(), ...this.#queue.splice(0)]) pending.reject(this.#failure);
    this.#running.clear();
  }
}
