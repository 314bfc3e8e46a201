/** Picks the system calls of this process. */
import { loadLibcCalls } from './libc-calls.ts';
import { NodeCalls } from './node-calls.ts';
import type { SystemCalls } from './system-calls.ts';

let shared: SystemCalls | undefined;

/** The calls of this process: libc if it can be loaded, else `node:fs`. Loads native code at the first call. */
export function loadCalls(): SystemCalls {
  if (shared === undefined) {
    const libc = loadLibcCalls();
    shared = typeof libc === 'string' ? new NodeCalls(libc) : libc;
  }
  return shared;
}
