/** A repository comes into being, and its first backup. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Faults from the very first directory on. */
export const create: Workload = {
  name: 'create',
  async run(bench) {
    const repository = await bench.create();
    await bench.backUp(repository, files(1));
    await repository.close();
  },
};
