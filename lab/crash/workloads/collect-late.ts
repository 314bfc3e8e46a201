/** A writer that began after a list was written, and refers to what is on it, while the list waits for an earlier writer and is then carried out. */
import { directoryNode, fileNode } from '../../../src/core/testing/memory-tree.ts';
import { seededBytes } from '../../../src/core/testing/random.ts';
import { files } from '../content.ts';
import type { Workload } from '../workload.ts';

/** As long as a batch of chunks that is looked up at once, and hardly anything to store: behind it what came before was looked up. */
const filler = fileNode(new Uint8Array(Buffer.concat(Array.from({ length: 80 }, () => seededBytes(4_096, 77)))));

/** The later writer knows the list, so nobody waits for it. */
export const collectLate: Workload = {
  name: 'collect-late',
  isConcurrent: true,
  async prepare(bench) {
    const repository = await bench.create();
    const gone = await bench.backUp(repository, files(3, 4), '/other');
    await bench.backUp(repository, files(5), '/kept');
    await bench.forget(repository, [gone]);
    await repository.close();
  },
  async run(bench) {
    const early = await bench.open();
    const first = bench.hold(early, files(9));
    await first.reached;
    const collector = await bench.open();
    const ends: PromiseSettledResult<unknown>[] = await Promise.allSettled([bench.collect(collector)]);
    const writer = await bench.open().catch((error: unknown) => {
      first.release();
      throw error;
    });
    const second = bench.hold(writer, directoryNode({ a: files(3, 4), b: filler, c: files(8) }), 4);
    await second.reached;
    first.release();
    ends.push(...await Promise.allSettled([first.result]), ...await Promise.allSettled([bench.collect(collector)]));
    second.release();
    ends.push(...await Promise.allSettled([second.result]), ...await Promise.allSettled([writer.close(), early.close(), collector.close()]));
    const failed = ends.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason as Error;
  },
};
