/** A subject of the micro benchmarks: cases that do the same work in different ways, measured in one run. */
import { Bench } from 'tinybench';

/** One way to do a piece of work. */
export interface Case {
  readonly name: string;
  /** Cases of one group do the same work; the first of a group is its baseline. */
  readonly group: string;
  /** Bytes, ids or handshakes that one call handles. */
  readonly amount: number;
  readonly run: () => void;
}

/** Cases and what their amount counts. */
export interface Suite {
  readonly title: string;
  readonly unit: 'bytes' | 'ids' | 'handshakes';
  readonly cases: readonly Case[];
}

/** One line of the result. */
export interface Row {
  readonly group: string;
  readonly name: string;
  /** Bytes, ids or handshakes a second, from the median time of a call where there is a `spread`. */
  readonly perSecond: number;
  /** How much longer than the median the slowest quarter of calls took at least, as a share of it; absent where only a mean was taken. */
  readonly spread?: number;
  /** `perSecond` as a multiple of the group's baseline. */
  readonly ratio: number;
}

type Rate = Omit<Row, 'ratio'>;

/** Adds each row's ratio to the first of its group. */
export function withRatios(rates: readonly Rate[]): readonly Row[] {
  return rates.map((rate) => {
    const baseline = rates.find((other) => other.group === rate.group) ?? rate;
    return { ...rate, ratio: rate.perSecond / baseline.perSecond };
  });
}

/** A tinybench of the suite, each case for `timeMs`. */
export function benchOf(suite: Suite, timeMs: number): Bench {
  const bench = new Bench({ name: suite.title, time: timeMs, warmupTime: timeMs / 5, iterations: 5, warmupIterations: 2 });
  for (const one of suite.cases) bench.add(`${one.group}: ${one.name}`, one.run, { async: false });
  return bench;
}

/** Measures a suite. */
export function measure(suite: Suite, timeMs: number): readonly Row[] {
  const bench = benchOf(suite, timeMs);
  bench.runSync();
  return withRatios(suite.cases.map((one, i) => {
    const result = bench.tasks[i]?.result;
    if (result?.state !== 'completed') throw new Error(`Measure '${one.group}: ${one.name}': it ended as '${String(result?.state)}'`);
    const { p50, p75 } = result.latency;
    return { group: one.group, name: one.name, perSecond: one.amount / p50 * 1000, spread: p75 / p50 - 1 };
  }));
}
