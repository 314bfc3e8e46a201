/** A copy of a repository, and a second one on top of it after another backup. */
import { Bench, Ledger, promised } from '../bench.ts';
import { files } from '../content.ts';
import { Machine } from '../machine.ts';
import { assertEnd, goOn } from '../recovery.ts';
import type { Workload } from '../workload.ts';

const COPY = 'copy';

/** The copy as a machine of its own, with what was promised of it. */
async function copyOf(bench: Bench, snapshots: Iterable<string>): Promise<Bench> {
  const { machine, ledger } = bench;
  const directories = new Set(['temporary', 'index', 'cache', 'locks']);
  const disk = new machine.engine.simulated.SimulatedDisk();
  for (const name of machine.disk.files.filter((one) => one.startsWith(`${COPY}/`))) {
    const own = name.slice(COPY.length + 1);
    for (let at = own.indexOf('/'); at > 0; at = own.indexOf('/', at + 1)) directories.add(own.slice(0, at));
    disk.replace(own, machine.disk.bytesOf(name));
  }
  for (const directory of directories) await disk.makeDirectory(directory);
  const expected = ledger.clone();
  const own = new Ledger();
  own.exists = true;
  for (const [tag, root] of expected.attempts) own.attempts.set(tag, root);
  for (const id of snapshots) {
    const root = expected.acknowledged.get(id);
    if (root !== undefined) own.acknowledged.set(id, root);
  }
  return new Bench(new Machine(machine.engine, { disk, clock: machine.tick(1_000), started: 1_000 }), own);
}

/** Whatever a copy that was cut off left, the next one completes; and what one said survives. */
export const clone: Workload = {
  name: 'clone',
  async prepare(bench) {
    const repository = await bench.create();
    await bench.backUp(repository, files(1, 2));
    await repository.close();
    await bench.machine.disk.makeDirectory(COPY); // as a mounted disk is there; a world cannot name what is above it
    await bench.machine.disk.syncDirectory('');
  },
  async run(bench) {
    await bench.clone(COPY);
    const repository = await bench.open();
    await bench.backUp(repository, files(2, 3));
    await repository.close();
    await bench.clone(COPY);
  },
  async recover(bench) {
    if (bench.ledger.copied.size > 0) {
      const copy = await copyOf(bench, bench.ledger.copied);
      const repository = await promised('I6 a copy opens', () => copy.open());
      await promised('I1 a copy can be read', () => copy.verify(repository));
      await repository.close();
    }
    await promised('I6 the next copy works', () => bench.clone(COPY));
    const copy = await copyOf(bench.on(bench.machine.afterPowerCut(bench.machine.tick(1))), bench.ledger.required);
    await goOn(copy);
    await assertEnd(copy);
  },
};
