/**
 * The content of one file as a BlockSource. Reading forward decodes each record once; reading backward starts again from the
 * last checkpoint before the place. The read that reaches the last byte returns only after the whole content was decoded and
 * its digest held.
 */
import { type BlockSource, checkRange, type Extent, HoldfastError, IntegrityError, type ReadOptions } from '../../core/index.ts';
import { type Checkpoint, ContentPass, type ContentTools, type PlacedChunk } from './content-pass.ts';
import type { DamagePlace } from './problem.ts';
import type { SessionIndex } from './session-index.ts';
import { dataStream } from './stream.ts';

const CHECKPOINT_BYTES = 1 << 20;
const CHECKPOINTS_MAX = 8192;

/** Which file of which session, and how long it is. */
export interface ContentFile {
  readonly session: SessionIndex;
  readonly row: number;
  readonly size: number;
}

/** Content of one file; made by a tree. Concurrent reads wait for each other. */
export class ContentSource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly #file: ContentFile;
  readonly #tools: ContentTools;
  readonly #sparse: boolean;
  #main: Walk | undefined;
  #side: Walk | undefined;
  #checkpoints: Checkpoint[] = [];
  #stride = CHECKPOINT_BYTES;
  #failure: HoldfastError | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(file: ContentFile, tools: ContentTools) {
    this.#file = file;
    this.#tools = tools;
    this.size = file.size;
    this.#sparse = dataStream(file.session.files.stream.get(file.row))?.sparse ?? false;
  }

  readInto(offset: number, target: Uint8Array, _options?: ReadOptions): Promise<void> {
    const done = this.#turn.then(() => this.#read(offset, target));
    this.#turn = done.catch(() => {});
    return done;
  }

  async #read(offset: number, target: Uint8Array): Promise<void> {
    checkRange(this, offset, target.length, `file ${this.#file.session.files.fileIndex.get(this.#file.row)}`);
    if (target.length === 0) return;
    await this.#guard(async () => {
      const main = this.#mainWalk();
      if (offset >= main.start) await main.fill(offset, target, (chunk) => { this.#remember(chunk); });
      else await this.#walkFrom(offset).fill(offset, target);
      if (offset + target.length === this.size) await this.#finish(main);
    });
  }

  /** Decodes the whole content and checks size and digest. @throws as `readInto` */
  verify(): Promise<void> {
    const done = this.#turn.then(() => this.#guard(async () => this.#finish(this.#mainWalk())));
    this.#turn = done.catch(() => {});
    return done;
  }

  #mainWalk(): Walk {
    this.#main ??= new Walk(new ContentPass(this.#file.session, this.#file.row, this.#tools));
    return this.#main;
  }

  /** A failed pass has lost its place: the file stays failed. */
  async #guard(work: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await work();
    } catch (error) {
      if (error instanceof HoldfastError) this.#failure = error;
      throw error;
    }
  }

  /** Runs the checked pass to its end. */
  async #finish(main: Walk): Promise<void> {
    await main.drain((chunk) => { this.#remember(chunk); });
    const { session, row } = this.#file;
    const damage = session.files.damage.get(row);
    if (damage !== undefined) throw damageError(session, row, damage);
    if (main.end > this.size || (main.end < this.size && !this.#sparse)) {
      session.files.actualSize.set(row, main.end);
      throw new IntegrityError(`Read file ${session.files.fileIndex.get(row)} of ${session.name}: it has '${main.end}' bytes of content, expected '${this.size}' as its attributes say; it changed while it was backed up`, { check: 'size', found: main.end, expected: this.size });
    }
  }

  #walkFrom(offset: number): Walk {
    const side = this.#side;
    if (side !== undefined && offset >= side.start) return side;
    const from = this.#checkpoints.findLast((checkpoint) => checkpoint.offset <= offset);
    const { session, row } = this.#file;
    side?.release();
    this.#side = new Walk(from === undefined ? new ContentPass(session, row, this.#tools) : new ContentPass(session, row, this.#tools, from), from?.offset);
    return this.#side;
  }

  #remember(chunk: PlacedChunk): void {
    const last = this.#checkpoints.at(-1);
    if (chunk.place === undefined || chunk.offset < (last === undefined ? 0 : last.offset + this.#stride)) return;
    this.#checkpoints.push({ offset: chunk.offset, place: chunk.place });
    if (this.#checkpoints.length < CHECKPOINTS_MAX) return;
    this.#checkpoints = this.#checkpoints.filter((_, i) => i % 2 === 0);
    this.#stride *= 2;
  }

  /** Holes of sparse content; finding them is a pass over the records. */
  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'file extents');
    const end = offset + length;
    if (length === 0) return;
    if (!this.#sparse) {
      yield { offset, length, kind: 'data' };
      return;
    }
    const pass = new ContentPass(this.#file.session, this.#file.row, this.#tools);
    const runs = new RunList(offset, end);
    try {
      for (let chunk = await pass.next(); chunk !== undefined && chunk.offset < end; chunk = await pass.next()) {
        yield* runs.add(chunk.offset, chunk.offset + chunk.bytes.length);
      }
    } finally {
      pass.release();
    }
    yield* runs.finish();
  }

  /** Waits for reads under way. */
  close(): Promise<void> {
    this.#turn = this.#turn.then(() => {
      this.#main?.release();
      this.#side?.release();
      this.#main = undefined;
      this.#side = undefined;
    });
    return this.#turn;
  }
}

