/** A repository with keys comes into being, two backups, one of them forgotten and collected. */
import { files, mixed } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Keys first, then the config, then sealed containers. */
export const encrypted: Workload = {
  name: 'encrypted',
  async run(bench) {
    bench.keys = [1];
    const repository = await bench.create();
    const gone = await bench.backUp(repository, mixed(1));
    await bench.backUp(repository, files(1, 2), '/other');
    await bench.forget(repository, [gone]);
    await bench.collect(repository);
    await repository.close();
  },
};
