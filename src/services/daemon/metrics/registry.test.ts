/** The contract of names: the page, the dashboard, the alerts and the running registry say the same. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { makeMetrics } from './registry.ts';

const root = fileURLToPath(new URL('../../../../../', import.meta.url));
const { registry, wire, store, maintenance } = makeMetrics('1.2.3', () => true);

interface Known {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

async function known(): Promise<readonly Known[]> {
  const types = new Map([...(await registry.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const all = registry.getMetricsAsArray() as unknown as readonly { readonly name: string; readonly labelNames: readonly string[] }[];
  return all.map(({ name, labelNames }) => ({ name, type: types.get(name) ?? '', labels: labelNames }));
}

/** Names as Prometheus stores them, each with its labels. */
async function series(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const { name, type, labels } of await known()) {
    for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) found.set(`${name}${suffix}`, suffix === '_bucket' ? [...labels, 'le'] : labels);
  }
  return found;
}

/** Names and labels in an expression: whatever looks like one of our metrics, and what is matched or grouped by. */
function namesIn(expression: string): readonly string[] {
  return [...expression.matchAll(/\b(?:gdd|nodejs|process|holdfast)_\w+/g)].map(([name]) => name);
}

test('the names that are fixed from outside are there', async () => {
  const fixed = [
    'gdd_chunks_total', 'gdd_chunks_unique', 'gdd_chunks_duplicate', 'gdd_bytes_in', 'gdd_bytes_stored', 'gdd_bloom_hits', 'gdd_bloom_false_positives',
    'gdd_rocksdb_get_seconds_bucket', 'gdd_vacuum_cycles_total', 'gdd_vacuum_bytes_reclaimed', 'gdd_daemon_rss_bytes',
  ];
  const text = await registry.metrics();
  for (const name of fixed) assert.match(text, new RegExp(`^${name}(?:\\{[^}]*\\})? \\d`, 'm'));
});

test('docs/metrics.md lists each metric with its type, labels and meaning', async () => {
  const page = fs.readFileSync(`${root}docs/metrics.md`, 'utf8');
  const rows = [...page.matchAll(/^\| `(gdd_\w+)` \| (\w+) \| ([^|]*) \| (.+) \|$/gm)].map(([, name, type, labels = '', help]) => ({ name, type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label), help }));
  const all = registry.getMetricsAsArray() as unknown as readonly { readonly name: string; readonly help: string }[];
  const live = (await known()).filter(({ name }) => name.startsWith('gdd_')).map((one) => ({ ...one, help: all.find(({ name }) => name === one.name)?.help }));
  const byName = (a: { readonly name?: string | undefined }, b: { readonly name?: string | undefined }): number => ((a.name ?? '') < (b.name ?? '') ? -1 : 1);
  assert.deepEqual([...rows].sort(byName), [...live].sort(byName));
});

describe('deploy/grafana-holdfast.json', () => {
  interface Target { readonly expr: string; readonly datasource: { readonly uid: string } }
  interface Panel { readonly id: number; readonly type: string; readonly title: string; readonly targets?: readonly Target[]; readonly gridPos: object }
  interface Variable { readonly name: string; readonly query: { readonly query: string }; readonly datasource: { readonly uid: string } }
  const dashboard = JSON.parse(fs.readFileSync(`${root}deploy/grafana-holdfast.json`, 'utf8')) as {
    readonly __inputs: readonly { readonly name: string; readonly type: string; readonly pluginId: string }[]; readonly __requires: readonly { readonly type: string; readonly id: string }[];
    readonly id: null; readonly uid: string; readonly title: string; readonly schemaVersion: number; readonly templating: { readonly list: readonly Variable[] }; readonly panels: readonly Panel[];
  };

  test("has what Grafana's import asks for", () => {
    const [input] = dashboard.__inputs;
    assert.deepEqual([input?.type, input?.pluginId, dashboard.id], ['datasource', 'prometheus', null]);
    assert.ok(dashboard.schemaVersion >= 36 && dashboard.uid !== '' && dashboard.title !== '');
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length, 'ids are unique');
    const required = dashboard.__requires.filter(({ type }) => type === 'panel').map(({ id }) => id);
    for (const { type } of dashboard.panels) assert.ok(type === 'row' || required.includes(type), `'${type}' is required`);
    const sources = [...dashboard.panels.flatMap(({ targets = [] }) => targets), ...dashboard.templating.list].map(({ datasource }) => datasource.uid);
    assert.deepEqual([...new Set(sources)], [`\${${input?.name}}`]);
  });

  test('asks only for metrics and labels that there are, and for variables that it has', async () => {
    const all = await series();
    const variables = dashboard.templating.list.map(({ name }) => name);
    const expressions = [...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)), ...dashboard.templating.list.map(({ query }) => query.query)];
    assert.ok(expressions.length > 30);
    for (const expression of expressions) {
      const names = namesIn(expression);
      assert.ok(names.length > 0, expression);
      for (const name of names) assert.ok(all.has(name), `'${name}' in '${expression}'`);
      for (const [, name = '', matchers = ''] of expression.matchAll(/(\w+)\{([^}]*)\}/g)) {
        for (const [, label = ''] of matchers.matchAll(/(\w+)=~?"/g)) assert.ok(label === 'instance' || all.get(name)?.includes(label), `label '${label}' of '${name}'`);
      }
      for (const [, group = ''] of expression.matchAll(/by \(([^)]*)\)/g)) {
        for (const label of group.split(', ')) assert.ok(names.every((name) => all.get(name)?.includes(label)), `'${label}' in '${expression}'`);
      }
      for (const [, variable = ''] of expression.matchAll(/\$(\w+)/g)) assert.ok(variable === '__rate_interval' || variables.includes(variable), `'$${variable}'`);
    }
  });
});

