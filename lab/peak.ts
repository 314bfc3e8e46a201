/** Peak memory of a process. */
import { readFileSync } from 'node:fs';

/**
 * Peak resident memory of a running process, in MB (10^6 bytes); `self` is this one. Not `resourceUsage().maxRSS`: Linux begins that with what the process was before
 * its `exec`, a copy of its parent.
 */
export function peakMegabytes(pid: number | 'self'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1] ?? Number.NaN) * 1024 / 1e6;
}
