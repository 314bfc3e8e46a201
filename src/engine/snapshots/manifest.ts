/**
 * Manifests: the only commit point. A snapshot exists when `manifests/<id>` exists, and `id` is the digest of that file's bytes,
 * so a manifest can neither be changed nor be taken for another. Layout: `docs/formats/manifest.md`.
 */
import { createHash } from 'node:crypto';
import {
  FormatError, HoldfastError, IntegrityError, NotFoundError, UnsupportedError, UsageError, checkLimit, textOf, utf8,
  type Limits, type World,
} from '../../core/index.ts';
import { createOnce } from '../world/create-once.ts';
import { decodeEntries, type Entry } from './entry.ts';

/** Version of the manifest's body that this build writes and reads. */
export const MANIFEST_VERSION = 1;
const FIRST_LINE = 'holdfast manifest 1\n';

/** Counts of a backup, all in bytes or items. */
export interface SnapshotCounts {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Bytes of file content, holes included. */
  readonly bytes: number;
  readonly bytesNew: number;
  readonly bytesStored: number;
  readonly chunks: number;
  readonly chunksNew: number;
  /** Entries that could not be stored as they should; each was reported when the snapshot was made. */
  readonly problems: number;
}

/** What a manifest says about its snapshot. */
export interface SnapshotInfo {
  /** 64 hexadecimal digits: SHA-256 of the manifest. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly host: string;
  readonly sources: readonly string[];
  readonly tags: readonly string[];
  readonly parent?: string;
  readonly counts: SnapshotCounts;
  /** Parameters its data was cut with: frozen with the dataset. */
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** A manifest with its root directory. */
export interface Manifest extends SnapshotInfo {
  readonly root: Entry;
}

interface Body {
  readonly version: number;
  readonly features: readonly string[];
  readonly time: number;
  readonly host: string;
  readonly sources: readonly string[];
  readonly tags: readonly string[];
  readonly parent?: string;
  readonly counts: SnapshotCounts;
  readonly parameters: Readonly<Record<string, string | number>>;
  /** The root's directory entry, base64. */
  readonly root: string;
}

/**
 * Commits a snapshot: after it resolves, the snapshot survives a crash. All chunks must be durable before.
 * @returns its id.
 */
export async function writeManifest(world: World, info: Omit<SnapshotInfo, 'id'>, root: Uint8Array): Promise<string> {
  const body: Body = {
    version: MANIFEST_VERSION, features: [], time: info.time, host: info.host, sources: info.sources, tags: info.tags,
    ...(info.parent === undefined ? {} : { parent: info.parent }),
    counts: info.counts, parameters: info.parameters, root: Buffer.from(root).toString('base64'),
  };
  const bytes = utf8(`${FIRST_LINE}${JSON.stringify(body)}\n`);
  const id = createHash('sha256').update(bytes).digest('hex');
  await createOnce(world, `manifests/${id}`, bytes);
  return id;
}

function parseBody(id: string, text: string): Body {
  const fault = (field: string, found: string, expected: string): FormatError =>
    new FormatError(`Read manifest '${id}'`, { structure: 'manifest', field, found, expected });
  if (!text.startsWith('holdfast manifest ')) throw fault('first line', text.slice(0, 20), FIRST_LINE.trim());
  if (!text.startsWith(FIRST_LINE)) throw new UnsupportedError(`Read manifest '${id}': its first line is '${text.slice(0, text.indexOf('\n'))}', this build knows '${FIRST_LINE.trim()}'`);
  let body: Body;
  try {
    body = JSON.parse(text.slice(FIRST_LINE.length)) as Body;
  } catch (error) {
    throw new FormatError(`Read manifest '${id}'`, { structure: 'manifest', field: 'body', found: 'no JSON', expected: 'JSON' }, error);
  }
  if (typeof body !== 'object' || body === null) throw fault('body', String(body), 'an object');
  if (body.version !== MANIFEST_VERSION || !Array.isArray(body.features) || body.features.length > 0) {
    throw new UnsupportedError(`Read manifest '${id}': version '${body.version}', features '${String(body.features)}'; this build knows version ${MANIFEST_VERSION} without features`);
  }
  for (const [field, good] of [
    ['time', Number.isFinite(body.time)], ['host', typeof body.host === 'string'], ['sources', Array.isArray(body.sources)],
    ['tags', Array.isArray(body.tags)], ['counts', typeof body.counts === 'object' && body.counts !== null], ['root', typeof body.root === 'string'],
  ] as const) {
    if (!good) throw fault(field, 'another type', 'as documented');
  }
  return body;
}

/**
 * Reads and checks one manifest.
 * @throws {NotFoundError} @throws {IntegrityError} its bytes do not have its id. @throws {UnsupportedError} @throws {FormatError}
 */
export async function readManifest(world: World, id: string, limits: Limits): Promise<Manifest> {
  const file = await world.disk.open(`manifests/${id}`, 'read').catch((error: unknown) => {
    throw error instanceof NotFoundError ? new NotFoundError(`Open snapshot '${id}': no such manifest`, { snapshot: id }, error) : error;
  });
  try {
    checkLimit(limits, 'manifestBytesMax', file.size, `manifest '${id}'`);
    const bytes = new Uint8Array(file.size);
    await file.readInto(0, bytes);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest !== id) throw new IntegrityError(`Read manifest '${id}': its bytes have digest '${digest}'`, { snapshot: id });
    const body = parseBody(id, textOf(bytes));
    const [root, ...more] = decodeEntries(new Uint8Array(Buffer.from(body.root, 'base64')), limits);
    if (root === undefined || more.length > 0 || root.stat.type !== 'directory') {
      throw new FormatError(`Read manifest '${id}'`, { structure: 'manifest', field: 'root', found: `${more.length + 1} entries`, expected: 'one directory' });
    }
    const { time, host, sources, tags, counts, parameters } = body;
    return { id, time, host, sources, tags, counts, parameters, root, ...(body.parent === undefined ? {} : { parent: body.parent }) };
  } finally {
    await file.close();
  }
}

