/** Where a repository in a bucket is: the location's text, and the names of environment variables that users of S3 know. */
import { UsageError } from '../../../core/index.ts';
import type { S3Credentials } from './signature.ts';

/** A place in a bucket and how to get there. */
export interface S3Location {
  /** `https://host`, `http://host:port`, with a path where a gateway wants one. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** What comes before the names of all objects: parts between slashes, without a slash at either end; '' for none. */
  readonly prefix: string;
  /** The bucket is a part of the path, as most stores of one's own want it, and not of the host's name. */
  readonly pathStyle: boolean;
  /** A function is asked before each request and may renew them; it caches on its own. */
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
}

const SYNTAX = "expected 's3://BUCKET' or 's3://BUCKET/PREFIX' with letters, digits and '._-'";
const bucketName = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
const part = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/;

/** Whether a text is a name of an object or a prefix: parts of safe ASCII between slashes, none of them '.' or '..'. */
export function isObjectName(name: string): boolean {
  return name.length <= 900 && name.split('/').every((one) => part.test(one));
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new UsageError(`Use S3 endpoint '${text}': expected 'https://HOST[:PORT]'`);
  }
  return url;
}

/** Checks a location and returns its endpoint. @throws {UsageError} */
export function checkLocation(location: S3Location): URL {
  if (!bucketName.test(location.bucket) || location.prefix !== '' && !isObjectName(location.prefix)) {
    throw new UsageError(`Use location 's3://${location.bucket}/${location.prefix}': ${SYNTAX}`);
  }
  if (!/^[A-Za-z0-9-]+$/.test(location.region)) throw new UsageError(`Use S3 region '${location.region}': expected a name such as 'eu-central-1'`);
  return endpointOf(location.endpoint);
}

/**
 * Reads `s3://BUCKET[/PREFIX]` with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION or AWS_DEFAULT_REGION, and
 * AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL. With an endpoint of one's own the bucket goes into the path, on Amazon's into the host's name
 * unless it has dots. `options` come before all of these. @throws {UsageError}
 */
export function s3Location(url: string, environment: Readonly<Record<string, string | undefined>>, options: Partial<S3Location> = {}): S3Location {
  const [, bucket = '', rest = ''] = /^s3:\/\/([^/]*)(?:\/(.*))?$/.exec(url) ?? [];
  const value = (...names: readonly string[]): string | undefined => names.map((name) => environment[name]).find((found) => found !== undefined && found !== '');
  const region = options.region ?? value('AWS_REGION', 'AWS_DEFAULT_REGION') ?? 'us-east-1';
  const own = options.endpoint ?? value('AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL');
  const location: S3Location = {
    bucket, region, prefix: rest.replace(/\/$/, ''), endpoint: own ?? `https://s3.${region}.amazonaws.com`,
    pathStyle: own !== undefined || bucket.includes('.'), credentials: options.credentials ?? credentialsOf(url, value), ...options,
  };
  checkLocation(location);
  return location;
}

function credentialsOf(url: string, value: (name: string) => string | undefined): S3Credentials {
  const accessKeyId = value('AWS_ACCESS_KEY_ID');
  const secretAccessKey = value('AWS_SECRET_ACCESS_KEY');
  const sessionToken = value('AWS_SESSION_TOKEN');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new UsageError(`Use location '${url}': no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`);
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
