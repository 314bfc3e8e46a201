/**
 * A daemon and its clients as real processes on loopback: bytes on the wire counted by metrics and by a proxy, a real Prometheus, refused keys, a broken network, a daemon that is
 * stopped and one that is killed, memory under load. And every command of `docs/daemon.md`.
 */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Checks } from './checks.ts';
import { CountingProxy } from './daemon/counting-proxy.ts';
import { checkUnits, tryPage } from './daemon/page.ts';
import { Prometheus, promtool } from './daemon/prometheus.ts';
import { DaemonSite, type RunningDaemon } from './daemon/site.ts';
import { repositoryRoot } from './environment.ts';
import { finished, holdfast, jsonOf, startHoldfast, type HoldfastResult } from './holdfast.ts';
import { peakMegabytes } from './peak.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';
import { until } from './until.ts';

const MEBIBYTE = 1 << 20;
const WIRE_SHARE_MAX = 0.004;
const MEGABYTES_MAX = 200;
/** So slow that a backup of the tree below takes some seconds. */
const SLOW_BYTES_PER_SECOND = 6 * MEBIBYTE;
const TREE_MEBIBYTES = 32;
const LOAD_MEBIBYTES = 160;
const SMALL_FILES = 500;

/** Everything that the parts of the scenario share. */
interface Stage {
  readonly context: ScenarioContext;
  readonly checks: Checks;
  readonly site: DaemonSite;
  readonly proxy: CountingProxy;
  readonly source: string;
  daemon: RunningDaemon;
}

/** Writes incompressible files of one MiB, and small ones. @returns their bytes. */
function writeTree(directory: string, mebibytes: number, seed: number): number {
  mkdirSync(directory, { recursive: true });
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, `seed ${seed}`), Buffer.alloc(16));
  const zeroes = Buffer.alloc(MEBIBYTE);
  for (let i = 0; i < mebibytes; i += 1) writeFileSync(path.join(directory, `large-${i}`), cipher.update(zeroes));
  for (let i = 0; i < SMALL_FILES; i += 1) writeFileSync(path.join(directory, `small-${i}`), `small ${seed} ${i}\n`.repeat(i % 50));
  return readdirSync(directory).reduce((sum, name) => sum + statSync(path.join(directory, name)).size, 0);
}

function digests(directory: string): ReadonlyMap<string, string> {
  return new Map(readdirSync(directory).sort().map((name) => [name, createHash('md5').update(readFileSync(path.join(directory, name))).digest('hex')]));
}

/** Restores the latest snapshot through the wire. @returns what differs; '' when all is as it was. */
async function difference({ context, site, source }: Stage, key: string): Promise<string> {
  const target = path.join(context.workDirectory, 'restored');
  rmSync(target, { recursive: true, force: true });
  const result = await holdfast(['restore', `${site.location()}::latest::${source}`, target, '--wire-key', key, '--cache-dir', path.join(site.root, 'cache'), '--json']);
  if (result.status !== 0) return `exit ${result.status}: ${result.stderr}`;
  const [before, after] = [digests(source), digests(target)];
  const wrong = [...before].filter(([name, digest]) => after.get(name) !== digest).map(([name]) => name);
  return before.size === after.size ? wrong.join(' ') : `${before.size} files became ${after.size}`;
}

function said({ status, stdout, stderr }: HoldfastResult): string {
  return `exit ${status}: ${stderr.slice(-800)} ${stdout.slice(0, 400)}`;
}

/** Backs up through the proxy. @returns bytes on the wire, by the proxy and by metrics. */
async function measured(stage: Stage, more: readonly string[], key: string): Promise<{ readonly result: HoldfastResult; readonly proxy: number; readonly metrics: number }> {
  const { site, proxy, source } = stage;
  const [bytes, before] = [proxy.bytes, await site.wireBytes()];
  const result = await holdfast([...site.backupWords(source, proxy.port, key), ...more]);
  await until('the connection is closed', async () => await site.metric('gdd_wire_connections') === 0);
  return { result, proxy: proxy.bytes - bytes, metrics: await site.wireBytes() - before };
}

