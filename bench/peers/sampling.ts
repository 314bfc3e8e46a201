/**
 * Fallback without GNU time: reads /proc/PID twenty times a second. Coarser than wait4: what happens after the last look
 * is lost (up to 50 ms), and the peak is that of the first process only, not of its children.
 */
import { readFileSync } from 'node:fs';

/** Figures of the last look at the process. */
export interface Sampled {
  readonly cpuS: number;
  readonly peakRssBytes: number;
}

const INTERVAL_MS = 50;
/** Clock ticks a second in /proc/PID/stat: 100 on every Linux that Node supports. Source: proc(5). */
const TICKS_PER_S = 100;

/** Starts looking; `stop` ends it and returns the figures, NaN when the process was gone before the first look. */
export function sampleProcess(pid: number | undefined): { stop(): Sampled } {
  let last: Sampled = { cpuS: NaN, peakRssBytes: NaN };
  const look = (): void => {
    last = read(pid) ?? last;
  };
  look();
  const timer = setInterval(look, INTERVAL_MS);
  return {
    stop(): Sampled {
      clearInterval(timer);
      return last;
    },
  };
}

function read(pid: number | undefined): Sampled | undefined {
  try {
    const peakKib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    if (peakKib === undefined) return undefined;
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Fields after the command name, which may itself hold blanks: 14-17 are utime, stime, cutime, cstime.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number);
    return { cpuS: fields.reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_S, peakRssBytes: Number(peakKib) * 1024 };
  } catch {
    return undefined; // the process is gone: the previous look stands
  }
}
