/**
 * Appending without the main thread. A storage daemon sends one write and waits for its answer, thousands of times; two more threads in that
 * circle cost more than the write. So the main thread may open a lane: until it closes it, the thread that read a request writes the bytes to a
 * given file, leaves a record of them in shared memory and answers the kernel itself.
 *
 * - A lane only appends: each write begins where the one before ended. What could be read before stays as it was.
 * - A record is there before its write is answered, so whoever asks the main thread for anything afterwards asks one that can know.
 * - What does not fit (another place, a lane that is closed or used up, an error of the file) goes to the main thread, which does it again
 *   at the same place: errors have one way only.
 */
import assert from 'node:assert';
import { writeSync } from 'node:fs';
import * as zlib from 'node:zlib';
import { ToolError } from '../../core/index.ts';
import { inHeader, opcodes, outHeader, readIn, writeOut } from './abi.layout.ts';

const crc32 = (zlib as { crc32?: (data: Uint8Array) => number }).crc32;
/** Appends of one opening. */
const appendsMax = 512;
/** Lanes of a mount, and so handles that are written through at a time; others are slower. */
const lanesMax = 8;

const word = { state: 0, handle: 1, descriptor: 2, count: 3, records: 4 } as const;
const number = { offset: 0, at: 1, room: 2, records: 3 } as const;
const state = { closed: 0, open: 1, busy: 2 } as const;
/** How long a thread may take for one write into the page cache: what takes longer has died, or its disk hangs. The kernel calls that a hung task, too. */
const closeWaitMs = 120_000;
/** Where the data of a write begins in its request. */
const dataFrom = inHeader.size + readIn.size;

/** What threads share of one lane. */
export interface LaneMemory {
  /** 32-bit integers: state, handle, descriptor, appends; then length and checksum of each. */
  readonly words: SharedArrayBuffer;
  /** 64-bit floats: place in the file shown, place in the file written, bytes left; then the time of each append. */
  readonly numbers: SharedArrayBuffer;
}

/** Bytes that a thread appended. */
export interface Append {
  readonly length: number;
  /** CRC-32 of the bytes. */
  readonly checksum: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** Where a lane leads. */
export interface LaneTarget {
  /** Open file that takes the bytes; stays open until the lane is closed. */
  readonly descriptor: number;
  /** Place in it of the first byte. */
  readonly at: number;
  /** Place of that byte in the file that is shown: its end. */
  readonly offset: number;
  /** Bytes that may be appended. */
  readonly bytesMax: number;
}

class LaneWords {
  readonly words: Int32Array;
  readonly numbers: Float64Array;
  constructor({ words, numbers }: LaneMemory) {
    this.words = new Int32Array(words);
    this.numbers = new Float64Array(numbers);
  }
}

/** The main thread's side of one lane: for one handle, one file at a time. */
export class AppendLane {
  readonly memory: LaneMemory;
  readonly #handle: number;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #waitMs: number;
  #taken = 0;
  #isLost = false;

