/**
 * One connection to the kernel: threads read requests from the device, this thread answers them and writes the replies itself, which is a
 * copy into the kernel that never waits. Appends through a lane are answered by the thread that read them. An error is an error number, never short data.
 *
 * The thread that serves must not wait for its own mount: no synchronous call of `node:fs` below the mount point, in the whole process.
 */
import { close, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { ProtocolError, threadArguments } from '../../core/index.ts';
import { fuseVersion, initFlags, initOut, opcodes, outHeader, readBufferMin, requestHeadMax } from './abi.layout.ts';
import { Refusal, errnoOf, errors, refuse } from './errno.ts';
import { Lent, type FuseHandler, type Reply } from './handler.ts';
import { decodeHeader, decodeRequest, type FuseRequest, type RequestHeader } from './request.ts';
import { SlotRing, makeSlotMemory } from './slot-ring.ts';

/** Flags that every session wants: reads and directory operations in parallel, listings with attributes, requests of 1 MiB. */
const commonFlags = initFlags.asyncRead | initFlags.bigWrites | initFlags.readdirplus | initFlags.readdirplusAuto | initFlags.asyncDio | initFlags.parallelDirops | initFlags.maxPages | initFlags.cacheSymlinks;
/** Pages of 4 KiB in one request: 1 MiB, the kernel's default cap. */
const pagesMax = 256;
/** Requests that the kernel sends on its own account (read-ahead above all) at a time, and when it calls that congested. */
const backgroundMax = 64;
const congestion = 48;
/** Data up to here is copied out of its slot, so that the slot is free at once. */
const copyMax = 4096;

/** How a session is set up. */
export interface SessionOptions {
  /** Threads that read the device; default 2, which is enough to have one reading while the other hands over. */
  readonly threads?: number;
  /** Bytes that the kernel may read ahead; it may use less. Default 1 MiB. */
  readonly readaheadBytes?: number;
  /** Told of everything that a handler threw, and of replies that the kernel refused. */
  readonly onProblem?: (error: unknown, request: RequestHeader) => void;
}

/** What has passed through a session, but for appends through lanes. */
export interface SessionCounts {
  readonly requests: number;
  readonly problems: number;
}

/** A running session; made by {@link serveFuse}. */
export interface FuseSession {
  /** Resolves when the kernel has begun to talk. @throws {ProtocolError} its version is too old; the mount ended before */
  readonly ready: Promise<void>;
  /** Resolves when the kernel has ended the connection and handler and device are closed. @throws what closing threw; a thread's failure */
  readonly ended: Promise<void>;
  readonly counts: SessionCounts;
}

class Session implements FuseSession {
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  readonly counts: { requests: number; problems: number } = { requests: 0, problems: 0 };
  readonly #fd: number;
  readonly #handler: FuseHandler;
  readonly #options: SessionOptions;
  readonly #running = new Set<Promise<void>>();
  /** Reads that wait for their data; an interrupt answers them at once. */
  readonly #interruptible = new Set<number>();
  #begun: { readonly resolve: () => void; readonly reject: (error: Error) => void } = { resolve: () => undefined, reject: () => undefined };

  constructor(fd: number, handler: FuseHandler, options: SessionOptions) {
    this.#fd = fd;
    this.#handler = handler;
    this.#options = options;
    this.ready = new Promise((resolve, reject) => { this.#begun = { resolve, reject }; });
    this.ended = this.#run();
  }

  async #run(): Promise<void> {
    const results = await Promise.allSettled(Array.from({ length: this.#options.threads ?? 2 }, () => this.#thread()));
    await Promise.all(this.#running);
    this.#begun.reject(new ProtocolError('Begin FUSE: the mount ended before the kernel had begun'));
    try {
      await this.#handler.close();
    } finally {
      await promisify(close)(this.#fd);
    }
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  #thread(): Promise<void> {
    const { writeBytesMax, lanes = [] } = this.#handler.settings;
    const memory = makeSlotMemory(writeBytesMax > copyMax ? 4 : 8, Math.max(readBufferMin, writeBytesMax + requestHeadMax));
    const slots = new SlotRing(memory);
    const worker = new Worker(new URL('./device-worker.js', import.meta.url), { workerData: { fd: this.#fd, memory, lanes }, ...threadArguments(), resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 } });
    return new Promise((resolve, reject) => {
      let end: string | undefined;
      worker.on('message', (message: number | string) => {
        if (typeof message === 'number') this.#receive(slots, message);
        else end = message;
      });
      worker.once('error', reject);
      worker.once('exit', () => {
        if (end === 'ENODEV' || end === 'ECONNABORTED') resolve();
        else reject(new ProtocolError(`Read requests of FUSE: the device failed with '${end ?? 'no message'}'`, { errno: end }));
      });
    });
  }

  #receive(slots: SlotRing, slot: number): void {
    const filled = slots.filled(slot);
    const isLarge = filled.length > copyMax;
    const bytes = isLarge ? filled : Uint8Array.prototype.slice.call(filled);
    if (!isLarge) slots.free(slot);
    const running = this.#serve(bytes);
    if (running !== undefined) this.#running.add(running);
    const end = (): void => {
      if (running !== undefined) this.#running.delete(running);
      if (isLarge) slots.free(slot);
    };
    if (running === undefined) end();
    else void running.then(end);
  }

  /** Answers one request. Undefined when that is done; the promise never rejects. */
  #serve(bytes: Uint8Array): Promise<void> | undefined {
    this.counts.requests += 1;
    let header: RequestHeader | undefined;
    try {
      header = decodeHeader(bytes);
      const request = decodeRequest(bytes, header);
      const reply = this.#dispatch(request);
      if (!(reply instanceof Promise)) {
        this.#answer(request, reply);
        return undefined;
      }
      return request.op === 'read' ? this.#answerRead(request, reply) : this.#answerLater(request, reply);
    } catch (error) {
      this.#fail(header ?? { opcode: 0, unique: 0, node: 0, uid: 0, gid: 0, pid: 0 }, error);
      return undefined;
    }
  }

  #dispatch(request: FuseRequest): Promise<Reply> | Reply {
    switch (request.op) {
      case 'init': return this.#init(request);
      case 'interrupt':
        // A program that gets a signal while it reads need not wait for a slow store. Anything else is finished: half a write is no answer.
        if (this.#interruptible.delete(request.interrupted)) this.#write(request.interrupted, errors.EINTR, []);
        return 'none';
      case 'destroy': return 'none';
      default: return this.#handler.handle(request);
    }
  }

  #init(request: FuseRequest & { readonly op: 'init' }): Reply {
    if (request.major !== fuseVersion.major || request.minor < fuseVersion.minor) {
      this.#begun.reject(new ProtocolError(`Begin FUSE: the kernel speaks version '${request.major}.${request.minor}', expected at least '${fuseVersion.major}.${fuseVersion.minor}'`));
      return refuse(errors.EPROTO);
    }
    const { settings } = this.#handler;
    this.#begun.resolve();
    return initOut.encode({
      ...fuseVersion, max_readahead: Math.min(request.readaheadMax, this.#options.readaheadBytes ?? 1 << 20), flags: (request.flags & (commonFlags | settings.flags)) >>> 0,
      background: backgroundMax | (congestion << 16), max_write: settings.writeBytesMax, time_gran: 1, pages: pagesMax, unused: new Uint8Array(32),
    });
  }

  async #answerLater(request: FuseRequest, reply: Promise<Reply>): Promise<void> {
    try {
      this.#answer(request, await reply);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  async #answerRead(request: FuseRequest, pending: Promise<Reply>): Promise<void> {
    this.#interruptible.add(request.unique);
    try {
      const reply = await pending;
      if (this.#interruptible.delete(request.unique)) this.#answer(request, reply);
      else if (reply instanceof Lent) reply.release();
    } catch (error) {
      if (this.#interruptible.delete(request.unique)) this.#fail(request, error);
      else this.#problem(error, request);
    }
  }

  #answer(request: FuseRequest, reply: Reply): void {
    if (request.op === 'forget' || request.op === 'interrupt') return;
    if (reply instanceof Refusal) this.#write(request.unique, reply.errno, []);
    else if (reply instanceof Lent) {
      this.#write(request.unique, 0, reply.parts);
      reply.release();
    } else this.#write(request.unique, 0, reply === 'none' ? [] : reply instanceof Uint8Array ? [reply] : reply);
  }

  #fail(request: RequestHeader, error: unknown): void {
    this.#problem(error, request);
    if (request.opcode !== opcodes.forget && request.opcode !== opcodes.batchForget) this.#write(request.unique, errnoOf(error), []);
  }

  #problem(error: unknown, request: RequestHeader): void {
    this.counts.problems += 1;
    this.#options.onProblem?.(error, request);
  }

  /** ENOENT: nobody waits for this reply any more. ENODEV: the mount has ended. */
  #write(unique: number, errno: number, parts: readonly Uint8Array[]): void {
    const len = parts.reduce((sum, part) => sum + part.length, outHeader.size);
    try {
      const head = outHeader.encode({ len, error: 0, unique });
      if (errno !== 0) new DataView(head.buffer).setInt32(outHeader.offsets.error, -errno, true);
      const written = writevSync(this.#fd, [head, ...parts]);
      if (written !== len) throw new ProtocolError(`Answer FUSE: the kernel took '${written}' bytes, expected '${len}'`);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (!['ENOENT', 'ENODEV', 'ECONNABORTED'].includes(code)) this.#problem(error, { opcode: 0, unique, node: 0, uid: 0, gid: 0, pid: 0 });
    }
  }
}

/**
 * Serves the kernel's requests on an open `/dev/fuse` that is or will be mounted. Owns `fd` and `handler` from now on: both are closed when
 * the kernel ends the connection, which an unmount does, and nothing else.
 */
export function serveFuse(fd: number, handler: FuseHandler, options: SessionOptions = {}): FuseSession {
  return new Session(fd, handler, options);
}
