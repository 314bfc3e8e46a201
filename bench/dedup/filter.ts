/** Memory, false positives and pace of the filter while it grows to 100 million ids, as a backup fills it. */
import { ID_BYTES, type IdBatch } from '../../src/core/index.ts';
import { ColdFilter, coldShape, RATE_DEFAULT, TwoPartFilter } from '../../src/engine/filter/index.ts';

/** Ids that one container brings: 32 MB of chunks of 16 KiB. */
const BATCH = 2_000;
const STRANGERS = 1_000_000;

/** What was measured when the filter held `ids`. */
export interface FilterRow {
  readonly ids: number;
  /** Bytes of the filter's own counting. */
  readonly bytes: number;
  /** Growth of the process's resident memory since before the filter was made; at most so far. */
  readonly residentBytesMax: number;
  readonly bitsPerId: number;
  readonly falsePositiveRate: number;
  /** Of adding, merges included, since the row before. */
  readonly addNanoseconds: number;
  /** The longest that one container waited, merging included, since the row before. */
  readonly stepMillisecondsMax: number;
  /** Of asking for an id that is new, and for one that is known. */
  readonly missNanoseconds: number;
  readonly hitNanoseconds: number;
}

/** Uniform ids, the same for a seed everywhere, in one buffer that is used again: nothing else shall touch memory here. */
class Ids {
  readonly #words = new Uint32Array(BATCH * ID_BYTES / 4);
  readonly #batch: IdBatch = { bytes: new Uint8Array(this.#words.buffer), count: BATCH };
  #state: readonly [number, number, number, number];

  constructor(seed: number) {
    this.#state = [seed, 0x9e37_79b9, 0x243f_6a88, 0xb7e1_5162];
    for (let i = 0; i < 8; i += 1) this.next();
  }

  /** xoshiro128**. Source: Blackman and Vigna, Scrambled Linear Pseudorandom Number Generators (ACM TOMS 47, 2021). */
  next(): IdBatch {
    let [a, b, c, d] = this.#state;
    for (let i = 0; i < this.#words.length; i += 1) {
      const five = Math.imul(b, 5);
      this.#words[i] = Math.imul(five << 7 | five >>> 25, 9);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = d << 11 | d >>> 21;
    }
    this.#state = [a, b, c, d];
    return this.#batch;
  }
}

function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}

function ask(filter: TwoPartFilter, ids: Ids, count: number): { readonly share: number; readonly each: number } {
  const bitmap = new Uint8Array(BATCH / 8);
  let found = 0;
  let spent = 0;
  for (let done = 0; done < count; done += BATCH) {
    const batch = ids.next();
    const start = nanoseconds();
    found += filter.mayHave(batch, bitmap);
    spent += nanoseconds() - start;
  }
  return { share: found / count, each: spent / count };
}

/** Grows a filter to the largest of `sizes`, a multiple of a million each, and measures at each of them. */
export function measureFilter(sizes: readonly number[], onRow: (row: FilterRow) => void): readonly FilterRow[] {
  const resident = process.memoryUsage.rss();
  const cold = new ColdFilter(coldShape(0, RATE_DEFAULT));
  for (let partition = 0; partition < cold.partitionCount; partition += 1) cold.build(partition);
  const filter = new TwoPartFilter(cold);
  const [members, strangers] = [new Ids(1), new Ids(2)];
  const rows: FilterRow[] = [];
  let [count, residentBytesMax, missed] = [0, 0, 0];
  for (const size of sizes) {
    let [spent, longest, added] = [0, 0, 0];
    for (; count < size; count += BATCH) {
      const batch = members.next();
      const start = nanoseconds();
      filter.add(batch);
      filter.step(batch.count);
      const time = nanoseconds() - start;
      spent += time;
      added += BATCH;
      longest = Math.max(longest, time);
      if (count % 1_000_000 === 0) residentBytesMax = Math.max(residentBytesMax, process.memoryUsage.rss() - resident);
    }
    const miss = ask(filter, strangers, STRANGERS);
    const hit = ask(filter, new Ids(1), STRANGERS);
    missed += hit.share === 1 ? 0 : 1;
    if (missed > 0) throw new Error('Measure filter: it denied an id that was added');
    const { bytes } = filter.metrics;
    const row: FilterRow = {
      ids: count, bytes, residentBytesMax, bitsPerId: bytes * 8 / count, falsePositiveRate: miss.share, addNanoseconds: spent / added,
      stepMillisecondsMax: longest / 1e6, missNanoseconds: miss.each, hitNanoseconds: hit.each,
    };
    onRow(row);
    rows.push(row);
  }
  return rows;
}
