/** The same cases under benchmark.js: when the two harnesses disagree about a ratio, the ratio is not to be trusted. */
import Benchmark from 'benchmark';
import { withRatios, type Row, type Suite } from './suite.ts';

/** Measures a suite with benchmark.js, each case for about `timeMs`. */
export function crossMeasure(suite: Suite, timeMs: number): readonly Row[] {
  return withRatios(suite.cases.map((one) => {
    const bench = new Benchmark(one.name, one.run, { maxTime: timeMs / 1000, minSamples: 5 });
    bench.run();
    if (bench.error !== undefined) throw new Error(`Measure '${one.group}: ${one.name}' with benchmark.js: it failed`, { cause: bench.error });
    const sorted = [...bench.stats.sample].sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? bench.stats.mean;
    return { group: one.group, name: one.name, perSecond: one.amount / at(0.5), spread: at(0.75) / at(0.5) - 1 };
  }));
}
