/**
 * All metrics of a daemon, in a registry of its own. Names and meanings are a contract: `docs/metrics.md` lists each, and a test compares the two.
 * Names without `_total` that only grow are gauges: they are fixed from outside, and `promtool check metrics` wants `_total` of counters. They begin at 0
 * when the process starts; `rate()` and `increase()` know that.
 */
import { Registry } from 'prom-client';
import { MaintenanceMetrics } from './maintenance.ts';
import { addProcessMetrics } from './process.ts';
import { StoreMetrics } from './store.ts';
import { WireMetrics } from './wire.ts';

/** The registry, and those who fill it. */
export interface DaemonMetrics {
  readonly registry: Registry;
  readonly store: StoreMetrics;
  readonly wire: WireMetrics;
  readonly maintenance: MaintenanceMetrics;
}

/** Makes all metrics of a process; `isReady` is asked at each scrape. */
export function makeMetrics(version: string, isReady: () => boolean): DaemonMetrics {
  const registry = new Registry();
  const store = new StoreMetrics(registry);
  const metrics = { registry, store, wire: new WireMetrics(registry, store), maintenance: new MaintenanceMetrics(registry) };
  addProcessMetrics(registry, version, isReady);
  return metrics;
}
