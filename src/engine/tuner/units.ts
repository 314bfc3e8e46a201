/**
 * Units: nested ranges of a stream, one of which is stored or referred to for each byte. In pre-order: a unit, then the units within it;
 * neighbours lie back to back. A unit that would contain exactly one other is left out.
 */
import assert from 'node:assert';
import type { Chunker } from '../chunking/index.ts';
import { GRAIN_MAX, UNIT_BYTES_MAX, type Grain } from './grain.ts';

/** Bytes before a boundary that decide whether a run ends there. */
const JOINT_BYTES = 32;

/** Nested ranges in flat arrays; one list is filled again and again. */
export class UnitList {
  /** Where units start, relative to the region. */
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
  /** Units in the subtree of each, itself included. */
  readonly spans: Uint16Array;
  readonly grains: Int8Array;
  count = 0;

  /** Room for `capacity` units, at most 65,535. */
  constructor(capacity: number) {
    assert(capacity < 65_536, 'spans have 16 bits');
    this.starts = new Uint32Array(capacity);
    this.lengths = new Uint32Array(capacity);
    this.spans = new Uint16Array(capacity);
    this.grains = new Int8Array(capacity);
  }

  /** Appends a unit without others in it. @returns its position. */
  push(start: number, length: number, grain: number): number {
    const at = this.count;
    assert(at < this.starts.length, 'there is room for each unit');
    this.starts[at] = start;
    this.lengths[at] = length;
    this.spans[at] = 1;
    this.grains[at] = grain;
    this.count += 1;
    return at;
  }

  /** Ends a unit: all that came behind it lies within it. One that contains a single other gives way to it. */
  close(at: number): void {
    const span = this.count - at;
    if (span > 1 && this.spans[at + 1] === span - 1 && this.lengths[at + 1] === this.lengths[at]) {
      this.starts.copyWithin(at, at + 1, this.count);
      this.lengths.copyWithin(at, at + 1, this.count);
      this.spans.copyWithin(at, at + 1, this.count);
      this.grains.copyWithin(at, at + 1, this.count);
      this.count -= 1;
    } else this.spans[at] = span;
  }
}

/** Cuts a region into units of all `grains`; the chunker's cuts are those of grain 0. */
export interface UnitCutterParts {
  readonly chunker: Chunker;
  /** Cuts within one chunk for grain −1; fixed blocks have none and are halved. */
  readonly splitter?: Chunker;
  /** The memory that offsets count in. */
  readonly bytes: Uint8Array;
  /** Grains whose units are wanted. */
  readonly grains: ReadonlySet<Grain>;
}

/** One per thread; not reentrant. */
export class UnitCutter {
  readonly #parts: UnitCutterParts;
  readonly #isFixed: boolean;
  readonly #runs: boolean;
  readonly #cuts: Uint32Array;
  readonly #parted = new Uint32Array(256);

  /** `cutsMax` chunks of one region at most are looked at in one call. */
  constructor(parts: UnitCutterParts, cutsMax: number) {
    this.#parts = parts;
    this.#isFixed = parts.chunker.implementation === 'fixed';
    this.#runs = parts.grains.has(1) || parts.grains.has(2);
    this.#cuts = new Uint32Array(cutsMax);
  }

  /** Bytes of the longest unit that is not cut yet: the caller's buffer must hold them, plus what it reads at once. */
  get maxBytes(): number {
    return this.#runs ? UNIT_BYTES_MAX + this.#parts.chunker.maxBytes : this.#parts.chunker.maxBytes;
  }

