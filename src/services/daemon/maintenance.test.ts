/** Tasks as real processes: small scripts that behave as `holdfast gc` and `holdfast check` do, or badly. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { constants } from 'node:os';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { Registry } from 'prom-client';
import { parseConfig } from './config-file.ts';
import { LastRuns } from './last-runs.ts';
import { makeLogger } from './logger.ts';
import { commandOf, Maintenance } from './maintenance.ts';
import { MaintenanceMetrics } from './metrics/maintenance.ts';
import { progressIn } from './task-process.ts';

let directory = '';
before(() => { directory = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-maintenance-')); });
after(() => { fs.rmSync(directory, { recursive: true }); });

const config = parseConfig('domains: { a: { repository: /a, siteKey: /k, keys: [/k1] }, b: { repository: /b, siteKey: /k } }\ngc: { every: 1h, maxUnused: 0.2, wait: 10m }\ncheck: { every: 1h, budget: 3 }\ncacheDirectory: /c\n', '/d.yaml');

interface Rig {
  readonly maintenance: Maintenance;
  readonly ended: string[];
  text(): Promise<string>;
}

/** Runs `script` in place of holdfast; it sees verb and repository in `words`. */
function rig(script: string): Rig {
  const file = path.join(directory, `${process.hrtime.bigint()}.mjs`);
  fs.writeFileSync(file, `const words = process.argv.slice(2);\n${script}`);
  const registry = new Registry();
  const ended: string[] = [];
  const maintenance = new Maintenance({ self: [process.execPath, file], log: makeLogger('silent'), metrics: new MaintenanceMetrics(registry), lastRuns: new LastRuns(undefined, () => undefined), onEnd: (domain) => { ended.push(domain); } }, config);
  return { maintenance, ended, text: () => registry.metrics() };
}

test('the commands', () => {
  assert.deepEqual(commandOf('gc', config, 'a'), ['gc', '/a', '--json', '--key', '/k1', '--cache-dir', '/c', '--max-unused', '0.2', '--wait', '600s']);
  assert.deepEqual(commandOf('check', config, 'b'), ['check', '/b', '--json', '--cache-dir', '/c', '--budget', '3%']);
});

test('two tasks never run at once, and run at the lowest priority', async () => {
  const log = path.join(directory, 'log');
  const { maintenance, ended, text } = rig(`
    import fs from 'node:fs'; import os from 'node:os';
    fs.appendFileSync(${JSON.stringify(log)}, 'begin ' + os.getPriority() + '\\n');
    setTimeout(() => { fs.appendFileSync(${JSON.stringify(log)}, 'end ' + os.getPriority() + '\\n'); console.log(JSON.stringify(words[0] === 'gc' ? { bytesReclaimed: 5, waitingFor: [1] } : { ok: true, problems: [] })); }, 150);`);
  await Promise.all([maintenance.run('gc', 'a'), maintenance.run('gc', 'b'), maintenance.run('check', 'a'), maintenance.run('gc', 'a')]);
  const lines = fs.readFileSync(log, 'utf8').trim().split('\n');
  assert.deepEqual(lines.map((line) => line.split(' ')[0]), ['begin', 'end', 'begin', 'end', 'begin', 'end'], 'the second of the same kind was dropped');
  assert.ok(lines.filter((line) => line.startsWith('end')).every((line) => line === `end ${constants.priority.PRIORITY_LOW}`), lines.join());
  assert.deepEqual(ended, ['a', 'b', 'a']);
  const found = await text();
  for (const line of ['gdd_vacuum_cycles_total 2', 'gdd_vacuum_bytes_reclaimed 10', 'gdd_vacuum_waiting_sessions{domain="a"} 1', 'gdd_check_problems{domain="a"} 0', 'gdd_maintenance_running{task="gc",domain="a"} 0']) assert.ok(found.includes(`${line}\n`), line);
});

test('a task that fails is a failure, whatever way it fails', async () => {
  const bad = ['process.exit(1);', "console.log('{}');", "console.log('{\"bytesReclaimed\":5}'); process.exit(1);", "console.log('no json');", "process.kill(process.pid, 'SIGKILL');", "throw new Error('x');"];
  for (const script of bad) {
    const { maintenance, text } = rig(script);
    await maintenance.run('gc', 'a');
    const found = await text();
    assert.ok(found.includes('gdd_maintenance_failures_total{task="gc",domain="a"} 1\n') && found.includes('gdd_vacuum_cycles_total 0\n') && found.includes('gdd_vacuum_bytes_reclaimed 0\n'), script);
  }
  const { maintenance, text } = rig("console.log(JSON.stringify({ ok: false, problems: [{}, {}] })); process.exit(1);");
  await maintenance.run('check', 'a');
  const found = await text();
  assert.match(found, /gdd_check_problems\{domain="a"\} 2\n/);
  assert.match(found, /gdd_maintenance_failures_total\{task="check",domain="a"\} 1\n/);
});

