/**
 * A thread that reads requests from the device and leaves them in slots of shared memory. It does nothing else: the blocking read would
 * stop any other thread, and the pool of libuv has only four. Ends when the kernel ends the connection.
 */
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { SlotRing, type SlotMemory } from './slot-ring.ts';

const { fd, memory } = workerData as { readonly fd: number; readonly memory: SlotMemory };
const slots = new SlotRing(memory);

/** Reads that the kernel took back (ENOENT) or that a signal cut are repeated; ENODEV and ECONNABORTED are the end. */
function serve(): string {
  for (;;) {
    const slot = slots.waitForFree();
    try {
      slots.fill(slot, readSync(fd, slots.bytes(slot)));
      parentPort?.postMessage(slot);
    } catch (error) {
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      if (!['EINTR', 'ENOENT', 'EAGAIN'].includes(code)) return code;
    }
  }
}

parentPort?.postMessage(serve());
