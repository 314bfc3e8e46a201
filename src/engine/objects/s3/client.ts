/**
 * Signed requests that are repeated while it may help, with growing pauses and an end. Repeating is safe for every request of this store, but
 * its answer then speaks of the last attempt only: `unsure` says that an earlier one may have had its effect.
 */
import { FormatError, ToolError, type World } from '../../../core/index.ts';
import { Connection, type HttpAnswer, type HttpLoss } from './connection.ts';
import { checkLocation, type S3Location } from './location.ts';
import { EMPTY_DIGEST, encodeQuery, encodeStrictly, signRequest } from './signature.ts';
import { childText, parseXml } from './xml.ts';

/** How a store is talked to; each has a default. */
export interface S3Tuning {
  /** Attempts of one request, the first included. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; doubled for each further one, to 5 s at most. */
  readonly pauseMs: number;
  /** Milliseconds without a byte moving after which an attempt counts as lost. */
  readonly silenceMs: number;
  /** Connections at a time. */
  readonly connections: number;
  /** Objects in one page of a listing, 1,000 at most. */
  readonly pageRows: number;
}

/** About 15 seconds of trying when the store refuses at once. */
export const defaultTuning: S3Tuning = Object.freeze({ attempts: 9, pauseMs: 100, silenceMs: 30_000, connections: 16, pageRows: 1_000 });

/** A request for an object, or for the bucket when `name` is left out. */
export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  readonly name?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: S3Body;
  /** See {@link HttpRequest}. */
  readonly into?: Uint8Array;
}

/** Bytes to send, with their SHA-256 in hexadecimal. */
export interface S3Body {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly digest: string;
}

/** What became of a request. */
export interface S3Outcome {
  /** Of the last attempt. */
  readonly last: HttpAnswer | HttpLoss;
  /** Of the last attempt; 0 when no answer came. */
  readonly status: number;
  /** The store's name for the error, '' when it gave none. */
  readonly code: string;
  /** The store's words for the error. */
  readonly message: string;
  readonly attempts: number;
  /** Some attempt may have taken effect although its answer did not say so. */
  readonly unsure: boolean;
}

const PAUSE_MS_MAX = 5_000;
const ERROR_BYTES_MAX = 64 << 10;
const repeatedStatus = new Set([0, 409, 429, 500, 502, 503, 504]);
/** Errors of status 400 that say that the request suffered on its way. */
const repeatedCode = new Set(['RequestTimeout', 'XAmzContentSHA256Mismatch', 'BadDigest', 'IncompleteBody']);

const advice: Readonly<Record<string, string>> = {
  NoSuchBucket: 'create the bucket first',
  RequestTimeTooSkewed: "set this machine's clock",
  SignatureDoesNotMatch: 'check the secret key',
  InvalidAccessKeyId: 'check the access key',
  PermanentRedirect: 'check endpoint and region',
  AuthorizationHeaderMalformed: 'check the region',
};

/** A bucket, or a directory of one. */
export class S3Client {
  /** `s3://bucket/prefix`, for messages. */
  readonly place: string;
  readonly tuning: S3Tuning;
  readonly world: World;
  readonly #location: S3Location;
  readonly #host: string;
  readonly #base: string;
  readonly #connection: Connection;

  /** @throws {UsageError} a location that can't be one. */
  constructor(world: World, location: S3Location, tuning: S3Tuning) {
    const endpoint = checkLocation(location);
    if (!location.pathStyle) endpoint.hostname = `${location.bucket}.${endpoint.hostname}`;
    this.world = world;
    this.tuning = tuning;
    this.place = `s3://${location.bucket}${location.prefix === '' ? '' : `/${location.prefix}`}`;
    this.#location = location;
    this.#host = endpoint.host;
    this.#base = `${endpoint.pathname.replace(/\/$/, '')}${location.pathStyle ? `/${encodeStrictly(location.bucket)}` : ''}`;
    this.#connection = new Connection(world, endpoint, tuning.connections, tuning.silenceMs);
  }

  /** What comes before the names of this place's objects in the bucket. */
  get prefix(): string {
    return this.#location.prefix === '' ? '' : `${this.#location.prefix}/`;
  }

  /** Sends a request until it is answered for good or the attempts are used up. Rejects only if the credentials do. */
  async send(request: S3Request): Promise<S3Outcome> {
    let unsure = false;
    for (let attempts = 1; ; attempts += 1) {
      const last = await this.#attempt(request);
      const status = 'status' in last ? last.status : 0;
      const { code, message } = 'status' in last ? errorOf(last) : { code: '', message: last.cause.message };
      const again = repeatedStatus.has(status) || status === 400 && repeatedCode.has(code);
      const unsent = 'cause' in last && !last.sent;
      unsure ||= !unsent && (again || status > 501);
      if (!again || attempts >= this.tuning.attempts) return { last, status, code, message, attempts, unsure };
      await this.#pause(attempts);
    }
  }

  /** The error of a request that ended otherwise than hoped. */
  failure(request: S3Request, outcome: S3Outcome, note = ''): ToolError {
    const { status, code, message, attempts } = outcome;
    const { name = '' } = request;
    const said = status === 0 ? message : `status '${status}', code '${code}'${message === '' ? '' : `, '${message}'`}`;
    const hint = [note, advice[code] ?? '', attempts > 1 ? `after ${attempts} attempts` : ''].filter((one) => one !== '').map((one) => `; ${one}`).join('');
    const cause = 'cause' in outcome.last ? outcome.last.cause : undefined;
    return new ToolError(`${request.method} '${this.place}/${name}': ${said}${hint}`, { method: request.method, name, status, code, attempts, unsure: outcome.unsure }, cause);
  }

  close(): void {
    this.#connection.close();
  }

  async #attempt(request: S3Request): Promise<HttpAnswer | HttpLoss> {
    const { credentials, region } = this.#location;
    const { method, name, query = {}, headers = {}, body } = request;
    const path = `${this.#base}/${name === undefined ? '' : (this.prefix + name).split('/').map(encodeStrictly).join('/')}`;
    const unsigned = { method, host: this.#host, path, query, headers, bodyDigest: body?.digest ?? EMPTY_DIGEST };
    const signed = signRequest(unsigned, typeof credentials === 'function' ? await credentials() : credentials, region, this.world.now());
    const search = encodeQuery(query);
    return this.#connection.send({
      method, target: search === '' ? path : `${path}?${search}`, headers: signed, body: body?.parts ?? [], bodyBytes: body?.bytes ?? 0,
      ...(request.into === undefined ? {} : { into: request.into }),
    });
  }

  /** Between half and all of the doubled pause, so that many clients do not come back at once. */
  async #pause(attempts: number): Promise<void> {
    const [random = 0] = this.world.randomBytes(1);
    await this.world.sleep(Math.min(PAUSE_MS_MAX, this.tuning.pauseMs * 2 ** (attempts - 1)) * (0.5 + random / 512));
  }
}

function errorOf(answer: HttpAnswer): { readonly code: string; readonly message: string } {
  if (answer.status < 300 || answer.body.length > ERROR_BYTES_MAX) return { code: '', message: '' };
  try {
    const error = parseXml(answer.body);
    return { code: (childText(error, 'Code') ?? '').slice(0, 100), message: (childText(error, 'Message') ?? '').slice(0, 300) };
  } catch (error) {
    if (error instanceof FormatError) return { code: '', message: '' }; // a gateway's page, or an answer to HEAD
    throw error;
  }
}
