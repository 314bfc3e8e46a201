/** Metrics whose values are read when they are scraped, so that nothing has to keep them up to date. */
import { Counter, Gauge, type Registry } from 'prom-client';

/** Name and meaning of a metric. */
export interface Meaning {
  readonly name: string;
  readonly help: string;
}

/** Adds a gauge that is what `read` says. */
export function addGauge(registry: Registry, meaning: Meaning, read: () => number): void {
  registry.registerMetric(new Gauge({ ...meaning, registers: [], collect() { this.set(read()); } }));
}

/** Adds a counter that is what `read` says, which only grows. */
export function addCounter(registry: Registry, meaning: Meaning, read: () => number): void {
  registry.registerMetric(new Counter({ ...meaning, registers: [], collect() { this.reset(); this.inc(read()); } }));
}

/** Adds a gauge with a series for each domain that `read` gives. */
export function addDomainGauge(registry: Registry, meaning: Meaning, read: () => Iterable<readonly [string, number]>): void {
  registry.registerMetric(new Gauge({ ...meaning, labelNames: ['domain'], registers: [], collect() { for (const [domain, value] of read()) this.set({ domain }, value); } }));
}
