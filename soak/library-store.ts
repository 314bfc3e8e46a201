/** The store through the library, all in this process, on a simulated clock. */
import { IntegrityError, utf8, type World } from '../src/core/index.ts';
import { Repository } from '../src/engine/index.ts';
import { forgetSnapshots } from '../src/services/forget.ts';
import { backupPaths, lookupBelow, restoreTree } from '../src/services/index.ts';
import { keptMemory, watchMemory } from './memory.ts';
import type { BackupFigures, ListedSnapshot, Policy, SoakStore, StepCost } from './store.ts';

/** A repository in a World, by calls. */
export class LibraryStore implements SoakStore {
  readonly #world: World;
  #costs: StepCost[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  now(): number {
    return this.#world.now();
  }

  init(): Promise<void> {
    return this.#measure('init', async () => { await (await Repository.create(this.#world)).close(); });
  }

  backup(source: string, tag: string, rereadAll: boolean): Promise<BackupFigures> {
    return this.#with(rereadAll ? 'backup again' : 'backup', 'write', async (repository) => {
      const { errors, ...figures } = await backupPaths(repository, [source], { tags: [tag], host: 'soak', ...(rereadAll ? { parent: 'none' } : {}) });
      for (const { path, message } of errors) throw new IntegrityError(`Back up '${source}': ${path}: ${message}`);
      return figures;
    });
  }

  restore(snapshot: string, source: string, target: string): Promise<void> {
    return this.#with('restore', 'read', async (repository) => {
      const tree = await repository.openSnapshot(snapshot);
      try {
        const path = utf8(source);
        const id = await lookupBelow({ tree, id: tree.rootId, path: new Uint8Array() }, path);
        if (id === undefined) throw new IntegrityError(`Restore '${source}': snapshot '${snapshot}' does not have it`);
        const { errors } = await restoreTree({ tree, id, path }, target);
        for (const one of errors) throw new IntegrityError(`Restore snapshot '${snapshot}': ${one.path}: ${one.message}`);
      } finally {
        await tree.close();
      }
    });
  }

  snapshots(): Promise<readonly ListedSnapshot[]> {
    return this.#with('snapshots', 'read', (repository) => repository.snapshots());
  }

  forget({ last, ...counts }: Policy): Promise<void> {
    const periods = Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
    return this.#with('forget', 'write', async (repository) => {
      await forgetSnapshots(repository, { policy: { keep: { last, periods } } }, (id, error) => { throw new IntegrityError(`Forget snapshot '${id}': ${error.message}`); });
    });
  }

  gc(): Promise<number> {
    return this.#with('gc', 'write', async (repository) => (await repository.collect()).bytesReclaimed);
  }

  check(readData: boolean): Promise<readonly string[]> {
    return this.#with(readData ? 'check --read-data' : 'check', 'read', async (repository) => {
      const problems: string[] = [];
      await repository.check({ readData, onProblem: (one) => { problems.push(`${one.kind} at ${one.where}: ${one.message}`); } });
      return problems;
    });
  }

  takeCosts(): readonly StepCost[] {
    return this.#costs.splice(0);
  }

  #with<T>(verb: string, mode: 'read' | 'write', run: (repository: Repository) => Promise<T>): Promise<T> {
    return this.#measure(verb, async () => {
      const repository = await Repository.open(this.#world, { mode });
      try {
        return await run(repository);
      } finally {
        await repository.close();
      }
    });
  }

  async #measure<T>(verb: string, run: () => Promise<T>): Promise<T> {
    const begun = process.hrtime.bigint();
    const memory = watchMemory(process.pid);
    try {
      return await run();
    } finally {
      const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
      const rssBytes = memory.peak();
      this.#costs.push({ verb, seconds, rssBytes, keptBytes: await keptMemory() });
    }
  }
}
