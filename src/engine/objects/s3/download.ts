/** Reads objects by ranges. The first range is fetched with `open`, so that a small object costs one request. */
import assert from 'node:assert';
import { NotFoundError, ProtocolError, type ObjectReader } from '../../../core/index.ts';
import type { S3Client, S3Outcome, S3Request } from './client.ts';

const FIRST_BYTES = 16 << 10;

/** Whether the answer says that there is no such object, and not merely no such bucket or page. */
export function isAbsent(outcome: S3Outcome): boolean {
  return outcome.status === 404 && outcome.code === 'NoSuchKey';
}

function absent(client: S3Client, name: string, what: string): NotFoundError {
  return new NotFoundError(`Open '${client.place}/${name}': ${what}`, { name });
}

/** Opens an object. @throws {NotFoundError} @throws {ToolError} @throws {ProtocolError} */
export async function openObject(client: S3Client, name: string): Promise<ObjectReader> {
  const first = new Uint8Array(FIRST_BYTES);
  const request: S3Request = { method: 'GET', name, headers: { range: `bytes=0-${FIRST_BYTES - 1}` }, into: first };
  const outcome = await client.send(request);
  if (isAbsent(outcome)) throw absent(client, name, 'no such object');
  if (outcome.status === 416) return openEmpty(client, name);
  const { last } = outcome;
  if (!('headers' in last) || outcome.status !== 206 && outcome.status !== 200) throw client.failure(request, outcome);
  const etag = last.headers.etag ?? '';
  if (outcome.status === 200 && last.bodyBytes === 0) return new S3Reader(client, name, { size: 0, etag, first: new Uint8Array(0) });
  const [, size = ''] = /^bytes 0-\d+\/(\d{1,15})$/.exec(last.headers['content-range'] ?? '') ?? [];
  if (outcome.status === 200 || size === '' || last.bodyBytes !== Math.min(FIRST_BYTES, Number(size))) {
    throw new ProtocolError(`${request.method} '${client.place}/${name}': asked for a range, got status '${outcome.status}', range '${last.headers['content-range']}', '${last.bodyBytes}' bytes`, { name });
  }
  return new S3Reader(client, name, { size: Number(size), etag, first: first.subarray(0, last.bodyBytes) });
}

/** No range of it could be had: it should have no bytes. */
async function openEmpty(client: S3Client, name: string): Promise<ObjectReader> {
  const request: S3Request = { method: 'HEAD', name };
  const outcome = await client.send(request);
  if (outcome.status === 404) throw absent(client, name, 'no such object');
  if (outcome.status !== 200 || !('headers' in outcome.last)) throw client.failure(request, outcome);
  const { etag = '', 'content-length': length } = outcome.last.headers;
  if (length !== '0') throw new ProtocolError(`HEAD '${client.place}/${name}': it has '${length}' bytes, and no first range of them`, { name });
  return new S3Reader(client, name, { size: 0, etag, first: new Uint8Array(0) });
}

class S3Reader implements ObjectReader {
  readonly size: number;
  readonly #client: S3Client;
  readonly #name: string;
  readonly #etag: string;
  readonly #first: Uint8Array;
  #open = true;

  constructor(client: S3Client, name: string, found: { readonly size: number; readonly etag: string; readonly first: Uint8Array }) {
    this.#client = client;
    this.#name = name;
    this.size = found.size;
    this.#etag = found.etag;
    this.#first = found.first;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    assert(this.#open, 'the object is open');
    const end = offset + target.length;
    if (!(offset >= 0 && end <= this.size)) throw new RangeError(`Read '${this.#client.place}/${this.#name}': range '${offset}+${target.length}' leaves '${this.size}' bytes`);
    if (end <= this.#first.length) target.set(this.#first.subarray(offset, end));
    else if (target.length > 0) await this.#fetch(offset, target);
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  async #fetch(offset: number, target: Uint8Array): Promise<void> {
    const end = offset + target.length - 1;
    // Should the name stand for another object by now, its bytes must not be taken for these.
    const headers = { range: `bytes=${offset}-${end}`, ...(this.#etag === '' ? {} : { 'if-match': this.#etag }) };
    const request: S3Request = { method: 'GET', name: this.#name, headers, into: target };
    const outcome = await this.#client.send(request);
    if (isAbsent(outcome) || outcome.status === 412) throw absent(this.#client, this.#name, 'it was removed meanwhile');
    if (outcome.status !== 206 || !('headers' in outcome.last)) throw this.#client.failure(request, outcome);
    const range = outcome.last.headers['content-range'];
    if (range !== `bytes ${offset}-${end}/${this.size}` || outcome.last.bodyBytes !== target.length) {
      throw new ProtocolError(`GET '${this.#client.place}/${this.#name}': asked for bytes '${offset}-${end}' of '${this.size}', got '${range}', '${outcome.last.bodyBytes}' bytes`, { name: this.#name });
    }
  }
}