/** Ids of all manifests, in ascending order. */
export async function listManifests(world: World): Promise<readonly string[]> {
  return (await world.disk.list('manifests')).filter((file) => /^[0-9a-f]{64}$/.test(file.name)).map((file) => file.name);
}

/** Told of each manifest that can't be used, and why. */
export type DamagedManifest = (id: string, error: HoldfastError) => void;

/**
 * All manifests that can be used, in ascending order of ids; one that was removed meanwhile is not there.
 * @throws what reading one throws, when there is no `onDamaged`.
 */
export async function readManifests(world: World, limits: Limits, onDamaged?: DamagedManifest): Promise<readonly Manifest[]> {
  const manifests: Manifest[] = [];
  for (const id of await listManifests(world)) {
    try {
      manifests.push(await readManifest(world, id, limits));
    } catch (error) {
      if (error instanceof NotFoundError) continue;
      if (onDamaged === undefined || !(error instanceof HoldfastError) || error.code === 'TOOL') throw error;
      onDamaged(id, error);
    }
  }
  return manifests;
}

/**
 * Finds the snapshot that `text` names: `latest`, an id or a unique prefix of at least one digit.
 * @throws {NotFoundError} @throws {UsageError} when several begin so.
 */
export async function resolveManifest(world: World, text: string, limits: Limits, onDamaged?: DamagedManifest): Promise<Manifest> {
  if (text === 'latest') {
    const manifests = await readManifests(world, limits, onDamaged);
    if (manifests.length === 0) throw new NotFoundError("Find snapshot 'latest': the repository has no snapshot that can be used");
    return manifests.reduce((a, b) => (b.time > a.time ? b : a)); // by the writers' clocks
  }
  const ids = await listManifests(world);
  const matches = /^[0-9a-f]+$/.test(text) ? ids.filter((id) => id.startsWith(text)) : [];
  if (matches.length > 1) throw new UsageError(`Find snapshot '${text}': ${matches.length} ids begin with it`);
  const [id] = matches;
  if (id === undefined) throw new NotFoundError(`Find snapshot '${text}': the repository has no such snapshot`, { snapshot: text });
  return readManifest(world, id, limits);
}
