/** A daemon within this process: its phases, and what it leaves behind when it can't start. With clients, the lab tries it as a process. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { ToolError } from '../../core/index.ts';
import { createSiteKey, nodeWorld } from '../../engine/index.ts';
import { createRepository } from '../repositories.ts';
import { Daemon } from './daemon.ts';

let work = '';
let occupied: Server;

before(async () => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-daemon-'));
  createSiteKey(path.join(work, 'site.key'), nodeWorld('.'));
  await (await createRepository(path.join(work, 'repository'))).close();
  occupied = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { occupied.once('listening', resolve); });
});
after(() => {
  occupied.close();
  fs.rmSync(work, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.once('listening', resolve); });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

function make(http: number, wire: number, signal: AbortSignal, more: string = ''): Daemon {
  const file = path.join(work, 'd.yaml');
  fs.writeFileSync(file, `listen: { wire: '127.0.0.1:${wire}', http: '127.0.0.1:${http}' }\nlog: { level: silent }\ndomains: { default: { repository: repository, siteKey: site.key } }\n${more}`, { mode: 0o600 });
  return new Daemon({ file, version: '1.2.3', self: [process.execPath], signal });
}

async function statusOf(port: number): Promise<number> {
  return fetch(`http://127.0.0.1:${port}/readyz`).then(({ status }) => status, () => 0);
}

test('it is ready once everything is open, and not any more when it is to stop', { timeout: 30_000 }, async () => {
  const stop = new AbortController();
  const port = await freePort();
  const daemon = make(port, 0, stop.signal, 'gc: { every: 1h }\n');
  assert.equal(daemon.notReady(), 'repositories are being opened');
  const running = daemon.run();
  const seen = new Set<number>();
  while (!seen.has(200)) seen.add(await statusOf(port));
  assert.ok([...seen].every((status) => [0, 503, 200].includes(status)), [...seen].join());
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(text, /^gdd_ready 1$/m);
  assert.match(text, /^gdd_maintenance_next_run_timestamp_seconds\{task="gc"\} \d/m);
  fs.appendFileSync(path.join(work, 'd.yaml'), 'check: { every: 2h, budget: 1 }\n');
  process.emit('SIGHUP');
  assert.match(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), /^gdd_maintenance_next_run_timestamp_seconds\{task="check"\} \d/m);
  fs.appendFileSync(path.join(work, 'd.yaml'), 'nonsense: 1\n');
  process.emit('SIGHUP');
  assert.equal(await statusOf(port), 200, 'a configuration that is wrong changes nothing');
  stop.abort();
  await running;
  assert.equal(daemon.notReady(), 'the daemon is about to stop');
  assert.equal(await statusOf(port), 0);
  assert.equal(process.listenerCount('SIGHUP'), 0);
});

test('when an address is taken it fails, and leaves nothing open', { timeout: 30_000 }, async () => {
  const { port } = occupied.address() as AddressInfo;
  for (const [http, wire, what] of [[port, 0, 'HTTP'], [0, port, 'the wire']] as const) {
    await assert.rejects(make(http, wire, new AbortController().signal).run(), (error) => error instanceof ToolError && error.message === `Listen for ${what} on '127.0.0.1:${port}': EADDRINUSE`);
  }
  assert.equal(process.listenerCount('SIGHUP'), 0);
});

test('who is stopped while opening ends as asked', { timeout: 30_000 }, async () => {
  await make(0, 0, AbortSignal.abort()).run();
});
