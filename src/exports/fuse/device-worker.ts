/**
 * A thread that reads requests from the device and leaves them in slots of shared memory. The blocking read would stop any other thread,
 * and the pool of libuv has only four. The only requests it answers itself are appends through an open lane. Ends when the kernel ends the
 * connection.
 */
import { readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { LaneThread, type LaneMemory } from './append-lane.ts';
import { SlotRing, type SlotMemory } from './slot-ring.ts';

const { fd, memory, lanes } = workerData as { readonly fd: number; readonly memory: SlotMemory; readonly lanes: readonly LaneMemory[] };
const slots = new SlotRing(memory);
const appender = new LaneThread(lanes);

/** Requests and waiters that the kernel took back (ENOENT) or that a signal cut are passed over; ENODEV and ECONNABORTED are the end. */
function serve(): string {
  for (;;) {
    const slot = slots.waitForFree();
    try {
      const bytes = slots.bytes(slot);
      let length: number;
      for (;;) {
        length = readSync(fd, bytes);
        const reply = appender.append(bytes.subarray(0, length));
        if (reply === undefined) break;
        writeSync(fd, reply);
      }
      slots.fill(slot, length);
      parentPort?.postMessage(slot);
    } catch (error) {
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      if (!['EINTR', 'ENOENT', 'EAGAIN'].includes(code)) return code;
    }
  }
}

parentPort?.postMessage(serve());