test('deploy/holdfast-alerts.yml asks only for metrics and labels that there are', async () => {
  const all = await series();
  const { groups } = parse(fs.readFileSync(`${root}deploy/holdfast-alerts.yml`, 'utf8')) as { readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string; readonly annotations: Readonly<Record<string, string>> }[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length >= 8);
  for (const { alert, expr, annotations } of rules) {
    const names = namesIn(expr);
    assert.ok(names.length > 0 || expr.startsWith('up{'), alert);
    for (const name of names) {
      assert.ok(all.has(name), `'${name}' of ${alert}`);
      for (const [, label = ''] of `${Object.values(annotations).join(' ')}`.matchAll(/\$labels\.(\w+)/g)) assert.ok(label === 'instance' || all.get(name)?.includes(label), `label '${label}' of ${alert}`);
    }
  }
});

test('events of the wire become counts', async () => {
  const peer = { kind: 'site', domain: 'a' } as const;
  wire.add('a');
  wire.observe({ kind: 'connected', connection: 1, domain: 'a', peer });
  wire.observe({ kind: 'traffic', connection: 1, domain: 'a', sent: 10, received: 20 });
  wire.observe({ kind: 'traffic', connection: 1, domain: 'a', sent: 1, received: 2 });
  wire.observe({ kind: 'request', connection: 1, domain: 'a', request: 'has', seconds: 0.5, ids: 9, known: 4, bytes: 0, bytesNew: 0 });
  wire.observe({ kind: 'request', connection: 1, domain: 'a', request: 'put', seconds: 0.5, ids: 5, known: 1, bytes: 50, bytesNew: 40 });
  wire.observe({ kind: 'request', connection: 1, domain: 'a', request: 'put', seconds: 0.5, ids: 5, known: 1, bytes: 50, bytesNew: 40, code: 'TOOL' });
  wire.observe({ kind: 'committed', domain: 'a', peer, session: 's', seconds: 1, files: 1, bytes: 500, bytesNew: 40 });
  wire.observe({ kind: 'abandoned', domain: 'a', peer, session: 's', why: 'timeout' });
  wire.observe({ kind: 'attached', domain: 'a', peer, session: 's' });
  wire.observe({ kind: 'refused', message: '', fault: 'refused' });
  wire.observe({ kind: 'refused', message: '' });
  wire.observe({ kind: 'closed', connection: 1, domain: 'a', peer, clean: false, seconds: 1, sent: 11, received: 22 });
  wire.watch({ connections: 3, sessions: 2 });
  store.noteLookup(10, 0.02);
  maintenance.add('a');
  maintenance.begin({ task: 'gc', domain: 'a' });
  maintenance.end({ task: 'gc', domain: 'a' }, { seconds: 2, ok: true, bytesReclaimed: 77, waiting: 1 }, 5_000);
  maintenance.end({ task: 'check', domain: 'a' }, { seconds: 2, ok: false, problems: 3 }, 6_000);
  store.noteSnapshot('a', { host: 'h', sources: ['/x', '/y'], time: 7_000 });
  const text = await registry.metrics();
  const lines = [
    'gdd_wire_connections_total{domain="a"} 1', 'gdd_wire_sent_bytes_total{domain="a"} 11', 'gdd_wire_received_bytes_total{domain="a"} 22', 'gdd_wire_broken_total{domain="a"} 1',
    'gdd_chunks_duplicate 5', 'gdd_bytes_in 500', 'gdd_sessions_failed_total{domain="a",why="timeout"} 1', 'gdd_sessions_failed_total{domain="a",why="client"} 0',
    'gdd_session_resumes_total{domain="a"} 1', 'gdd_snapshots_committed_total{domain="a"} 1', 'gdd_wire_refused_total{reason="refused"} 1', 'gdd_wire_refused_total{reason="other"} 1',
    'gdd_wire_request_errors_total{request="put",code="TOOL"} 1', 'gdd_wire_request_seconds_count{request="put"} 2', 'gdd_wire_connections 3', 'gdd_sessions 2',
    'gdd_rocksdb_get_seconds_bucket{le="0.0025"} 1', 'gdd_rocksdb_get_seconds_bucket{le="0.001"} 0', 'gdd_vacuum_cycles_total 1', 'gdd_vacuum_bytes_reclaimed 77', 'gdd_vacuum_waiting_sessions{domain="a"} 1',
    'gdd_maintenance_failures_total{task="gc",domain="a"} 0', 'gdd_maintenance_failures_total{task="check",domain="a"} 1', 'gdd_check_problems{domain="a"} 3', 'gdd_maintenance_running{task="gc",domain="a"} 0',
    'gdd_maintenance_last_success_timestamp_seconds{task="gc",domain="a"} 5', 'gdd_last_snapshot_timestamp_seconds{domain="a",host="h",source="/x /y"} 7',
  ];
  for (const line of lines) assert.ok(text.split('\n').includes(line), `${line}\n${text.split('\n').filter((one) => one.startsWith(line.replace(/[{ ].*/, ''))).join('\n')}`);
});

test('a thousand hosts have series, the rest is counted', async () => {
  for (let i = 0; i < 1_100; i += 1) store.noteSnapshot('b', { host: `host-${i}`, sources: ['/'], time: 1_000 });
  store.noteSnapshot('b', { host: 'host-1', sources: ['/'], time: 9_000 });
  const text = await registry.metrics();
  assert.equal([...text.matchAll(/^gdd_last_snapshot_timestamp_seconds\{/gm)].length, 1_000);
  assert.match(text, /^gdd_last_snapshot_timestamp_seconds\{domain="b",host="host-1",source="\/"\} 9$/m);
  assert.match(text, /^gdd_last_snapshot_series_dropped_total 101$/m);
});
