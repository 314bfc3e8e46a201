/** What an administrator does with a bucket before a repository lives in it. */
import { createHash } from 'node:crypto';
import { utf8 } from '../../src/core/index.ts';
import { APPENDED_DIRECTORIES } from '../../src/engine/objects/append-only.ts';
import { S3Client, defaultTuning, type S3Body, type S3Outcome, type S3Request } from '../../src/engine/objects/s3/client.ts';
import { SCRATCH_DIRECTORY, type S3Credentials, type S3Location } from '../../src/engine/objects/s3/index.ts';
import { nodeWorld } from '../../src/engine/world/index.ts';

/** A text to send. */
export function bodyOf(text: string): S3Body {
  const bytes = utf8(text);
  return { parts: [bytes], bytes: bytes.length, digest: createHash('sha256').update(bytes).digest('hex') };
}

/** A bucket as its owner sees it. */
export class Bucket {
  readonly name: string;
  readonly #endpoint: string;
  readonly #client: S3Client;

  constructor(endpoint: string, name: string, owner: S3Credentials) {
    this.name = name;
    this.#endpoint = endpoint;
    this.#client = new S3Client(nodeWorld('.'), this.location('', owner), defaultTuning);
  }

  /** A place in the bucket for a user; another endpoint stands for a proxy. */
  location(prefix: string, credentials: S3Credentials, endpoint: string = this.#endpoint): S3Location {
    return { endpoint, region: 'us-east-1', bucket: this.name, prefix, pathStyle: true, credentials };
  }

  /** @throws {ToolError} */
  async create(): Promise<void> {
    await this.#request({ method: 'PUT' });
  }

  /**
   * The client may read everything below `prefix`, create what backups are made of, and remove nothing; the owner may also read what the client wrote, which
   * belongs to the client. Elsewhere an object of the client's could take something away: a tombstone, a list of condemned containers.
   */
  async makeAppendOnly(prefix: string, client: string, owner: string): Promise<void> {
    const Resource = [`arn:aws:s3:::${this.name}`, `arn:aws:s3:::${this.name}/*`];
    const created = [...APPENDED_DIRECTORIES.map((directory) => `${directory}/*`), `${SCRATCH_DIRECTORY}/append-only`].map((name) => `arn:aws:s3:::${this.name}/${prefix}/${name}`);
    const principal = (...users: readonly string[]): object => ({ AWS: users.map((user) => `arn:aws:iam:::user/${user}`) });
    const Statement = [
      { Effect: 'Allow', Principal: principal(client, owner), Action: ['s3:GetObject', 's3:ListBucket'], Resource },
      { Effect: 'Allow', Principal: principal(client), Action: ['s3:PutObject'], Resource: created },
      { Effect: 'Deny', Principal: principal(client), Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'], Resource },
    ];
    await this.#request({ method: 'PUT', query: { policy: '' }, body: bodyOf(JSON.stringify({ Version: '2012-10-17', Statement })) });
  }

  async enableVersioning(): Promise<void> {
    const text = '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>';
    await this.#request({ method: 'PUT', query: { versioning: '' }, body: bodyOf(text) });
  }

  close(): void {
    this.#client.close();
  }

  async #request(request: S3Request): Promise<S3Outcome> {
    const outcome = await this.#client.send(request);
    if (outcome.status < 200 || outcome.status > 299) throw this.#client.failure(request, outcome);
    return outcome;
  }
}
