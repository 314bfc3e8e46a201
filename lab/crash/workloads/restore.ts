/** Listing and reading whole snapshots, by a reader beside nobody: a fault may fail it, never give other bytes. */
import { files, mixed } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Readers write nothing, so crashes matter little; failing reads do. */
export const restore: Workload = {
  name: 'restore',
  async prepare(bench) {
    const repository = await bench.create();
    await bench.backUp(repository, mixed(1));
    await bench.backUp(repository, files(1, 2, 3), '/other');
    await repository.close();
  },
  async run(bench) {
    const repository = await bench.open('read');
    await bench.verify(repository);
    await repository.close();
  },
};