  /**
   * Appends the units of `length` bytes at `offset`, which start where a run starts. Bytes behind the last whole run are to be handed in
   * again, in front of what follows; with `final` the stream ends with the region. How a stream is dealt out over calls never changes
   * its units. @returns bytes that became units.
   */
  cut(offset: number, length: number, final: boolean, units: UnitList): number {
    const count = this.#parts.chunker.cuts(offset, length, final, this.#cuts);
    if (!this.#runs) return this.#chunks({ offset, first: 0, end: count, start: 0 }, units);
    let [done, first] = [0, 0];
    for (let i = 0; i < count; i += 1) {
      const end = this.#cuts[i] as number;
      const isLast = final && i === count - 1 && end === length;
      const next = i + 1 < count ? this.#cuts[i + 1] as number : undefined;
      // Whether a run is full shows only with the chunk behind it.
      if (next === undefined && !isLast && !this.#isJoint(offset, done, end, GRAIN_MAX)) break;
      if (!isLast && !this.#isJoint(offset, done, end, GRAIN_MAX) && (next as number) - done <= UNIT_BYTES_MAX) continue;
      this.#run({ offset, first, end: i + 1, start: done }, GRAIN_MAX, units);
      done = end;
      first = i + 1;
    }
    return done;
  }

  /** A run of chunks of one grain, with what is within it. */
  #run(run: Run, grain: 1 | 2, units: UnitList): void {
    const isWanted = this.#parts.grains.has(grain);
    const length = (this.#cuts[run.end - 1] as number) - run.start;
    const at = isWanted ? units.push(run.start, length, grain) : -1;
    if (grain === 1) this.#chunks(run, units);
    else this.#halves(run, units);
    if (isWanted) units.close(at);
  }

  /** Runs of grain 1 within one of grain 2. */
  #halves(run: Run, units: UnitList): void {
    let [start, first] = [run.start, run.first];
    for (let i = run.first; i < run.end; i += 1) {
      const end = this.#cuts[i] as number;
      const isFull = i + 1 < run.end && (this.#cuts[i + 1] as number) - start > UNIT_BYTES_MAX / 2;
      if (i + 1 < run.end && !isFull && !this.#isJoint(run.offset, start, end, 1)) continue;
      this.#run({ offset: run.offset, first, end: i + 1, start }, 1, units);
      start = end;
      first = i + 1;
    }
  }

  #chunks(run: Run, units: UnitList): number {
    const isWanted = this.#parts.grains.has(0);
    let { start } = run;
    for (let i = run.first; i < run.end; i += 1) {
      const end = this.#cuts[i] as number;
      const at = isWanted ? units.push(start, end - start, 0) : -1;
      if (this.#parts.grains.has(-1)) this.#split(run.offset, start, end, units);
      if (isWanted) units.close(at);
      start = end;
    }
    return start;
  }

  #split(offset: number, start: number, end: number, units: UnitList): void {
    const length = end - start;
    const parts = this.#parted;
    let count = 0;
    if (this.#parts.splitter !== undefined) count = this.#parts.splitter.cuts(offset + start, length, true, parts);
    else {
      parts[0] = Math.min(length, this.#parts.chunker.maxBytes / 2);
      parts[1] = length;
      count = parts[0] === length ? 1 : 2;
    }
    assert(count > 0 && parts[count - 1] === length, 'the parts of a chunk are all of it');
    for (let i = 0, from = 0; i < count; i += 1) {
      units.push(start + from, (parts[i] as number) - from, -1);
      from = parts[i] as number;
    }
  }

  /** Whether a run of `grain` that began at `start` ends at `end`: every second or fourth chunk, decided by the bytes in front of it. */
  #isJoint(offset: number, start: number, end: number, grain: 1 | 2): boolean {
    const mask = (1 << grain) - 1;
    if (this.#isFixed) return (end - start) / this.#parts.chunker.maxBytes === mask + 1;
    const { bytes } = this.#parts;
    let hash = 0;
    for (let at = offset + Math.max(start, end - JOINT_BYTES); at < offset + end; at += 1) hash = Math.imul(hash ^ (bytes[at] as number), 0x9e37_79b1);
    return ((hash >>> 24 ^ hash >>> 12) & mask) === 0;
  }
}

/** Chunks `first` to `end` of the last cut, the first of which starts at `start`. */
interface Run {
  readonly offset: number;
  readonly first: number;
  readonly end: number;
  readonly start: number;
}
