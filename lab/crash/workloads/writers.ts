/** Three processes at once: two that back up what they share, one that forgets and collects. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Interleaved operation by operation. */
export const writers: Workload = {
  name: 'writers',
  isInterleaved: true,
  async prepare(bench) {
    const repository = await bench.create();
    await bench.backUp(repository, files(1, 2, 3));
    await bench.backUp(repository, files(3, 4), '/kept');
    await repository.close();
  },
  async run(bench) {
    const [gone = ''] = bench.ledger.required;
    const writer = async (numbers: readonly number[], source: string): Promise<void> => {
      const repository = await bench.open();
      await bench.backUp(repository, files(...numbers), source);
      await repository.close();
    };
    const collector = async (): Promise<void> => {
      const repository = await bench.open();
      await bench.forget(repository, [gone]);
      await bench.collect(repository);
      await repository.close();
    };
    const ends = await Promise.allSettled([writer([1, 5], '/a'), writer([2, 5, 6], '/b'), collector()]);
    const failed = ends.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason as Error;
  },
};