async function tryWire(stage: Stage, size: number, key: string): Promise<void> {
  const { site, checks, context } = stage;
  const first = await measured(stage, [], key);
  checks.expect('first backup', first.result.status === 0, said(first.result));
  checks.expect('first backup: metrics count the bytes that the proxy counts', first.proxy === first.metrics && first.proxy > size, `${first.proxy} and ${first.metrics}`);
  for (const [what, more] of [['unchanged', []], ['unchanged, all read again', ['--parent', 'none']]] as const) {
    const { result, proxy, metrics } = await measured(stage, more, key);
    const share = proxy / size;
    context.log(`second backup, ${what}: ${proxy} bytes on the wire for ${size} of content: ${(share * 100).toFixed(3)} %`);
    checks.expect(`second backup, ${what}: nothing is new`, result.status === 0 && jsonOf(result)['chunksNew'] === 0, said(result));
    checks.expect(`second backup, ${what}: at most 0.4 % on the wire`, share <= WIRE_SHARE_MAX, `${(share * 100).toFixed(3)} %`);
    checks.expect(`second backup, ${what}: metrics count the bytes that the proxy counts`, proxy === metrics, `${proxy} and ${metrics}`);
  }
  checks.expect('restore through the wire: md5 of each file', await difference(stage, key) === '', await difference(stage, key));
  checks.expect('gdd_bytes_in is the content of three snapshots', await site.metric('gdd_bytes_in') === 3 * size, `${await site.metric('gdd_bytes_in')} of ${3 * size}`);
  const [total, unique, duplicate] = [await site.metric('gdd_chunks_total'), await site.metric('gdd_chunks_unique'), await site.metric('gdd_chunks_duplicate')];
  checks.expect('gdd_chunks_*: unique and duplicate ones are all', unique > 0 && duplicate > 0 && total === unique + duplicate, `${total} ${unique} ${duplicate}`);
  checks.expect('gdd_rocksdb_get_seconds has observations', await site.metric('gdd_rocksdb_get_seconds_count') > 0, String(await site.metric('gdd_rocksdb_get_seconds_count')));
}

async function tryPrometheus({ site, checks, context, source }: Stage): Promise<void> {
  const { status, output } = promtool(['check', 'metrics'], (await site.get('/metrics')).body);
  checks.expect('promtool check metrics has nothing to say', status === 0 && output === '', output);
  for (const [what, file] of [['config', 'prometheus.yml'], ['rules', 'holdfast-alerts.yml']] as const) {
    const checked = promtool(['check', what, path.join(repositoryRoot(), 'deploy', file)]);
    checks.expect(`promtool check ${what} takes deploy/${file}`, checked.status === 0, checked.output);
  }
  const prometheus = await Prometheus.start(path.join(context.workDirectory, 'prometheus'), `127.0.0.1:${site.httpPort}`);
  try {
    await until('Prometheus has scraped', async () => (await prometheus.query('up{job="holdfast"}')).some(({ value }) => value[1] === '1') && (await prometheus.query('gdd_bytes_in')).length === 1);
    for (const name of ['gdd_bytes_in', 'gdd_chunks_total', 'gdd_bytes_stored', 'gdd_snapshots_committed_total{domain="default"}', 'gdd_ready']) {
      const [found] = await prometheus.query(name);
      const expected = await site.metric(name);
      checks.expect(`Prometheus has ${name} = ${expected}`, Number(found?.value[1]) === expected, JSON.stringify(found));
    }
    const [snapshot] = await prometheus.query('gdd_last_snapshot_timestamp_seconds');
    checks.expect('Prometheus knows when what was backed up', snapshot?.metric['source'] === source && Math.abs(Number(snapshot.value[1]) * 1_000 - Date.now()) < 600_000, JSON.stringify(snapshot));
    const ratio = await prometheus.query('sum(gdd_bytes_in) / sum(gdd_bytes_stored)');
    checks.expect(`the ratio of the dashboard can be computed: ${Number(ratio[0]?.value[1]).toFixed(1)}`, Number(ratio[0]?.value[1]) > 2.5, JSON.stringify(ratio));
    await tryDashboard(prometheus, checks);
    await until('all alert rules were evaluated', async () => (await prometheus.ruleHealth()).every((health) => health !== 'unknown'));
    const health = await prometheus.ruleHealth();
    checks.expect('all alert rules can be evaluated', health.length >= 8 && health.every((one) => one === 'ok'), health.join(' '));
  } finally {
    await prometheus.stop();
  }
}

