/** A thread that ended in the middle of a write through a lane, as one that ran out of memory does. */
import type { AppendLane } from '../append-lane.ts';

/** Leaves an open lane as such a thread leaves it: busy for ever. */
export function dieInWrite({ memory: { words } }: AppendLane): void {
  const busy = 2;
  Atomics.store(new Int32Array(words), 0, busy);
}