/** What reading a file says when some of its records may be lost. */
export function damageError(session: SessionIndex, row: number, damage: DamagePlace): IntegrityError {
  const { volume, block, offset, message } = damage;
  return new IntegrityError(`Read file ${session.files.fileIndex.get(row)} of ${session.name} in block ${block} at offset ${offset} of volume '${volume}': ${message}`, { volume, block, offset });
}

/** A pass and its current chunk, so that reads smaller than a chunk decode it once. */
class Walk {
  readonly #pass: ContentPass;
  #chunk: PlacedChunk | undefined;
  #done = false;
  /** Reads from here on can be served. */
  start: number;

  constructor(pass: ContentPass, start = 0) {
    this.#pass = pass;
    this.start = start;
  }

  /** Bytes of the file that have come out. */
  get end(): number {
    return this.#pass.position;
  }

  /** Fills `target` from `offset`, which is not before `start`; bytes that no chunk covers are zero. */
  async fill(offset: number, target: Uint8Array, seen?: (chunk: PlacedChunk) => void): Promise<void> {
    const end = offset + target.length;
    let filled = offset;
    for (;;) {
      const chunk = this.#chunk;
      if (chunk !== undefined && chunk.offset + chunk.bytes.length > filled) {
        const from = Math.max(chunk.offset, filled);
        if (from > filled) target.fill(0, filled - offset, Math.min(from, end) - offset);
        const to = Math.min(chunk.offset + chunk.bytes.length, end);
        if (to > from) target.set(chunk.bytes.subarray(from - chunk.offset, to - chunk.offset), from - offset);
        filled = Math.max(filled, Math.min(end, Math.max(from, to)));
      }
      if (filled >= end) return;
      if (!await this.#step(seen)) break;
    }
    // Behind the last chunk of a sparse file is a hole; what is missing elsewhere shows when the size is checked.
    target.fill(0, filled - offset);
  }

  release(): void {
    this.#pass.release();
  }

  async drain(seen: (chunk: PlacedChunk) => void): Promise<void> {
    while (await this.#step(seen));
  }

  async #step(seen: ((chunk: PlacedChunk) => void) | undefined): Promise<boolean> {
    if (this.#done) return false;
    if (this.#chunk !== undefined) this.start = this.#chunk.offset + this.#chunk.bytes.length;
    this.#chunk = await this.#pass.next();
    this.#done = this.#chunk === undefined;
    if (this.#chunk !== undefined) seen?.(this.#chunk);
    return !this.#done;
  }
}

/** Joins chunks that touch into extents of one range. */
class RunList {
  readonly #end: number;
  #at: number;
  #start: number;

  constructor(start: number, end: number) {
    this.#at = start;
    this.#start = start;
    this.#end = end;
  }

  /** Extents that are complete now that data lies in `[from, to)`; chunks come in ascending order. */
  add(from: number, to: number): readonly Extent[] {
    const ready: Extent[] = [];
    const begin = Math.max(from, this.#at);
    if (begin > this.#at) {
      if (this.#at > this.#start) ready.push({ offset: this.#start, length: this.#at - this.#start, kind: 'data' });
      ready.push({ offset: this.#at, length: Math.min(begin, this.#end) - this.#at, kind: 'hole' });
      this.#start = begin;
    }
    this.#at = Math.max(this.#at, Math.min(to, this.#end), begin);
    return ready;
  }

  finish(): readonly Extent[] {
    const ready: Extent[] = [];
    if (this.#at > this.#start) ready.push({ offset: this.#start, length: this.#at - this.#start, kind: 'data' });
    if (this.#at < this.#end) ready.push({ offset: this.#at, length: this.#end - this.#at, kind: 'hole' });
    return ready;
  }
}
