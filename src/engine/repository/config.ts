/** The `config` object: what a repository is, written once when it is made. Layout: `docs/formats/config.md`. */
import {
  BusyError, NotFoundError, UnsupportedError, UsageError, readObject, type ObjectStore, type ProbeVerdict, type World,
} from '../../core/index.ts';
import { checkChunkerParameters, defaultFastCdc, type FastCdcParameters } from '../chunking/index.ts';
import type { HashName } from '../hashing/hasher.ts';
import { checkCipher, type CipherName, type SlotRequest } from '../crypto/index.ts';
import { SCRATCH_DIRECTORY, cacheDirectories, decodeDocument, documentKind, encodeDocument, type DocumentKind } from '../objects/index.ts';

/** Version of the repository's layout that this build writes and reads. */
export const REPOSITORY_VERSION = 1;
const REPOSITORY: DocumentKind = { kind: 'repository', version: REPOSITORY_VERSION };
/** A config is a few hundred bytes; anything larger named so is not ours. */
const CONFIG_BYTES_MAX = 65_536;

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
  /** Whether everything is encrypted, and the cipher of the first data key; later ones may have another. */
  readonly encryption: CipherName | 'none';
  /** Percent of parity that containers get; absent or 0: none. Readers need not know it. */
  readonly parity?: number;
}

/** What a caller may choose. */
export interface RepositoryChoices {
  readonly hash?: HashName;
  readonly compression?: 'zstd' | 'none';
  readonly level?: number;
  readonly chunker?: { readonly min: number; readonly avg: number; readonly max: number };
  readonly fixedBlockBytes?: number;
  /** Encrypts the repository; each slot opens it. */
  readonly encryption?: { readonly cipher?: CipherName; readonly slots: readonly SlotRequest[] };
  /** Percent of each container that parity can heal, 0…100; default 0. Small objects always have parity. */
  readonly parity?: number;
}

/** A feature of this layout that older builds would misread. */
const ENCRYPTION = 'encryption';
/** AES is in the instructions of nearly all processors. */
const CIPHER_DEFAULT: CipherName = 'aes-256-gcm';

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
  const { hash = 'blake3', level = LEVEL_DEFAULT, encryption } = choices;
  if (!hashes.includes(hash)) throw new UsageError(`Choose a hash of '${hashes.join("', '")}': found '${hash}'`);
  if (!compressions.includes(compression)) throw new UsageError(`Choose a compression of '${compressions.join("', '")}': found '${compression}'`);
  if (!Number.isInteger(level) || level < 1 || level > LEVEL_MAX) throw new UsageError(`Choose a zstd level of 1…${LEVEL_MAX}: found '${level}'`);
  if (encryption?.slots.length === 0) throw new UsageError('Give a key or passphrase that opens the encrypted repository');
  const { parity = 0 } = choices;
  if (!(parity >= 0 && parity <= 100)) throw new UsageError(`Choose parity of 0…100 percent: found '${parity}'`);
  checkChunkerParameters(fastcdc);
  checkChunkerParameters({ algorithm: 'fixed', blockBytes: fixedBlockBytes });
  return {
    id: Buffer.from(world.randomBytes(32)).toString('hex'), version: REPOSITORY_VERSION, created: world.now(),
    hash, compression, level: compression === 'none' ? 0 : level, fastcdc, fixedBlockBytes,
    encryption: encryption === undefined ? 'none' : checkCipher(encryption.cipher ?? CIPHER_DEFAULT), ...(parity === 0 ? {} : { parity }),
  };
}

/** Writes the config: with it the repository exists. @throws {BusyError} when there is one. */
export async function writeConfig(objects: ObjectStore, config: RepositoryConfig): Promise<void> {
  await objects.put('config', encodeDocument(REPOSITORY, { ...config, features: config.encryption === 'none' ? [] : [ENCRYPTION] })).catch((error: unknown) => {
    throw error instanceof BusyError ? new BusyError(`Create repository in '${objects.place}': there is one already`) : error;
  });
}

