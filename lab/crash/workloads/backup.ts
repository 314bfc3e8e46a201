/** A first backup over several groups and containers, then one that shares most of it, from two processes one after the other. */
import { directoryNode } from '../../../src/core/testing/memory-tree.ts';
import { file, mixed } from '../content.ts';
import type { Workload } from '../workload.ts';

/** New, then incremental. */
export const backup: Workload = {
  name: 'backup',
  async prepare(bench) {
    await (await bench.create()).close();
  },
  async run(bench) {
    const first = await bench.open();
    await bench.backUp(first, mixed(1));
    await first.close();
    const second = await bench.open();
    await bench.backUp(second, directoryNode({ ...Object.fromEntries(mixed(1).children ?? []), changed: file(500, 9_000) }));
    await second.close();
  },
};
