/**
 * One HTTP request and its bounded answer, over Node's own client. Nothing is repeated here, redirects are not followed (a signature holds for one
 * host), and a request that got no whole answer is a value, not an error: whoever asked must find out what became of it.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import { LimitError, type World } from '../../../core/index.ts';

/** A request as it goes out. */
export interface HttpRequest {
  readonly method: string;
  /** Encoded path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Uint8Array[];
  readonly bodyBytes: number;
  /** The answer's body goes here when its status is 206; the same length is asked for and checked. */
  readonly into?: Uint8Array;
}

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Empty when it went into the caller's buffer. */
  readonly body: Uint8Array;
  /** Bytes of the body, wherever they are. */
  readonly bodyBytes: number;
}

/** No whole answer came. */
export interface HttpLoss {
  readonly cause: Error;
  /** False when the request cannot have reached the store, so that it surely has had no effect. */
  readonly sent: boolean;
}

/** A page of 1,000 objects with the longest names is below 4 MiB. */
const BODY_BYTES_MAX = 8 << 20;
/** A transfer slower than this is given up, however steadily it drips. */
const BYTES_PER_SECOND_MIN = 64 << 10;

/** Connections to one endpoint, kept open between requests. */
export class Connection {
  readonly #endpoint: URL;
  readonly #agent: http.Agent;
  readonly #silenceMs: number;
  readonly #world: World;

  /** `silenceMs`: how long nothing may move before a request counts as lost. The world's time must be real. */
  constructor(world: World, endpoint: URL, connections: number, silenceMs: number) {
    const options = { keepAlive: true, maxSockets: connections, maxFreeSockets: connections, scheduling: 'lifo' } as const;
    this.#world = world;
    this.#endpoint = endpoint;
    this.#agent = endpoint.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options);
    this.#silenceMs = silenceMs;
  }

  /** Resolves with the answer or what was lost. Never rejects. */
  send(request: HttpRequest): Promise<HttpAnswer | HttpLoss> {
    const secure = this.#endpoint.protocol === 'https:';
    const deadlineMs = 4 * this.#silenceMs + Math.ceil((request.bodyBytes + (request.into?.length ?? 0)) / BYTES_PER_SECOND_MIN * 1000);
    const watch = new AbortController();
    return new Promise<HttpAnswer | HttpLoss>((resolve) => {
      let connected = false;
      let answered = false;
      const outgoing = (secure ? https : http).request({
        agent: this.#agent, host: this.#endpoint.hostname.replace(/^\[|\]$/g, ''), port: this.#endpoint.port, method: request.method, path: request.target,
        headers: { ...request.headers, 'content-length': request.bodyBytes }, timeout: this.#silenceMs,
      });
      this.#world.sleep(deadlineMs, watch.signal).then(() => outgoing.destroy(new Error(`not done after '${deadlineMs}' ms`)), () => undefined);
      outgoing.on('socket', (socket) => {
        if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', () => { connected = true; });
        else connected = true;
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`nothing moved for '${this.#silenceMs}' ms`)));
      outgoing.on('error', (cause) => {
        if (!answered) resolve({ cause, sent: connected }); // once an answer began, its end decides
      });
      outgoing.on('response', (incoming) => {
        answered = true;
        receive(incoming, request, (outcome) => {
          // An answer that came before all of the body went out ends the connection: the store will not read on.
          if (!outgoing.writableFinished || 'cause' in outcome) outgoing.destroy();
          resolve(outcome);
        });
      });
      for (const part of request.body) outgoing.write(part);
      outgoing.end();
    }).finally(() => { watch.abort(); });
  }

  /** Ends idle and busy connections; requests under way are lost. */
  close(): void {
    this.#agent.destroy();
  }
}

function receive(incoming: http.IncomingMessage, request: HttpRequest, done: (outcome: HttpAnswer | HttpLoss) => void): void {
  const into = incoming.statusCode === 206 ? request.into : undefined;
  const bytesMax = into?.length ?? BODY_BYTES_MAX;
  const parts: Uint8Array[] = [];
  let bodyBytes = 0;
  const lose = (cause: Error): void => { done({ cause, sent: true }); };
  incoming.on('data', (part: Uint8Array) => {
    if (bodyBytes + part.length > bytesMax) {
      incoming.destroy(new LimitError('answer bytes', bodyBytes + part.length, bytesMax, `${request.method} '${request.target}'`));
    } else if (into === undefined) parts.push(part);
    else into.set(part, bodyBytes);
    bodyBytes += part.length;
  });
  incoming.on('error', lose);
  incoming.on('close', () => {
    if (incoming.complete) done({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: into === undefined ? Buffer.concat(parts) : new Uint8Array(0), bodyBytes });
    else lose(new Error('the connection ended within the answer'));
  });
}