/** Prometheus answers each query of the dashboard; one that is wrong is an error there. */
async function tryDashboard(prometheus: Prometheus, checks: Checks): Promise<void> {
  const { panels } = JSON.parse(readFileSync(path.join(repositoryRoot(), 'deploy', 'grafana-holdfast.json'), 'utf8')) as { readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[] };
  const failures: string[] = [];
  for (const { expr } of panels.flatMap(({ targets = [] }) => targets)) {
    await prometheus.query(expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(?:instance|domain)/g, '.*')).catch((error: unknown) => failures.push(String(error)));
  }
  checks.expect('Prometheus understands each query of the dashboard', failures.length === 0, failures.join('\n'));
}

async function tryKeys({ site, checks, context, source }: Stage, hostKey: string): Promise<void> {
  const wrong = path.join(context.workDirectory, 'wrong.key');
  await site.must(['enroll', '--site-key', wrong]);
  const before = (await site.snapshots()).length;
  const refused = 'gdd_wire_refused_total{reason="refused"}';
  const attempt = async (what: string, key: string): Promise<void> => {
    const count = await site.metric(refused) || 0;
    const result = await holdfast(site.backupWords(source, site.wirePort, key));
    checks.expect(`${what} is refused: exit 1`, result.status === 1, said(result));
    checks.expect(`${what} is counted`, await site.metric(refused) > count, `${await site.metric(refused)}`);
  };
  await attempt('a wrong site key', wrong);
  await site.must(['enroll', '--revoke', 'lab-host', '--hosts', site.hosts]);
  await attempt('a revoked host', hostKey);
  checks.expect('nothing was stored by those who were refused', (await site.snapshots()).length === before, 'snapshots were added');
  const garbage = await fetch(`http://127.0.0.1:${site.wirePort}/`).then(() => 'answered', () => 'dropped');
  checks.expect('a client of another protocol is dropped', garbage === 'dropped', garbage);
}

/** Starts a backup of a new tree through the slow proxy, and waits until it sends content. */
async function slowBackup({ site, proxy, context }: Stage, name: string): Promise<{ readonly ended: Promise<HoldfastResult>; readonly source: string }> {
  const source = path.join(context.workDirectory, name);
  writeTree(source, TREE_MEBIBYTES, context.seed + name.length + name.charCodeAt(0));
  proxy.bytesPerSecond = SLOW_BYTES_PER_SECOND;
  const before = proxy.counts.up;
  const child = startHoldfast(site.backupWords(source, proxy.port));
  child.stdin?.end();
  const ended = finished(child);
  await until('content is under way', () => proxy.counts.up - before > 4 * MEBIBYTE);
  return { ended, source };
}

async function tryBrokenNetwork(stage: Stage): Promise<void> {
  const { site, proxy, checks } = stage;
  const resumes = await site.metric('gdd_session_resumes_total{domain="default"}');
  const { ended, source } = await slowBackup(stage, 'cut');
  const count = proxy.cut();
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  const result = await ended;
  checks.expect('the network breaks: the backup goes on and succeeds', count > 0 && result.status === 0, said(result));
  checks.expect('the network breaks: that is counted', await site.metric('gdd_session_resumes_total{domain="default"}') > resumes, 'no resume');
  const wrong = await difference({ ...stage, source }, site.siteKey);
  checks.expect('the network breaks: what was stored is right', wrong === '', wrong);
}

