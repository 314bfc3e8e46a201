/** Which bytes of a volume are in which log of its spool. Bytes written one after another are one extent. */

/** Bytes `[start, end)` of the volume, from `at` on in the data of a log. */
export interface SpoolExtent {
  readonly start: number;
  readonly end: number;
  readonly log: number;
  readonly at: number;
}

/** Extents in order, without overlap; later writes win. */
export class ExtentMap {
  #extents: SpoolExtent[];

  constructor(extents: readonly SpoolExtent[] = []) {
    this.#extents = [...extents];
  }

  get extents(): readonly SpoolExtent[] {
    return this.#extents;
  }

  /** A map of its own; the extents themselves never change. */
  copy(): ExtentMap {
    return new ExtentMap(this.#extents);
  }

  set(extent: SpoolExtent): void {
    const last = this.#extents.at(-1);
    if (last !== undefined && last.end === extent.start && last.log === extent.log && last.at + last.end - last.start === extent.at) {
      this.#extents[this.#extents.length - 1] = { ...last, end: extent.end };
      return;
    }
    const first = this.#firstBehind(extent.start);
    const kept: SpoolExtent[] = [];
    let behind = first;
    for (let one = this.#extents[behind]; one !== undefined && one.start < extent.end; one = this.#extents[behind]) {
      if (one.start < extent.start) kept.push({ ...one, end: extent.start });
      if (one.end > extent.end) kept.push({ ...one, start: extent.end, at: one.at + extent.end - one.start });
      behind += 1;
    }
    kept.push(extent);
    kept.sort((a, b) => a.start - b.start);
    this.#extents.splice(first, behind - first, ...kept);
  }

  /** Forgets all bytes from `size` on. */
  cut(size: number): void {
    const first = this.#firstBehind(size);
    const one = this.#extents[first];
    this.#extents.length = Math.min(this.#extents.length, first);
    if (one !== undefined && one.start < size) this.#extents.push({ ...one, end: size });
  }

  /** Forgets what logs up to `log` hold. */
  dropLogs(log: number): void {
    this.#extents = this.#extents.filter((extent) => extent.log > log);
  }

  /** The extent over `offset`, or the first one behind it. */
  at(offset: number): SpoolExtent | undefined {
    return this.#extents[this.#firstBehind(offset)];
  }

  /** Whether any byte of `[start, end)` is in a log. */
  touches(start: number, end: number): boolean {
    const found = this.at(start);
    return found !== undefined && found.start < end;
  }

  /** Index of the first extent that ends behind `offset`. */
  #firstBehind(offset: number): number {
    let low = 0;
    let high = this.#extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#extents[middle] as SpoolExtent).end > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
