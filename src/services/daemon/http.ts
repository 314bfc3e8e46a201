/** The HTTP side of the daemon: metrics, health, readiness. It answers GET and HEAD, keeps nothing, and needs no credentials: bind it where only they may look. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { ListenAddress } from './config.ts';
import { listen } from './listen.ts';

/** Why the daemon does not take work now; undefined when it does. */
export type NotReady = string | undefined;

/** What is shown. */
export interface HttpFacts {
  readonly registry: Registry;
  readonly version: string;
  notReady(): NotReady;
}

/** What goes back. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = 'application/json; charset=utf-8';
const REQUEST_MS = 10_000;
const CONNECTIONS_MAX = 64;

function jsonAnswer(status: number, value: object): Answer {
  return { status, type: json, body: `${JSON.stringify(value)}\n` };
}

type Route = (facts: HttpFacts) => Answer | Promise<Answer>;

const routes: Readonly<Record<string, Route>> = {
  '/metrics': async ({ registry }) => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  '/healthz': ({ version }) => jsonAnswer(200, { status: 'ok', version, uptimeSeconds: Math.round(process.uptime()) }),
  '/readyz': (facts) => {
    const reason = facts.notReady();
    return reason === undefined ? jsonAnswer(200, { status: 'ready' }) : jsonAnswer(503, { status: 'not ready', reason });
  },
};

/** The answer to a request; 404 with the paths that there are, 405 for other methods. */
export async function answer(facts: HttpFacts, method: string, url: string): Promise<Answer> {
  const [path = ''] = url.split('?');
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return jsonAnswer(404, { error: `There is no '${path}'`, paths: Object.keys(routes) });
  if (method !== 'GET' && method !== 'HEAD') return jsonAnswer(405, { error: `'${method}' is not possible here, GET is` });
  return route(facts);
}

async function respond(facts: HttpFacts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, type, body } = await answer(facts, request.method ?? 'GET', request.url ?? '/')
    .catch((error: unknown) => jsonAnswer(500, { error: error instanceof Error ? error.message : String(error) }));
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', ...(status === 405 ? { allow: 'GET, HEAD' } : {}) });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Listens. Close the server to end. @throws {ToolError} the address can't be had. */
export async function listenHttp(facts: HttpFacts, address: ListenAddress): Promise<Server> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => { void respond(facts, request, response); });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, address, 'HTTP');
  return server;
}
