/** Settings of the whole process that keep it small. They are the command line's: a library leaves them to its host. */
import { createRequire } from 'node:module';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

interface Koffi {
  load(name: string): { func(signature: string): (option: number, value: number) => number };
}

/** glibc's numbers of the options; their value here, in bytes, is glibc's own default. */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
const THRESHOLD_BYTES = 128 << 10;

/** Percent by which a heap may grow before V8 marks all of it again. */
const GROWTH_PERCENT = 50;
/** What a smaller heap may grow to all the same: buffers of sockets and ciphers count as heap, and half of a heap of 10 MB is marked again for each message or two. */
const SMALL_HEAP_BYTES = 40 << 20;
/** A process whose heap and buffers are larger together is not small any more: the tables of a million files leave no room for a heap that grows as it likes. */
const SMALL_PROCESS_BYTES = 64 << 20;
const GROWTH_CHECK_MS = 500;
/** A process that ends before is not worth loading koffi for. */
const SETTLED_MS = 50;

/** The percentage for a heap of this size with so much outside of it: in a small process up to {@link SMALL_HEAP_BYTES} or by {@link GROWTH_PERCENT}, whichever is more; else the latter. */
export function growthPercent(heapBytes: number, outsideBytes: number): number {
  if (heapBytes + outsideBytes > SMALL_PROCESS_BYTES) return GROWTH_PERCENT;
  return Math.max(GROWTH_PERCENT, Math.round((SMALL_HEAP_BYTES / Math.max(heapBytes, 1 << 20) - 1) * 100));
}

/** Keeps V8's percentage right for the size that the heap has now, as long as the process lives for other reasons. */
function adjustGrowth(): void {
  let last = GROWTH_PERCENT;
  setInterval(() => {
    const { used_heap_size: heap, external_memory: outside } = getHeapStatistics();
    const percent = growthPercent(heap, outside);
    if (percent === last) return;
    setFlagsFromString(`--heap-growing-percent=${percent}`);
    last = percent;
  }, GROWTH_CHECK_MS).unref();
}

function limitYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * V8 trades memory for fewer collections, and glibc keeps ever larger freed pieces; our promise is 200 MB for any size of input.
 * To be called once, before anything is compiled: a code cache is accepted only under the flags it was made with.
 */
export function keepProcessSmall(): void {
  limitYoungGeneration();
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  // Before the tables of a large volume are read: what they free while they grow lies among small pieces otherwise, some 7 MB for a million files.
  setTimeout(() => {
    returnFreedMemory();
    adjustGrowth();
  }, SETTLED_MS).unref();
  process.on('worker', (worker) => {
    // V8 sets the factor back to 2, for all threads, when it makes the heap of a new one, some time before that is online: this heap then grew by up to 40 MB.
    const guard = setInterval(limitYoungGeneration, 1).unref();
    for (const event of ['online', 'exit'] as const) {
      worker.once(event, () => {
        clearInterval(guard);
        limitYoungGeneration();
      });
    }
  });
}

/**
 * Makes glibc return what is freed. Once set, the thresholds stay: else each large piece that is freed raises them, up to 64 MB, and the next ones lie among small
 * pieces that keep their memory. Without koffi or glibc nothing changes. For processes that live long; {@link keepProcessSmall} calls it after a while.
 */
export function returnFreedMemory(): void {
  if (process.platform !== 'linux') return;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const mallopt = koffi.load('libc.so.6').func('int mallopt(int option, int value)');
    mallopt(M_TRIM_THRESHOLD, THRESHOLD_BYTES);
    mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES);
  } catch {
    // koffi has no binary here, or the C library is another one.
  }
}
