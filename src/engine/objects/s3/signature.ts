/**
 * Signs requests as S3 wants them: AWS Signature Version 4, with the digest of the body in the signature, so that a body that was changed on its way
 * is refused. Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header".
 */
import { createHash, createHmac } from 'node:crypto';
import { dateOfDays } from '../../retention/calendar.ts';

/** Who asks. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
}

/** A request before it is signed. */
export interface UnsignedRequest {
  readonly method: string;
  /** As it is sent, with the port where it is not the scheme's own. */
  readonly host: string;
  /** Encoded path, from the first slash. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Lower-case names. All of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, hexadecimal. */
  readonly bodyDigest: string;
}

/** SHA-256 of no bytes. */
export const EMPTY_DIGEST: string = createHash('sha256').digest('hex');

const ALGORITHM = 'AWS4-HMAC-SHA256';
const DAY_MS = 86_400_000;

/** Encodes as the signature wants it: everything but letters, digits and '-._~'. */
export function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The query of a request, in the order that the signature wants; without question mark. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => [encodeStrictly(name), encodeStrictly(value)] as const);
  return pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([name, value]) => `${name}=${value}`).join('&');
}

/** `20130524T000000Z` for milliseconds since 1970. */
export function compactTime(time: number): string {
  const { year, month, day } = dateOfDays(Math.floor(time / DAY_MS));
  const seconds = Math.floor((time % DAY_MS) / 1000);
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${String(year).padStart(4, '0')}${two(month + 1)}${two(day)}T${two(Math.floor(seconds / 3600))}${two(Math.floor(seconds / 60) % 60)}${two(seconds % 60)}Z`;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** All headers to send, `authorization` among them. `time` is now, milliseconds since 1970; stores allow some 15 minutes between the clocks. */
export function signRequest(request: UnsignedRequest, credentials: S3Credentials, region: string, time: number): Readonly<Record<string, string>> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const stamp = compactTime(time);
  const headers: Record<string, string> = {
    ...request.headers, host: request.host, 'x-amz-content-sha256': request.bodyDigest, 'x-amz-date': stamp,
    ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
  };
  const names = Object.keys(headers).sort();
  const signed = names.join(';');
  const lines = names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`).join('');
  const canonical = [request.method, request.path, encodeQuery(request.query), lines, signed, request.bodyDigest].join('\n');
  const scope = `${stamp.slice(0, 8)}/${region}/s3/aws4_request`;
  const text = [ALGORITHM, stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, stamp.slice(0, 8)), region), 's3'), 'aws4_request');
  return { ...headers, authorization: `${ALGORITHM} Credential=${accessKeyId}/${scope},SignedHeaders=${signed},Signature=${hmac(key, text).toString('hex')}` };
}
