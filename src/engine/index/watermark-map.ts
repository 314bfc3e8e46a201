/** The newest watermark of each container. */
import assert from 'node:assert';
import type { Watermark } from '../../core/index.ts';

/** Whether `text` is a container name as watermarks have it: 16 lower-case hexadecimal digits. */
export function isContainerName(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/**
 * Watermarks by container. One with offset 0 that is not sealed says the same as none and is dropped: that is how the
 * mark of a deleted container goes away.
 */
export class WatermarkMap {
  readonly #marks = new Map<string, Watermark>();

  get size(): number {
    return this.#marks.size;
  }

  set(mark: Watermark): void {
    checkWatermark(mark);
    if (isForget(mark)) this.#marks.delete(mark.container);
    else this.#marks.set(mark.container, { container: mark.container, offset: mark.offset, sealed: mark.sealed });
  }

  /** In ascending order of container. */
  list(): readonly Watermark[] {
    return [...this.#marks.values()].sort((a, b) => (a.container < b.container ? -1 : 1));
  }
}

/** Whether a watermark says the same as none: nothing of the container is reflected. */
export function isForget(mark: Watermark): boolean {
  return mark.offset === 0 && !mark.sealed;
}

/** Asserts the form of a watermark: a wrong one is a bug of the caller. */
export function checkWatermark(mark: Watermark): void {
  assert(isContainerName(mark.container), `a watermark's container is 16 lower-case hexadecimal digits, not '${mark.container}'`);
  assert(Number.isSafeInteger(mark.offset) && mark.offset >= 0, `a watermark's offset is a count of bytes, not '${mark.offset}'`);
}
