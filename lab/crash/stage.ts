/** A workload with its points known, so that a fault can be tried at each. One trial is a workload, an order of turns, a fault and a seed: that is all a replay needs. */
import { Bench, Ledger, Violation, promised } from './bench.ts';
import type { Engine } from './engine.ts';
import { isPlaceFor, type Fault, type Point } from './faults.ts';
import { Machine } from './machine.ts';
import { assertEnd, backUpOnly, goOn } from './recovery.ts';
import type { Workload } from './workload.ts';

/** A workload whose beginning was made once, and whose points are known. */
export class Stage {
  readonly workload: Workload;
  readonly points: readonly Point[];
  readonly #start: Bench;
  readonly #order: number;

  private constructor(workload: Workload, start: Bench, found: { readonly points: readonly Point[]; readonly order: number }) {
    this.workload = workload;
    this.#start = start;
    this.points = found.points;
    this.#order = found.order;
  }

  /**
   * Makes the beginning, and runs the workload twice without faults. `order` says in which order processes take turns.
   * @throws {Violation} it does not work, or not twice the same way.
   */
  static async prepare(engine: Engine, workload: Workload, order: number): Promise<Stage> {
    const start = new Bench(new Machine(engine), new Ledger());
    await promised('the workload begins', async () => { await workload.prepare?.(start); });
    const stage = new Stage(workload, start, { points: [], order });
    const traces: (readonly Point[])[] = [];
    for (let round = 0; round < 2; round += 1) {
      const { bench, error } = await stage.#run(undefined);
      if (error !== undefined) throw new Violation('the workload works', error);
      traces.push(bench.machine.points);
      if (round === 0) continue;
      await goOn(bench.on(bench.machine.survivor()));
      await assertEnd(bench.on(bench.machine.survivor()));
    }
    const [first = [], second = []] = traces;
    const at = first.findIndex((point, i) => textOf(point) !== textOf(second[i]));
    if (at >= 0 || first.length !== second.length) throw new Violation('a run can be repeated', `point ${at + 1}: ${textOf(first[at])}, then ${textOf(second[at])}`);
    return new Stage(workload, start, { points: first, order });
  }

  /**
   * Where a fault of this kind can make a difference. A crash before a read leaves what a crash before the next change leaves; a cut behind the last point is one more.
   */
  pointsOf(kind: Fault['kind']): readonly number[] {
    const found = this.points.flatMap((point) => (isPlaceFor(kind, point.kind) ? [point.number] : []));
    return kind === 'cut' || kind === 'lie' ? [...found, this.points.length + 1] : found;
  }

  /** @throws {Violation} a promise was broken. */
  async try(fault: Fault, seed: number): Promise<void> {
    const { bench, error } = await this.#run(fault);
    if (error instanceof Violation) throw error;
    this.#assertRepeats(bench.machine.points, fault.at);
    if (fault.kind === 'cut' || fault.kind === 'lie') return assertRecovers(bench.on(bench.machine.afterPowerCut(seed)));
    const next = bench.on(bench.machine.survivor());
    // The power goes at once, after a backup, or after a day's work.
    if (seed % 3 === 1) await backUpOnly(next);
    if (seed % 3 === 2) await goOn(next);
    await assertRecovers(next.on(next.machine.afterPowerCut(seed)));
    if (seed % 3 === 2) await assertEnd(next);
  }

  async #run(fault: Fault | undefined): Promise<{ readonly bench: Bench; readonly error: unknown }> {
    const bench = this.#start.on(this.#start.machine.survivor());
    const { machine } = bench;
    if (this.workload.isInterleaved === true) machine.interleave(this.#order);
    machine.arm(fault);
    let error: unknown;
    try {
      await this.workload.run(bench);
    } catch (caught) {
      error = caught;
      if (!(caught instanceof Violation) && !machine.hit) throw new Violation('the workload works where nothing went wrong', caught);
    }
    await bench.closeAll();
    machine.disarm();
    return { bench, error };
  }

  /** What came before the fault is what came without it: else a replay shows something else. */
  #assertRepeats(points: readonly Point[], at: number): void {
    for (let i = 0; i < Math.min(at - 1, this.points.length); i += 1) {
      if (textOf(points[i]) !== textOf(this.points[i])) throw new Violation('a run can be repeated', `point ${i + 1}: ${textOf(this.points[i])}, now ${textOf(points[i])}`);
    }
  }
}

async function assertRecovers(bench: Bench): Promise<void> {
  await goOn(bench);
  await assertEnd(bench);
}

function textOf(point: Point | undefined): string {
  return point === undefined ? 'nothing' : `${point.kind} ${point.path}`;
}