function readBytes(objects: ObjectStore): Promise<Uint8Array> {
  return readObject(objects, 'config', (size) => {
    if (size > CONFIG_BYTES_MAX) throw new UnsupportedError(`Open repository in '${objects.place}': its 'config' has '${size}' bytes, at most '${CONFIG_BYTES_MAX}' are expected`);
  });
}

/** Whether this is a repository; never throws for bad content. */
export async function probeConfig(objects: ObjectStore): Promise<ProbeVerdict> {
  try {
    const kind = documentKind(await readBytes(objects));
    return kind?.kind === REPOSITORY.kind ? { match: 'yes', version: String(kind.version) } : { match: 'no' };
  } catch {
    return { match: 'no' };
  }
}

/**
 * Reads the config.
 * @throws {NotFoundError} no repository. @throws {UnsupportedError} a newer layout. @throws {IntegrityError} damaged.
 */
export async function readConfig(objects: ObjectStore): Promise<RepositoryConfig> {
  const what = `Open repository in '${objects.place}'`;
  const bytes = await readBytes(objects).catch((error: unknown) => {
    throw error instanceof NotFoundError ? new NotFoundError(`${what}: there is none (no object 'config')`, {}, error) : error;
  });
  const { features = [], encryption = 'none', ...known } = decodeDocument(bytes, REPOSITORY, what) as unknown as RepositoryConfig & { readonly features?: readonly string[] };
  if (!hashes.includes(known.hash)) throw new UnsupportedError(`${what}: its chunk ids are '${String(known.hash)}', this build knows '${hashes.join("', '")}'`);
  const strange = features.filter((feature) => feature !== ENCRYPTION);
  if (strange.length > 0) throw new UnsupportedError(`${what}: it uses the features '${strange.join(', ')}', which this build does not know: use a newer holdfast`);
  if (features.includes(ENCRYPTION) !== (encryption !== 'none')) throw new UnsupportedError(`${what}: its features are '${features.join(', ')}', and its encryption is '${String(encryption)}'`);
  return { ...known, encryption };
}

/** Names that a repository has at its top. */
const topNames: readonly string[] = ['containers', 'manifests', 'sessions', 'tombstones', 'condemned', 'reprieved', 'relocated', 'parity', 'keys', 'quarantine', ...cacheDirectories];

/** What may be in a bucket before there is a repository: what a creation left that was cut off, and scratch objects. */
const earlyNames: readonly string[] = ['keys', 'parity', SCRATCH_DIRECTORY];

/** Makes sure that a store that is not a directory of this host has nothing that a new repository would mix with. @throws {BusyError} */
export async function checkEmpty(objects: ObjectStore): Promise<void> {
  for await (const page of objects.list('')) {
    const strange = page.find(({ name }) => !earlyNames.includes(name.split('/')[0] ?? ''));
    if (strange?.name === 'config') throw new BusyError(`Create repository in '${objects.place}': there is one already`);
    if (strange !== undefined) throw new BusyError(`Create repository in '${objects.place}': the place is not empty, it has '${strange.name}'`);
  }
}

/** Makes the directories of a new local repository. @throws {BusyError} when the place is not empty. */
export async function layOut(world: World, objects: ObjectStore): Promise<void> {
  const { disk } = world;
  const present = await disk.list('');
  if (present.some((entry) => entry.name === 'config')) throw new BusyError(`Create repository in '${objects.place}': there is one already`);
  const strange = present.find((entry) => !topNames.includes(entry.name));
  if (strange !== undefined) throw new BusyError(`Create repository in '${objects.place}': the directory is not empty, it has '${strange.name}'`);
  for (const directory of ['', 'containers', 'manifests', 'sessions', ...cacheDirectories]) await disk.makeDirectory(directory);
  // All at once, so that sealing a container syncs one directory and not two.
  for (let prefix = 0; prefix < 256; prefix += 1) await disk.makeDirectory(`containers/${prefix.toString(16).padStart(2, '0')}`);
  await disk.syncDirectory('containers');
  await disk.syncDirectory('');
}