  /** @param handle the kernel's writes to it are taken, once the lane is open. @param waitMs see {@link close}. */
  constructor(memory: LaneMemory, handle: number, waitMs: number = closeWaitMs) {
    this.memory = memory;
    this.#handle = handle;
    this.#waitMs = waitMs;
    ({ words: this.#words, numbers: this.#numbers } = new LaneWords(memory));
  }

  /** Lets threads append, up to 512 times. The lane is closed, and what it brought was taken. */
  open({ descriptor, at, offset, bytesMax }: LaneTarget): void {
    this.#taken = 0;
    this.#numbers.set([offset, at, bytesMax]);
    Atomics.store(this.#words, word.descriptor, descriptor);
    Atomics.store(this.#words, word.count, 0);
    Atomics.store(this.#words, word.handle, this.#handle);
    Atomics.store(this.#words, word.state, state.open);
  }

  /** Whether threads may append. */
  get isOpen(): boolean {
    return Atomics.load(this.#words, word.state) !== state.closed;
  }

  /** Whether a thread did not end its write: the lane may be its for good. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** What was appended since the last call, in order. The lane stays as it is. */
  take(): readonly Append[] {
    const count = Atomics.load(this.#words, word.count);
    const appends: Append[] = [];
    for (; this.#taken < count; this.#taken += 1) {
      const at = word.records + 2 * this.#taken;
      appends.push({ length: this.#words[at] as number, checksum: (this.#words[at + 1] as number) >>> 0, time: this.#numbers[number.records + this.#taken] as number });
    }
    return appends;
  }

  /**
   * Closes the lane: when it returns no thread writes through it any more. Waits for the one that does, which blocks this thread for one write
   * into the page cache. @returns what was appended and not taken
   * @throws {ToolError} the thread did not end its write within two minutes. Then the lane is lost; what was appended before can be taken.
   */
  close(): readonly Append[] {
    while (Atomics.compareExchange(this.#words, word.state, state.open, state.closed) === state.busy) {
      if (Atomics.wait(this.#words, word.state, state.busy, this.#waitMs) !== 'timed-out') continue;
      Atomics.store(this.#words, word.handle, 0);
      this.#isLost = true;
      throw new ToolError(`Close the lane of handle '${this.#handle}': the thread that writes through it has not ended its write for '${this.#waitMs}' ms; it has died, or the disk hangs`, { handle: this.#handle });
    }
    Atomics.store(this.#words, word.handle, 0);
    return this.take();
  }
}

/** The lanes of a mount. */
export class LanePool {
  /** For the threads; empty where Node has no CRC-32 (before 20.15): then all goes through the main thread. */
  readonly memory: readonly LaneMemory[];
  readonly #free: LaneMemory[];
  readonly #waitMs: number | undefined;

  /** @param waitMs of its lanes. */
  constructor(waitMs?: number) {
    this.#waitMs = waitMs;
    this.memory = Array.from({ length: crc32 === undefined ? 0 : lanesMax }, () => ({
      words: new SharedArrayBuffer((word.records + 2 * appendsMax) * Int32Array.BYTES_PER_ELEMENT),
      numbers: new SharedArrayBuffer((number.records + appendsMax) * Float64Array.BYTES_PER_ELEMENT),
    }));
    this.#free = [...this.memory];
  }

  /** A closed lane for a handle, when there is one left. */
  lend(handle: number): AppendLane | undefined {
    const memory = handle <= 0x7fff_ffff ? this.#free.pop() : undefined;
    return memory === undefined ? undefined : new AppendLane(memory, handle, this.#waitMs);
  }

  /** Takes a lane back that its file has closed; one that was lost is not lent again. */
  giveBack(lane: AppendLane): void {
    if (lane.isLost) return;
    assert(!lane.isOpen, 'an open lane would lose what it brings');
    this.#free.push(lane.memory);
  }
}

/** A thread's side of all lanes. */
export class LaneThread {
  readonly #lanes: readonly LaneWords[];

  constructor(memory: readonly LaneMemory[]) {
    this.#lanes = memory.map((one) => new LaneWords(one));
  }

  /**
   * Does a request that is a write through an open lane.
   * @returns its reply; undefined when it is anything else, or could not be done: then nothing has happened, and it is the main thread's.
   */
  append(request: Buffer): Uint8Array | undefined {
    if (request.length <= dataFrom || inHeader.view(request).opcode !== opcodes.write) return undefined;
    try {
      const { fh, offset, size } = readIn.view(request, inHeader.size);
      const lane = this.#lanes.find(({ words }) => Atomics.load(words, word.handle) === fh);
      if (lane === undefined || request.length !== dataFrom + size) return undefined;
      const reply = replyTo(request, size);
      return appendTo(lane, { handle: fh, offset, data: request.subarray(dataFrom) }) ? reply : undefined;
    } catch {
      return undefined; // the main thread meets the same error, and says so
    }
  }
}

interface Write {
  readonly handle: number;
  readonly offset: number;
  readonly data: Uint8Array;
}

function appendTo(lane: LaneWords, write: Write): boolean {
  const { words } = lane;
  if (Atomics.compareExchange(words, word.state, state.open, state.busy) !== state.open) return false;
  try {
    return appendAlone(lane, write);
  } finally {
    Atomics.store(words, word.state, state.open);
    Atomics.notify(words, word.state);
  }
}

/** The lane is busy, so nobody else touches it: it may have been opened for another handle since it was found. */
function appendAlone({ words, numbers }: LaneWords, { handle, offset, data }: Write): boolean {
  const count = words[word.count] as number;
  const room = numbers[number.room] as number;
  if (words[word.handle] !== handle || numbers[number.offset] !== offset || data.length > room || count >= appendsMax || crc32 === undefined) return false;
  const at = numbers[number.at] as number;
  if (writeSync(words[word.descriptor] as number, data, 0, data.length, at) !== data.length) return false;
  words[word.records + 2 * count] = data.length;
  words[word.records + 2 * count + 1] = crc32(data);
  numbers[number.records + count] = Date.now();
  numbers.set([offset + data.length, at + data.length, room - data.length]);
  Atomics.store(words, word.count, count + 1);
  return true;
}

function replyTo(request: Buffer, size: number): Uint8Array {
  const { unique } = inHeader.view(request);
  const bytes = Buffer.alloc(outHeader.size + writeOut.size);
  bytes.set(outHeader.encode({ len: bytes.length, error: 0, unique }));
  bytes.set(writeOut.encode({ size, padding: 0 }), outHeader.size);
  return bytes;
}
