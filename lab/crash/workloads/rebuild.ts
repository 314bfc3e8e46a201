/** The index is built anew from containers alone, with live and dead places in it. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** An index is a cache: whatever stops its making costs another making. */
export const rebuild: Workload = {
  name: 'rebuild',
  async prepare(bench) {
    const repository = await bench.create();
    const gone = await bench.backUp(repository, files(1, 2, 3));
    await bench.backUp(repository, files(3, 4));
    await bench.forget(repository, [gone]);
    await bench.collect(repository);
    await bench.backUp(repository, files(4, 5, 6));
    await repository.close();
  },
  async run(bench) {
    await bench.rebuildIndex();
    const repository = await bench.open();
    await bench.backUp(repository, files(1, 6));
    await repository.close();
  },
};
