/** A proxy between S3Objects and a store, on loopback, that does to each request what a plan says: what networks, gateways and busy stores do. */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * `unseen`: the connection ends, and the store sees nothing. `busy`: 503, and the store sees nothing. `lost`: the store does it, and the connection ends.
 * `error`: the store does it, and the answer is 500. `silent`: the store does it, and no answer comes. `half`: the store sees half of the body, then the
 * connection ends. `cut`: half of the answer comes. `garbled`: the store sees one bit of the body flipped. `late`: the connection ends, and the store sees
 * the request only when `release` is called. `doubled`: the store does it twice, and the second answer comes, as from gateways that repeat on their own.
 */
export type Fault = 'pass' | 'unseen' | 'busy' | 'lost' | 'error' | 'silent' | 'half' | 'cut' | 'garbled' | 'late' | 'doubled';

/** All faults. */
export const faults: readonly Fault[] = ['unseen', 'busy', 'lost', 'error', 'silent', 'half', 'cut', 'garbled', 'late', 'doubled'];

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

function collect(message: http.IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    message.on('data', (part: Buffer) => parts.push(part)).on('end', () => { resolve(Buffer.concat(parts)); }).on('error', reject);
  });
}

/** See the file's header. */
export class FaultProxy {
  /** What is done to a request; `number` counts the requests of its method. */
  plan: (method: string, number: number) => Fault = () => 'pass';
  /** Requests so far, by method. */
  readonly counts: Map<string, number> = new Map();
  readonly #server: http.Server;
  readonly #target: URL;
  #held: (() => Promise<Answer>)[] = [];

  /** `target`: the store's endpoint. */
  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = http.createServer((request, response) => {
      this.#handle(request, response).catch(() => request.destroy()); // a client that left, or a store that is gone
    });
  }

  /** Resolves with the endpoint. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Lets the late requests arrive; resolves with the store's answers. */
  async release(): Promise<readonly number[]> {
    const held = this.#held;
    this.#held = [];
    return (await Promise.all(held.map((send) => send()))).map((answer) => answer.status);
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await collect(request);
    const method = request.method ?? '';
    const number = (this.counts.get(method) ?? 0) + 1;
    this.counts.set(method, number);
    const fault = this.plan(method, number);
    const forward = (bytes: Buffer): Promise<Answer> => this.#forward(request, bytes, bytes.length);
    if (fault === 'unseen') request.socket.destroy();
    else if (fault === 'busy') response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>');
    else if (fault === 'late') {
      this.#held.push(() => forward(body));
      request.socket.destroy();
    } else if (fault === 'half') {
      await this.#forward(request, body, body.length >> 1).catch(() => undefined);
      request.socket.destroy();
    } else {
      const bytes = Buffer.from(body);
      if (fault === 'garbled' && bytes.length > 0) bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x10;
      if (fault === 'doubled') await forward(bytes);
      reply(await forward(bytes), fault, request, response);
    }
  }

  /** Sends the first `length` bytes of a body; ends the connection when they are not all. */
  #forward(request: http.IncomingMessage, body: Buffer, length: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      // The host is a part of the signature, so the store must see the one that the client sees.
      const outgoing = http.request({ host: this.#target.hostname, port: this.#target.port, method: request.method, path: request.url, headers: { ...request.headers, connection: 'close' } });
      outgoing.on('error', reject).on('response', (incoming) => {
        collect(incoming).then((bytes) => { resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: bytes }); }, reject);
      });
      if (length === body.length) outgoing.end(body);
      else outgoing.write(body.subarray(0, length), () => outgoing.destroy(new Error('cut')));
    });
  }
}

function reply(answer: Answer, fault: Fault, request: http.IncomingMessage, response: http.ServerResponse): void {
  if (fault === 'silent') return;
  if (fault === 'lost') request.socket.destroy();
  else if (fault === 'error') response.writeHead(500).end('<Error><Code>InternalError</Code></Error>');
  else {
    const headers = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => name !== 'connection' && name !== 'transfer-encoding'));
    // A HEAD's answer has no body, so its length must stay as the store gave it.
    if (request.method !== 'HEAD' && answer.status !== 204) headers['content-length'] = String(answer.body.length);
    response.writeHead(answer.status, headers);
    if (fault === 'cut') response.write(answer.body.subarray(0, answer.body.length >> 1), () => request.socket.destroy());
    else response.end(request.method === 'HEAD' ? undefined : answer.body);
  }
}