async function tryStop(stage: Stage): Promise<void> {
  const { site, proxy, checks } = stage;
  const { ended, source } = await slowBackup(stage, 'drained');
  stage.daemon.process.kill('SIGTERM');
  await until('it says that it stops', async () => (await site.get('/readyz')).status === 503);
  const late = await holdfast(site.backupWords(stage.source));
  checks.expect('SIGTERM: a new backup is refused', late.status === 1, said(late));
  const result = await ended;
  checks.expect('SIGTERM: the backup under way succeeds', result.status === 0, said(result));
  const stopped = await stage.daemon.ended;
  checks.expect('SIGTERM: the daemon ends with 0, and all it logged is JSON', stopped.status === 0 && stopped.stderr.split('\n').every((line) => line.trim() === '' || line.startsWith('{') || line.startsWith('holdfast-lab-')), said(stopped));
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  stage.daemon = await site.start();
  const wrong = await difference({ ...stage, source }, site.siteKey);
  checks.expect('SIGTERM: what was stored is right', wrong === '', wrong);
}

async function tryKill(stage: Stage): Promise<void> {
  const { site, proxy, checks } = stage;
  const before = await site.snapshots();
  const { ended, source } = await slowBackup(stage, 'killed');
  stage.daemon.process.kill('SIGKILL');
  await stage.daemon.ended;
  stage.daemon = await site.start();
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  const result = await ended;
  checks.expect('kill -9: the client fails with 1', result.status === 1, said(result));
  checks.expect('kill -9: nothing was committed', (await site.snapshots()).join() === before.join(), `${before.length} snapshots became others`);
  const next = await holdfast(site.backupWords(source, proxy.port));
  const wrong = next.status === 0 ? await difference({ ...stage, source }, site.siteKey) : said(next);
  checks.expect('kill -9: the next backup succeeds and is right', wrong === '', wrong);
}

async function tryTwice(stage: Stage): Promise<void> {
  const { checks } = stage;
  await slowBackup(stage, 'impatient').then(async ({ ended }) => {
    stage.daemon.process.kill('SIGTERM');
    await until('it drains', async () => (await stage.site.get('/readyz')).status === 503);
    stage.daemon.process.kill('SIGTERM');
    const begun = Date.now();
    const stopped = await stage.daemon.ended;
    checks.expect('a second SIGTERM ends it at once', stopped.status === 143 && Date.now() - begun < 2_000, said(stopped));
    stage.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    stage.daemon = await stage.site.start();
    checks.expect('a second SIGTERM: the client fails with 1', (await ended).status === 1, said(await ended));
  });
}

/** Files can't grow any more, as on a full disk: the domain is given up, and whoever watches sees it. */
async function tryFailingDisk(stage: Stage): Promise<void> {
  const { site, checks, context } = stage;
  const before = await site.snapshots();
  const source = path.join(context.workDirectory, 'unlucky');
  writeTree(source, TREE_MEBIBYTES, context.seed + 77);
  execFileSync('prlimit', ['--pid', String(stage.daemon.process.pid), '--fsize=8388608']);
  const result = await holdfast(site.backupWords(source));
  checks.expect('a write fails: the client fails with 1', result.status === 1, said(result));
  await until('readiness says so', async () => (await site.get('/readyz')).status === 503);
  const [ready, healthy] = [await site.get('/readyz'), await site.get('/healthz')];
  checks.expect('a write fails: not ready any more, and why; the process is healthy', ready.body.includes('can not be written') && healthy.status === 200, ready.body);
  const [writable, isReady] = [await site.metric('gdd_domain_writable{domain="default"}'), await site.metric('gdd_ready')];
  checks.expect('a write fails: metrics say so', writable === 0 && isReady === 0, `${writable} ${isReady}`);
  stage.daemon.process.kill('SIGTERM');
  await stage.daemon.ended;
  stage.daemon = await site.start();
  checks.expect('a write fails: nothing was committed', (await site.snapshots()).join() === before.join(), 'snapshots were added');
  const next = await holdfast(site.backupWords(source));
  const wrong = next.status === 0 ? await difference({ ...stage, source }, site.siteKey) : said(next);
  checks.expect('a write fails: after a restart the next backup succeeds and is right', wrong === '', wrong);
}

