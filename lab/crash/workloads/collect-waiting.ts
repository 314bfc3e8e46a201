/** A list that waits for a backup under way: written by one collection, decided and carried out by the next, with containers that stay after all. */
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** A collector meets a writer that found condemned chunks stored, and does not wait. */
export const collectWaiting: Workload = {
  name: 'collect-waiting',
  isConcurrent: true,
  async prepare(bench) {
    const repository = await bench.create();
    await bench.backUp(repository, files(1, 2));
    const gone = await bench.backUp(repository, files(3, 4), '/other');
    await bench.backUp(repository, files(5), '/kept');
    await bench.forget(repository, [gone]);
    await repository.close();
  },
  async run(bench) {
    const writer = await bench.open();
    const held = bench.hold(writer, files(1, 9));
    await held.reached;
    const early = async (): Promise<void> => {
      const collector = await bench.open();
      await bench.forget(collector, bench.ledger.required.slice(0, 1));
      await bench.collect(collector);
      await collector.close();
    };
    const late = async (): Promise<void> => {
      const collector = await bench.open();
      await bench.collect(collector);
      await collector.close();
    };
    const ends = await Promise.allSettled([early()]);
    held.release();
    ends.push(...await Promise.allSettled([held.result.then(() => undefined)]), ...await Promise.allSettled([late()]), ...await Promise.allSettled([writer.close()]));
    const failed = ends.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason as Error;
  },
};
