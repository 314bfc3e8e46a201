/** A thread for `appending.test.ts`: writes blocks one after another as the kernel hands them over, through the lane or by asking the main thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { LaneThread, type LaneMemory } from '../../../exports/fuse/append-lane.ts';
import { writeRequest } from '../../../exports/fuse/testing/requests.ts';
import { seededBytes } from '../../../core/testing/random.ts';

const { lanes, handle, count, answered } = workerData as { readonly lanes: readonly LaneMemory[]; readonly handle: number; readonly count: number; readonly answered: SharedArrayBuffer };
const thread = new LaneThread(lanes);
const answers = new Int32Array(answered);
let [offset, asked] = [0, 0];
for (let i = 0; i < count; i += 1) {
  const request = writeRequest(handle, offset, seededBytes(1 + (i * 7919) % 6000, i));
  offset += 1 + (i * 7919) % 6000;
  if (thread.append(request) !== undefined) continue;
  parentPort?.postMessage(request);
  Atomics.wait(answers, 0, asked);
  asked += 1;
}
parentPort?.postMessage(asked);
