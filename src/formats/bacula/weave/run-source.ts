/** The data of a segment, session behind session, read from where it stands between the heads of the volume. */
import { checkRange, type BlockSource, type Extent } from '../../../core/index.ts';
import type { RunList } from './session-splitter.ts';

/** Runs that lie close together are read at once. */
const WINDOW_BYTES = 256 << 10;

/** Reads one after another; where the runs are is a table of 8 bytes each. Closing it leaves the volume open. */
export class RunSource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly #volume: BlockSource;
  /** Of each run: where it begins in this source, and in the volume behind `offset`. */
  readonly #starts: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #offset: number;
  readonly #buffer: Uint8Array = new Uint8Array(WINDOW_BYTES);
  #bufferStart = 0;
  #bufferLength = 0;
  /** The run that was read last. */
  #run = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(volume: BlockSource, offset: number, lists: readonly RunList[]) {
    this.#volume = volume;
    this.#offset = offset;
    const count = lists.reduce((sum, list) => sum + list.count, 0);
    this.#starts = new Uint32Array(count + 1);
    this.#offsets = new Uint32Array(count);
    let [run, start] = [0, 0];
    for (const list of lists) {
      for (let i = 0; i < list.count; i += 1, run += 1) {
        this.#offsets[run] = list.offset(i);
        this.#starts[run] = start;
        start += list.length(i);
      }
    }
    this.#starts[count] = start;
    this.size = start;
  }

  readInto(offset: number, target: Uint8Array): Promise<void> {
    const turn = this.#turn.then(() => {
      checkRange(this, offset, target.length, 'data of a segment');
      return this.#read(offset, target);
    });
    this.#turn = turn.catch(() => undefined); // the reader before has its own error
    return turn;
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'data of a segment');
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #read(offset: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length;) {
      const at = offset + done;
      const run = this.#find(at);
      const piece = target.subarray(done, done + Math.min(target.length - done, (this.#starts[run + 1] as number) - at));
      const filled = this.#fill(this.#offset + (this.#offsets[run] as number) + at - (this.#starts[run] as number), piece);
      if (filled !== undefined) await filled;
      done += piece.length;
    }
  }

  /** The run over an offset: mostly the last one, or the one behind it. */
  #find(at: number): number {
    const starts = this.#starts;
    const covers = (run: number): boolean => run + 1 < starts.length && at >= (starts[run] as number) && at < (starts[run + 1] as number);
    if (!covers(this.#run)) {
      if (covers(this.#run + 1)) this.#run += 1;
      else this.#run = this.#search(at);
    }
    return this.#run;
  }

  #search(at: number): number {
    let low = 0;
    let high = this.#offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] as number) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Through the buffer, unless the piece is so long that it would only be copied once more. A promise only where something is read. */
  #fill(at: number, target: Uint8Array): Promise<void> | undefined {
    if (at >= this.#bufferStart && at + target.length <= this.#bufferStart + this.#bufferLength) {
      target.set(this.#buffer.subarray(at - this.#bufferStart, at - this.#bufferStart + target.length));
      return undefined;
    }
    if (target.length > WINDOW_BYTES / 8) return this.#volume.readInto(at, target, { sequential: true });
    return this.#load(at, target);
  }

  async #load(at: number, target: Uint8Array): Promise<void> {
    const wanted = Math.min(WINDOW_BYTES, this.#volume.size - at);
    this.#bufferLength = 0;
    await this.#volume.readInto(at, this.#buffer.subarray(0, wanted), { sequential: true });
    this.#bufferStart = at;
    this.#bufferLength = wanted;
    target.set(this.#buffer.subarray(0, target.length));
  }
}
