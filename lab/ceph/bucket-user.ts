/** A machine that uses a repository in a bucket: its credentials, its cache directory, and the command line in processes of their own. */
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { seededBytes } from '../../src/core/testing/random.ts';
import type { S3Credentials } from '../../src/engine/objects/s3/index.ts';
import { holdfast, jsonOf, startHoldfast, type HoldfastResult } from '../holdfast.ts';

/** See the module's comment. */
export class BucketUser {
  readonly cache: string;
  readonly #environment: Readonly<Record<string, string>>;

  /** `cache` is made when it is used first. */
  constructor(endpoint: string, credentials: S3Credentials, cache: string) {
    this.cache = cache;
    this.#environment = { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey, AWS_ENDPOINT_URL: endpoint, HOLDFAST_CACHE_DIR: cache };
  }

  run(...parameters: readonly string[]): Promise<HoldfastResult> {
    return holdfast(parameters, { environment: this.#environment });
  }

  /** The caller ends it. */
  start(...parameters: readonly string[]): ChildProcess {
    return startHoldfast(parameters, { environment: this.#environment });
  }

  /** Id of the new snapshot, or what went wrong. */
  async backup(repository: string, source: string, ...more: readonly string[]): Promise<{ readonly snapshot: string; readonly failure: string }> {
    const result = await this.run('backup', source, '--repo', repository, '--json', ...more);
    return result.status === 0 ? { snapshot: String(jsonOf(result)['snapshot']), failure: '' } : { snapshot: '', failure: `exit ${result.status}: ${result.stderr.slice(-400)}` };
  }

  /** Restores a snapshot's source and compares it; '' when every file has its MD5. */
  async compare(location: string, source: string, target: string, ...more: readonly string[]): Promise<string> {
    const result = await this.run('restore', `${location}::${source}`, target, ...more);
    const difference = result.status === 0 ? differenceOf(digests(source), digests(target)) : `exit ${result.status}: ${result.stderr.slice(-400)}`;
    rmSync(target, { recursive: true, force: true });
    return difference;
  }

  /** The machine is new. */
  loseCache(): void {
    rmSync(this.cache, { recursive: true, force: true });
  }
}

/** In pieces: processes that are started count the memory of this one as theirs. */
function md5(file: string): string {
  const [digest, piece, fd] = [createHash('md5'), new Uint8Array(1 << 20), openSync(file, 'r')];
  try {
    for (let count = readSync(fd, piece); count > 0; count = readSync(fd, piece)) digest.update(piece.subarray(0, count));
  } finally {
    closeSync(fd);
  }
  return digest.digest('hex');
}

/** MD5 of each file below a directory, by its path there. */
export function digests(directory: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    found.set(path.relative(directory, file), md5(file));
  }
  return found;
}

function differenceOf(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string {
  for (const [name, digest] of expected) if (found.get(name) !== digest) return `'${name}' is '${found.get(name)}' instead of '${digest}'`;
  return expected.size === found.size ? '' : `${found.size} files instead of ${expected.size}`;
}

/** A directory of files: one for each seed, so that sources with common seeds have common content. */
export function writeSource(directory: string, seeds: readonly number[], bytes: number): void {
  mkdirSync(directory, { recursive: true });
  for (const seed of seeds) writeFileSync(path.join(directory, `file-${seed}`), seededBytes(bytes + seed, seed));
}
