/** Snapshots are forgotten one by one and all at once; nothing is removed. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** What was acknowledged as forgotten stays away. */
export const forget: Workload = {
  name: 'forget',
  async prepare(bench) {
    const repository = await bench.create();
    for (const number of [1, 2, 3]) await bench.backUp(repository, files(number, number + 1), `/${number}`);
    await repository.close();
  },
  async run(bench) {
    const [one = '', two = '', three = ''] = bench.ledger.required;
    const repository = await bench.open();
    await bench.forget(repository, [one]);
    await bench.forget(repository, [one, two]).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'NOT_FOUND') throw error; // a snapshot that is forgotten can't be seen any more
    });
    await bench.forget(repository, [three]);
    await repository.close();
  },
};
