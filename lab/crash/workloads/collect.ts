/** Dead and sparse containers go, and a second collection after further forgetting: with lists, copies, reprieves and sweeps. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** Forget, then collect, twice. */
export const collect: Workload = {
  name: 'collect',
  async prepare(bench) {
    const repository = await bench.create();
    const gone = [await bench.backUp(repository, files(1, 2, 3)), await bench.backUp(repository, files(3, 4, 5, 6), '/other')];
    await bench.backUp(repository, files(1, 6, 7));
    await bench.forget(repository, gone);
    await repository.close();
  },
  async run(bench) {
    const first = await bench.open();
    await bench.collect(first);
    await first.close();
    const second = await bench.open();
    const kept = await bench.backUp(second, files(2, 7, 8));
    await bench.forget(second, bench.ledger.required.filter((id) => id !== kept));
    await bench.collect(second);
    await second.close();
  },
};
