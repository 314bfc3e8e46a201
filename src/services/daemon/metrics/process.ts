/** Metrics of the process itself. */
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { addGauge } from './scraped.ts';

/** Of prom-client's usual metrics, those whose names no checker accepts: gauges that end in `_total`. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** Adds resident memory, readiness, version, and what Node tells of itself. */
export function addProcessMetrics(registry: Registry, version: string, isReady: () => boolean): void {
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
  addGauge(registry, { name: 'gdd_daemon_rss_bytes', help: 'Resident memory of the daemon, threads included; to stay below 200 MB' }, () => process.memoryUsage.rss());
  addGauge(registry, { name: 'gdd_ready', help: '1 when clients are served and every domain can be written, as /readyz says' }, () => (isReady() ? 1 : 0));
  const info = new Gauge({ name: 'gdd_build_info', help: 'Always 1; the labels tell what runs', labelNames: ['version', 'node'], registers: [registry] });
  info.set({ version, node: process.version }, 1);
}
