import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import { ToolError } from '../../core/index.ts';
import { listenHttp, type NotReady } from './http.ts';

let server: Server;
let base = '';
let reason: NotReady;
const facts = { registry: new Registry(), version: '1.2.3', notReady: (): NotReady => reason };

before(async () => {
  server = await listenHttp(facts, { host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => { server.close(); });

test('health, readiness with its reason, metrics', async () => {
  const health = await fetch(`${base}/healthz`);
  assert.deepEqual([health.status, (await health.json() as { version: string }).version], [200, '1.2.3']);
  assert.equal((await fetch(`${base}/readyz`)).status, 200);
  reason = 'because';
  const not = await fetch(`${base}/readyz?verbose`);
  assert.deepEqual([not.status, await not.json()], [503, { status: 'not ready', reason: 'because' }]);
  assert.equal((await fetch(`${base}/healthz`)).status, 200, 'a process that is not ready is healthy');
  const metrics = await fetch(`${base}/metrics`);
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const head = await fetch(`${base}/healthz`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
});

test('other paths and methods are refused, whatever they are called', async () => {
  for (const path of ['/', '/metrics/', '/constructor', '/__proto__', '//readyz', '/%2e%2e/etc/passwd']) assert.equal((await fetch(base + path)).status, 404, path);
  const posted = await fetch(`${base}/metrics`, { method: 'POST', body: 'x' });
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD']);
});

test('an address that is taken is named', async () => {
  const { port } = server.address() as AddressInfo;
  await assert.rejects(listenHttp(facts, { host: '127.0.0.1', port }), (error) => error instanceof ToolError && error.message === `Listen for HTTP on '127.0.0.1:${port}': EADDRINUSE`);
});