/** Two clients at once, while garbage is collected by schedule. */
async function tryLoad(stage: Stage): Promise<void> {
  const { site, checks, context, daemon } = stage;
  const [old = ''] = await site.snapshots();
  await site.must(['forget', site.repository, old]);
  const sources = ['a', 'b'].map((name, i) => {
    const source = path.join(context.workDirectory, `load-${name}`);
    writeTree(source, LOAD_MEBIBYTES, context.seed + 1_000 * (i + 1));
    return source;
  });
  const results = await Promise.all(sources.map((source) => holdfast(site.backupWords(source))));
  const seconds = Math.max(...results.map((result) => result.seconds));
  checks.expect(`two clients at once: both succeed (${(2 * LOAD_MEBIBYTES / seconds).toFixed(0)} MiB/s together)`, results.every(({ status }) => status === 0), results.map(said).join('\n'));
  await until('garbage was collected', async () => await site.metric('gdd_vacuum_cycles_total') > 0, 60_000);
  checks.expect('garbage is collected by schedule, and that is counted', await site.metric('gdd_maintenance_failures_total{task="gc",domain="default"}') === 0, 'it failed');
  const peak = peakMegabytes(daemon.process.pid ?? 0);
  checks.expect(`two clients at once: the daemon peaks at ${peak.toFixed(0)} MB, allowed ${MEGABYTES_MAX}`, peak <= MEGABYTES_MAX, `${peak} MB`);
  const rss = await site.metric('gdd_daemon_rss_bytes');
  checks.expect('gdd_daemon_rss_bytes is not above the peak', rss > 0 && rss / 1e6 <= peak + 1, `${rss} and ${peak} MB`);
  for (const source of sources) rmSync(source, { recursive: true });
}

async function run(context: ScenarioContext): Promise<{ passed: number; failed: number; skipped: number }> {
  const checks = new Checks(context);
  checkUnits(context.workDirectory, checks);
  await tryPage(path.join(context.workDirectory, 'page'), context.seed, checks);
  const root = path.join(context.workDirectory, 'site');
  mkdirSync(root);
  const site = await DaemonSite.make(root);
  const hostKey = path.join(root, 'host.key');
  await site.must(['enroll', 'lab-host', '--hosts', site.hosts, '--out', hostKey]);
  site.more = ['gc: { every: 20s }', 'log: { level: debug }', 'drain: 60s'];
  const source = path.join(context.workDirectory, 'source');
  const size = writeTree(source, TREE_MEBIBYTES, context.seed);
  const proxy = await CountingProxy.start(site.wirePort);
  const stage: Stage = { context, checks, site, proxy, source, daemon: await site.start() };
  try {
    await tryWire(stage, size, hostKey);
    await tryPrometheus(stage);
    await tryKeys(stage, hostKey);
    await tryBrokenNetwork(stage);
    await tryStop(stage);
    await tryKill(stage);
    await tryTwice(stage);
    await tryFailingDisk(stage);
    await tryLoad(stage);
    stage.daemon.process.kill('SIGTERM');
    const { status } = await stage.daemon.ended;
    checks.expect('the daemon ends with 0', status === 0, `exit ${status}`);
    const check = await holdfast(['check', site.repository, '--read-data', '--json']);
    checks.expect('after all that, the repository is whole', check.status === 0, said(check));
  } finally {
    stage.daemon.process.kill('SIGKILL');
    await stage.daemon.ended;
    await proxy.stop();
  }
  return checks.tally;
}

/** A daemon, its clients, and whoever watches it. */
export const scenario: Scenario = { name: 'daemon', needs: ['bash', 'curl', 'diff', 'prlimit', 'prometheus', 'promtool'], quick: true, run };
