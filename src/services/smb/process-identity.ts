/** Which process it is, also after its number was given to another one. Source: proc(5), `/proc/PID/stat`. */
import { readFileSync } from 'node:fs';

/** One process of one run of this kernel. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start in clock ticks since the kernel's. */
  readonly started: string;
  readonly boot: string;
}

const startField = 22;

/** Undefined when there is no such process, or it has ended and nobody has asked for its exit code. */
function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is a name in parentheses, which may hold spaces; the third is the state.
    const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    return { pid, started: fields[startField - 4] ?? '', boot: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** This process. */
export function thisProcess(): ProcessIdentity {
  return identityOf(process.pid) ?? { pid: process.pid, started: '', boot: '' };
}

/** Whether a process still runs. */
export function isRunning({ pid, started, boot }: ProcessIdentity): boolean {
  const found = identityOf(pid);
  return found !== undefined && found.started === started && found.boot === boot;
}