test('a program that can not be started is a failure', async () => {
  const registry = new Registry();
  const maintenance = new Maintenance({ self: [path.join(directory, 'absent')], log: makeLogger('silent'), metrics: new MaintenanceMetrics(registry), lastRuns: new LastRuns(undefined, () => undefined), onEnd: () => undefined }, config);
  await maintenance.run('gc', 'a');
  assert.match(await registry.metrics(), /gdd_maintenance_failures_total\{task="gc",domain="a"\} 1\n/);
});

test('stopping ends the running task and starts no other', { timeout: 20_000 }, async () => {
  const mark = path.join(directory, 'mark');
  const { maintenance, ended } = rig(`import fs from 'node:fs'; fs.writeFileSync(${JSON.stringify(mark)}, words[1]); setInterval(() => undefined, 1000);`);
  const running = maintenance.run('gc', 'a');
  const waiting = maintenance.run('gc', 'b');
  while (!fs.existsSync(mark) || fs.readFileSync(mark, 'utf8') === '') await new Promise((resolve) => { setTimeout(resolve, 20); });
  await maintenance.stop();
  await Promise.all([running, waiting]);
  assert.deepEqual([ended, fs.readFileSync(mark, 'utf8')], [['a'], '/a']);
});

test('progress is read from lines of the process', async () => {
  assert.deepEqual(progressIn('{"progress":{"verb":"gc","files":3,"bytes":0,"totalFiles":9,"unit":"mark: steps","seconds":1}}'), { done: 3, total: 9, phase: 'mark: steps' });
  for (const line of ['', '{"progress":1}', '{"progress":null}', '{"progress":{}}', '{"progress":{"files":"3"}}', 'holdfast: x', '{"progress":']) assert.equal(progressIn(line), undefined, line);
  const { maintenance, text } = rig("process.stderr.write('{\"progress\":{\"files\":3,\"bytes\":0,\"totalFiles\":9}}\\n'); setTimeout(() => { console.log('{\"bytesReclaimed\":1}'); }, 50);");
  await maintenance.run('gc', 'a');
  const found = await text();
  assert.match(found, /gdd_maintenance_steps_done\{task="gc",domain="a"\} 3\n/);
  assert.match(found, /gdd_maintenance_steps_expected\{task="gc",domain="a"\} 9\n/);
});

test('a daemon that is restarted or reloaded before a task is due runs it when it is due', async () => {
  const state = path.join(directory, 'state');
  const notes: string[] = [];
  const hour = 3_600_000;
  const now = Date.now();
  new LastRuns(state, (text) => { notes.push(text); }).begin('gc', now - 2 * hour);
  const registry = new Registry();
  const file = path.join(directory, 'due.mjs');
  fs.writeFileSync(file, "console.log(JSON.stringify({ bytesReclaimed: 1 }));");
  const ended: string[] = [];
  const maintenance = new Maintenance({
    self: [process.execPath, file], log: makeLogger('silent'), metrics: new MaintenanceMetrics(registry), lastRuns: new LastRuns(state, (text) => { notes.push(text); }), onEnd: (domain) => { ended.push(domain); },
  }, config);
  maintenance.schedule(config);
  const checkDue = /gdd_maintenance_next_run_timestamp_seconds\{task="check"\} (\S+)/.exec(await registry.metrics())?.[1];
  for (let i = 0; i < 500 && ended.length < 2; i += 1) await new Promise((resolve) => { setTimeout(resolve, 20); });
  maintenance.schedule(config);
  assert.equal(/gdd_maintenance_next_run_timestamp_seconds\{task="check"\} (\S+)/.exec(await registry.metrics())?.[1], checkDue, 'a reload does not put a task off');
  await maintenance.stop();
  assert.deepEqual(ended, ['a', 'b']);
  const again = new LastRuns(state, (text) => { notes.push(text); });
  assert.ok(again.of('gc', Date.now()) >= now && again.of('check', Date.now()) < Date.now() + 1);
  assert.equal(again.of('gc', now - hour), now - hour, 'a time to come is no time');
  fs.writeFileSync(path.join(state, 'maintenance.json'), '{');
  assert.equal(new LastRuns(state, (text) => { notes.push(text); }).of('gc', 5), 5);
  assert.equal(notes.length, 1);
});

test('a state directory that cannot be made is told of, and tasks go on being counted', () => {
  const notes: string[] = [];
  const lastRuns = new LastRuns('/proc/x/y', (text) => { notes.push(text); });
  lastRuns.begin('gc', 5);
  assert.equal(lastRuns.of('gc', 9), 5);
  assert.match(notes.join('|'), /^Write '\/proc\/x\/y\/maintenance\.json': E[A-Z]+: .*mkdir '\/proc\/x[^|]*$/);
});
