/** Keys are rotated, the root key too, while a writer seals with whichever is the newest. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Interleaved operation by operation: a writer must not seal with a key that the next power cut takes away. */
export const rotate: Workload = {
  name: 'rotate',
  isInterleaved: true,
  async prepare(bench) {
    bench.keys = [1, 2];
    const repository = await bench.create();
    await bench.backUp(repository, files(1, 2));
    await repository.close();
  },
  async run(bench) {
    const rotator = async (): Promise<void> => {
      await bench.rotate();
      await bench.rotate(2);
    };
    const writer = async (): Promise<void> => {
      for (const number of [3, 4]) {
        const repository = await bench.open();
        await bench.backUp(repository, files(1, number), '/other');
        await repository.close();
      }
    };
    const ends = await Promise.allSettled([rotator(), writer()]);
    const failed = ends.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason as Error;
  },
};
