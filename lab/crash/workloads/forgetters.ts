/** Two processes forget, each another snapshot, where nobody ever forgot anything: one uses a directory that the other has just made. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Interleaved operation by operation. */
export const forgetters: Workload = {
  name: 'forgetters',
  isInterleaved: true,
  async prepare(bench) {
    const repository = await bench.create();
    for (const number of [1, 2, 3]) await bench.backUp(repository, files(number), `/${number}`);
    await repository.close();
  },
  async run(bench) {
    const [one = '', two = ''] = bench.ledger.required;
    const forgetter = async (id: string): Promise<void> => {
      const repository = await bench.open();
      await bench.forget(repository, [id]);
      await repository.close();
    };
    const ends = await Promise.allSettled([forgetter(one), forgetter(two)]);
    const failed = ends.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason as Error;
  },
};
