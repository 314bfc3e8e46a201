/** The `config` object: what a repository is, written once when it is made. Layout: `docs/formats/config.md`. */
import { createHash } from 'node:crypto';
import {
  BusyError, FormatError, IntegrityError, NotFoundError, UnsupportedError, UsageError, textOf, utf8, type ProbeVerdict, type World,
} from '../../core/index.ts';
import { checkChunkerParameters, defaultFastCdc, type FastCdcParameters } from '../chunking/index.ts';
import type { HashName } from '../hashing/hasher.ts';
import { createOnce } from '../world/create-once.ts';

/** Version of the repository's layout that this build writes and reads. */
export const REPOSITORY_VERSION = 1;
const FIRST_LINE = 'holdfast repository';

/** Parameters of a repository, frozen when it is made. */
export interface RepositoryConfig {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly hash: HashName;
  readonly compression: 'zstd' | 'none';
  /** zstd level, 1…19; 0 with `none`. */
  readonly level: number;
  readonly fastcdc: FastCdcParameters;
  readonly fixedBlockBytes: number;
}

/** What a caller may choose. */
export interface RepositoryChoices {
  readonly hash?: HashName;
  readonly compression?: 'zstd' | 'none';
  readonly level?: number;
  readonly chunker?: { readonly min: number; readonly avg: number; readonly max: number };
  readonly fixedBlockBytes?: number;
}

/** zstd's own default; on groups of 1 MiB it is the best trade between a core's time and the store's size. */
const LEVEL_DEFAULT = 3;
const LEVEL_MAX = 19;
const hashes: readonly HashName[] = ['blake3', 'sha256'];
const compressions: readonly RepositoryConfig['compression'][] = ['zstd', 'none'];
const FIXED_BLOCK_BYTES_DEFAULT = 32_768;

/** Fills in the defaults. @throws {UsageError} when a choice is not allowed. */
export function makeConfig(world: World, choices: RepositoryChoices): RepositoryConfig {
  const { chunker, compression = 'zstd' } = choices;
  const fastcdc: FastCdcParameters = chunker === undefined
    ? defaultFastCdc
    : { algorithm: 'fastcdc', minBytes: chunker.min, averageBytes: chunker.avg, maxBytes: chunker.max };
  const fixedBlockBytes = choices.fixedBlockBytes ?? FIXED_BLOCK_BYTES_DEFAULT;
  const { hash = 'blake3', level = LEVEL_DEFAULT } = choices;
  if (!hashes.includes(hash)) throw new UsageError(`Choose a hash of '${hashes.join("', '")}': found '${hash}'`);
  if (!compressions.includes(compression)) throw new UsageError(`Choose a compression of '${compressions.join("', '")}': found '${compression}'`);
  if (!Number.isInteger(level) || level < 1 || level > LEVEL_MAX) throw new UsageError(`Choose a zstd level of 1…${LEVEL_MAX}: found '${level}'`);
  checkChunkerParameters(fastcdc);
  checkChunkerParameters({ algorithm: 'fixed', blockBytes: fixedBlockBytes });
  return {
    id: Buffer.from(world.randomBytes(32)).toString('hex'), version: REPOSITORY_VERSION, created: world.now(),
    hash, compression, level: compression === 'none' ? 0 : level, fastcdc, fixedBlockBytes,
  };
}

/** Writes the config: with it the repository exists. @throws {BusyError} when there is one. */
export async function writeConfig(world: World, config: RepositoryConfig): Promise<void> {
  const body = `${FIRST_LINE} ${config.version}\n${JSON.stringify({ ...config, features: [] })}\n`;
  const bytes = utf8(`${body}${createHash('sha256').update(body).digest('hex')}\n`);
  await createOnce(world, 'config', bytes);
}

async function readBytes(world: World): Promise<Uint8Array> {
  const file = await world.disk.open('config', 'read');
  try {
    // A config is a few hundred bytes; anything else named so is not ours.
    const bytes = new Uint8Array(Math.min(file.size, 65_536));
    await file.readInto(0, bytes);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Whether this is a repository; never throws for bad content. */
export async function probeConfig(world: World): Promise<ProbeVerdict> {
  if (!(await world.disk.exists('config'))) return { match: 'no' };
  try {
    const text = textOf(await readBytes(world));
    if (!text.startsWith(FIRST_LINE)) return { match: 'no' };
    return { match: 'yes', version: text.slice(FIRST_LINE.length + 1, text.indexOf('\n')) };
  } catch {
    return { match: 'no' };
  }
}

/**
 * Reads the config.
 * @throws {NotFoundError} no repository. @throws {UnsupportedError} a newer layout. @throws {IntegrityError} damaged.
 */
export async function readConfig(world: World): Promise<RepositoryConfig> {
  const bytes = await readBytes(world).catch((error: unknown) => {
    throw error instanceof NotFoundError ? new NotFoundError('Open repository: there is none here (no file \'config\')', {}, error) : error;
  });
  const text = textOf(bytes);
  if (!text.startsWith(`${FIRST_LINE} `)) {
    throw new FormatError('Open repository', { structure: 'config', field: 'first line', found: text.slice(0, 32).split('\n')[0] ?? '', expected: `${FIRST_LINE} ${REPOSITORY_VERSION}` });
  }
  const [first = '', json = '', digest = ''] = text.split('\n');
  if (first !== `${FIRST_LINE} ${REPOSITORY_VERSION}`) {
    throw new UnsupportedError(`Open repository: its layout is '${first.slice(FIRST_LINE.length + 1)}', this build knows '${REPOSITORY_VERSION}': use a newer holdfast`);
  }
  if (createHash('sha256').update(`${first}\n${json}\n`).digest('hex') !== digest) {
    throw new IntegrityError('Open repository: the file \'config\' does not match its digest');
  }
  const config = JSON.parse(json) as RepositoryConfig & { readonly features?: readonly string[] };
  const { features = [], ...known } = config;
  if (!hashes.includes(known.hash)) throw new UnsupportedError(`Open repository: its chunk ids are '${String(known.hash)}', this build knows '${hashes.join("', '")}'`);
  if (features.length > 0) throw new UnsupportedError(`Open repository: it uses the features '${features.join(', ')}', which this build does not know: use a newer holdfast`);
  return known;
}

/** Makes the directories of a new repository. @throws {BusyError} when the place is not empty. */
export async function layOut(world: World): Promise<void> {
  const { disk } = world;
  const present = await disk.list('');
  if (present.some((entry) => entry.name === 'config')) throw new BusyError('Create repository: there is one already');
  const strange = present.find((entry) => !['containers', 'manifests', 'temporary', 'locks', 'cache', 'index'].includes(entry.name));
  if (strange !== undefined) throw new BusyError(`Create repository: the directory is not empty, it has '${strange.name}'`);
  for (const directory of ['', 'containers', 'manifests', 'temporary', 'locks', 'cache', 'index']) await disk.makeDirectory(directory);
  // All at once, so that sealing a container syncs one directory and not two.
  for (let prefix = 0; prefix < 256; prefix += 1) await disk.makeDirectory(`containers/${prefix.toString(16).padStart(2, '0')}`);
  await disk.syncDirectory('containers');
}
