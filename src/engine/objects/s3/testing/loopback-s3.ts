/**
 * A bucket in memory behind HTTP on loopback, for tests where no store is installed: what S3Objects uses of the protocol, with the vices of real
 * stores to choose from. It checks digests of bodies, not signatures: those are tried on a real store and on published examples.
 */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { compactTime } from '../signature.ts';

/** What the store does otherwise than it should. */
export interface LoopbackVices {
  /** Overwrites whatever the condition says, as some stores for development do. */
  ignoresCondition?: boolean;
  /** Answers 501 to conditions. */
  refusesCondition?: boolean;
  /** Answers 403 to DELETE. */
  refusesRemoval?: boolean;
  /** Forgets metadata. */
  dropsMetadata?: boolean;
  /** Sends whole objects where ranges are asked for. */
  ignoresRange?: boolean;
  /** Lists in descending order. */
  listsBackwards?: boolean;
  /** Answers listings with this text. */
  listing?: string;
  /** Answers GET and HEAD of objects with status 404 and a gateway's page. */
  gatewayPage?: boolean;
}

/** An object of the bucket. */
export interface Stored {
  readonly body: Buffer;
  readonly token: string | undefined;
  readonly etag: string;
  readonly modified: string;
}

type Answer = readonly [status: number, headers: Record<string, string>, body: Buffer];

function xml(name: string, content: string): Buffer {
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?><${name}>${content}</${name}>`);
}

function failure(status: number, code: string): Answer {
  return [status, {}, xml('Error', `<Code>${code}</Code>`)];
}

/** See the file's header. One bucket, named 'bucket'. */
export class LoopbackS3 {
  readonly objects: Map<string, Stored> = new Map();
  vices: LoopbackVices = {};
  /** Requests so far. */
  requests = 0;
  readonly #server: http.Server;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#server = http.createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part)).on('error', () => undefined).on('end', () => {
        this.requests += 1;
        const [status, headers, body] = this.#answer(request, Buffer.concat(parts));
        response.writeHead(status, { ...headers, ...('content-length' in headers ? {} : { 'content-length': body.length }) }).end(request.method === 'HEAD' ? undefined : body);
      });
    });
  }

  /** Resolves with the endpoint, `http://127.0.0.1:PORT`. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: http.IncomingMessage, body: Buffer): Answer {
    const url = new URL(request.url ?? '', 'http://loopback');
    const [, bucket = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    assert.match(request.headers.authorization ?? '', /^AWS4-HMAC-SHA256 Credential=/);
    if (bucket !== 'bucket') return failure(404, 'NoSuchBucket');
    if (createHash('sha256').update(body).digest('hex') !== request.headers['x-amz-content-sha256']) return failure(400, 'XAmzContentSHA256Mismatch');
    if (request.method === 'PUT') return this.#put(key, request.headers, body);
    if (request.method === 'DELETE') return this.#remove(key);
    return key === '' ? this.#list(url.searchParams) : this.#get(key, request);
  }

  #put(key: string, headers: http.IncomingHttpHeaders, body: Buffer): Answer {
    const conditional = headers['if-none-match'] === '*';
    if (conditional && this.vices.refusesCondition === true) return failure(501, 'NotImplemented');
    if (conditional && this.vices.ignoresCondition !== true && this.objects.has(key)) return failure(412, 'PreconditionFailed');
    const token = this.vices.dropsMetadata === true ? undefined : String(headers['x-amz-meta-holdfast-token']);
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    const time = this.#now();
    const stamp = compactTime(time).replace(/^(....)(..)(.....)(..)(..)Z$/, '$1-$2-$3:$4:$5');
    this.objects.set(key, { body, token, etag, modified: `${stamp}.${String(time % 1000).padStart(3, '0')}Z` });
    return [200, { etag }, Buffer.alloc(0)];
  }

  #remove(key: string): Answer {
    if (this.vices.refusesRemoval === true) return failure(403, 'AccessDenied');
    this.objects.delete(key);
    return [204, {}, Buffer.alloc(0)];
  }

  #get(key: string, request: http.IncomingMessage): Answer {
    const stored = this.objects.get(key);
    if (this.vices.gatewayPage === true) return [404, {}, Buffer.from('<html><body>Not found')];
    if (stored === undefined) return failure(404, 'NoSuchKey');
    const { range, 'if-match': match } = request.headers;
    if (match !== undefined && match !== stored.etag) return failure(412, 'PreconditionFailed');
    const headers = { etag: stored.etag, ...(stored.token === undefined ? {} : { 'x-amz-meta-holdfast-token': stored.token }) };
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    if (first === undefined || last === undefined || this.vices.ignoresRange === true) return [200, { ...headers, 'content-length': String(stored.body.length) }, stored.body];
    if (Number(first) >= stored.body.length) return failure(416, 'InvalidRange');
    const part = stored.body.subarray(Number(first), Number(last) + 1);
    return [206, { ...headers, 'content-range': `bytes ${first}-${Number(first) + part.length - 1}/${stored.body.length}` }, part];
  }

  #list(query: URLSearchParams): Answer {
    if (this.vices.listing !== undefined) return [200, {}, Buffer.from(this.vices.listing)];
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? '';
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, Number(query.get('max-keys')));
    const rows = page.map((key) => {
      const stored = this.objects.get(key) as Stored;
      return `<Contents><Key>${encodeURIComponent(key)}</Key><LastModified>${stored.modified}</LastModified><Size>${stored.body.length}</Size></Contents>`;
    });
    const next = page.length < keys.length ? `<NextContinuationToken>${page[page.length - 1]}</NextContinuationToken>` : '';
    if (this.vices.listsBackwards === true) rows.reverse();
    return [200, {}, xml('ListBucketResult', `<IsTruncated>${next !== ''}</IsTruncated>${rows.join('')}${next}<KeyCount>${page.length}</KeyCount>`)];
  }
}
