/** Resident memory as the kernel counts it. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const INTERVAL_MS = 50;
const SETTLE_MS = 5;

let collect: (() => void) | undefined;

/**
 * Bytes that this process holds after a full collection: V8's heap and buffers outside of it. Resident memory would tell how the allocators felt
 * that day: it moved by 20 MB between runs of the same seed.
 */
export async function keptMemory(): Promise<number> {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  await new Promise((resolve) => { setTimeout(resolve, SETTLE_MS); }); // threads that ended give their memory back on the next turn
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A field of /proc/PID/status in bytes; undefined once the process is gone. Source: proc(5). */
function statusBytes(pid: number, field: 'VmHWM' | 'VmRSS'): number | undefined {
  try {
    const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined; // gone: the looks before stand
  }
}

/**
 * Looks at a process twenty times a second. `peak` ends it and returns the largest value seen, 0 when there was none.
 * Of a process of its own `VmHWM` is looked at, which holds peaks between looks; of this one, which goes on, what is resident now.
 */
export function watchMemory(pid: number): { peak(): number } {
  const field = pid === process.pid ? 'VmRSS' : 'VmHWM';
  let largest = 0;
  const look = (): void => { largest = Math.max(largest, statusBytes(pid, field) ?? 0); };
  look();
  const timer = setInterval(look, INTERVAL_MS);
  return {
    peak(): number {
      clearInterval(timer);
      look();
      return largest;
    },
  };
}
