/** A workload with its points known, so that a fault can be tried at each. One trial is a workload, an order of turns, a fault and a seed: that is all a replay needs. */
import { seededRandom } from '../../src/core/testing/random.ts';
import { Bench, Ledger, Violation, promised } from './bench.ts';
import type { Engine } from './engine.ts';
import { isPlaceFor, type Fault, type Point } from './faults.ts';
import { Machine } from './machine.ts';
import { assertEnd, backUpOnly, goOn } from './recovery.ts';
import type { Workload } from './workload.ts';

/** About as many points has a day's work. */
const DAY_POINTS = 400;

/** A workload whose beginning was made once, and whose points are known. */
export class Stage {
  readonly workload: Workload;
  readonly points: readonly Point[];
  readonly #start: Bench;
  readonly #order: number;
  readonly #moments: ReadonlyMap<number, Bench>;

  private constructor(workload: Workload, start: Bench, found: { readonly points: readonly Point[]; readonly order: number; readonly moments: ReadonlyMap<number, Bench> }) {
    this.workload = workload;
    this.#start = start;
    this.points = found.points;
    this.#order = found.order;
    this.#moments = found.moments;
  }

  /**
   * Makes the beginning, and runs the workload twice without faults. `order` says in which order processes take turns.
   * @throws {Violation} it does not work, or not twice the same way.
   */
  static async prepare(engine: Engine, workload: Workload, order: number): Promise<Stage> {
    const start = new Bench(new Machine(engine), new Ledger());
    await promised('the workload begins', async () => { await workload.prepare?.(start); });
    const stage = new Stage(workload, start, { points: [], order, moments: new Map() });
    const traces: (readonly Point[])[] = [];
    const moments = new Map<number, Bench>();
    for (let round = 0; round < 2; round += 1) {
      const { bench, error } = await stage.#run(undefined, round === 0 ? undefined : moments);
      if (error !== undefined) throw new Violation('the workload works', error);
      traces.push(bench.machine.points);
      if (round === 0) continue;
      await stage.#assertRecovers(bench.on(bench.machine.survivor()));
      await assertEnd(bench.on(bench.machine.survivor()));
    }
    const [first = [], second = []] = traces;
    const at = first.findIndex((point, i) => textOf(point) !== textOf(second[i]));
    if (at >= 0 || first.length !== second.length) throw new Violation('a run can be repeated', `point ${at + 1}: ${textOf(first[at])}, then ${textOf(second[at])}`);
    return new Stage(workload, start, { points: first, order, moments });
  }

  /**
   * Where a fault of this kind can make a difference. A crash before a read leaves what a crash before the next change leaves; a cut behind the last point is one more.
   */
  pointsOf(kind: Fault['kind']): readonly number[] {
    const found = this.points.flatMap((point) => (isPlaceFor(kind, point.kind) ? [point.number] : []));
    return kind === 'cut' || kind === 'lie' ? [...found, this.points.length + 1] : found;
  }

  /** What is done at a point. */
  textOf(at: number): string {
    return textOf(this.points[at - 1]);
  }

  /** @throws {Violation} a promise was broken. */
  async try(fault: Fault, seed: number): Promise<void> {
    const bench = this.#momentOf(fault) ?? await this.#after(fault);
    if (fault.kind === 'cut' || fault.kind === 'lie') return this.#assertRecovers(bench.on(bench.machine.afterPowerCut(seed)));
    const next = bench.on(bench.machine.survivor());
    // The power goes at once, after a backup, after a day's work, or in the midst of it.
    const when = seed % 4;
    if (when === 1) await backUpOnly(next);
    if (when === 2) await goOn(next);
    if (when === 3) await goOnUntilCut(next, 1 + Math.floor(seededRandom(seed)() * DAY_POINTS));
    await this.#assertRecovers(next.on(next.machine.afterPowerCut(seed)));
    if (when === 2) await assertEnd(next);
  }

  async #assertRecovers(bench: Bench): Promise<void> {
    await this.workload.recover?.(bench);
    await goOn(bench);
    await assertEnd(bench);
  }

  /** The state that a crash leaves, where everything ends there. */
  #momentOf({ kind, at }: Fault): Bench | undefined {
    const isAlone = this.workload.isInterleaved !== true && this.workload.isConcurrent !== true;
    return kind === 'cut' || (kind === 'kill' && isAlone) ? this.#moments.get(at) : undefined;
  }

  async #after(fault: Fault): Promise<Bench> {
    const { bench, error } = await this.#run(fault);
    if (error instanceof Violation) throw error;
    this.#assertRepeats(bench.machine.points, fault.at);
    return bench;
  }

  /** `moments` gets the machine as it is before each point that changes something, and at the end: what a crash there leaves needs no other run. */
  async #run(fault: Fault | undefined, moments?: Map<number, Bench>): Promise<{ readonly bench: Bench; readonly error: unknown }> {
    const bench = this.#start.on(this.#start.machine.survivor());
    const { machine } = bench;
    if (this.workload.isInterleaved === true) machine.interleave(this.#order);
    machine.arm(fault);
    if (moments !== undefined) machine.onPoint = ({ number, kind }) => { if (isPlaceFor('cut', kind)) moments.set(number, bench.on(machine.survivor())); };
    let error: unknown;
    try {
      await this.workload.run(bench);
    } catch (caught) {
      error = caught;
      if (!(caught instanceof Violation) && !machine.hit) throw new Violation('the workload works where nothing went wrong', caught);
    }
    await bench.closeAll();
    machine.disarm();
    moments?.set(machine.points.length + 1, bench.on(machine.survivor()));
    return { bench, error };
  }

  /** What came before the fault is what came without it: else a replay shows something else. */
  #assertRepeats(points: readonly Point[], at: number): void {
    for (let i = 0; i < Math.min(at - 1, this.points.length); i += 1) {
      if (textOf(points[i]) !== textOf(this.points[i])) throw new Violation('a run can be repeated', `point ${i + 1}: ${textOf(this.points[i])}, now ${textOf(points[i])}`);
    }
  }
}

/** A day's work that ends at a point of its own. @throws {Violation} a promise was broken before. */
async function goOnUntilCut(bench: Bench, at: number): Promise<void> {
  const { machine } = bench;
  machine.arm({ kind: 'cut', at, lasting: false });
  try {
    await goOn(bench);
  } catch (error) {
    if (!machine.hit) throw error;
  } finally {
    await bench.closeAll();
    machine.disarm();
  }
}

function textOf(point: Point | undefined): string {
  return point === undefined ? 'nothing' : `${point.kind} ${point.path}`;
}
