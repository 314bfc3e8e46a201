/**
 * Threads for hashing, compression and decoding. The first tasks run inline, so that a small job never pays for starting threads
 * (30 ms each); tasks also run inline while the threads are still starting.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { TaskRunner, type Task, type TaskResult, type TaskSettings } from './tasks.ts';

/** Tasks that run inline before threads are started; each is about a megabyte of work. */
const INLINE_TASKS = 3;
/** Tasks a thread may have at hand, so that it does not wait for the main thread between two. */
const TASKS_PER_THREAD = 2;

interface Thread {
  readonly worker: Worker;
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
  #started = 0;
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
    this.#started += 1;
    if (this.#threadCount > 0 && this.#started > INLINE_TASKS && this.#threads.length === 0) this.#startThreads();
    if (!this.#threads.some((thread) => thread.ready)) return this.#runInline(task);
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
      this.#dispatch();
    });
  }

  /** Ends the threads; tasks that still run are lost. */
  async close(): Promise<void> {
    this.#failure ??= new Error('the worker pool is closed');
    await Promise.all(this.#threads.map((thread) => thread.worker.terminate()));
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
        // Data is outside the heap: a small heap keeps the process small.
        resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
      });
      const thread: Thread = { worker, ready: false, busy: 0 };
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
    if (thread.busy === 0) thread.worker.unref();
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
