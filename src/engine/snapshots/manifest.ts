/**
 * Manifests: the only commit point. A snapshot exists when the object `manifests/<id>` does; its id is that of the session that made it, so that a
 * fence under the same name ends the session for good. Layout: `docs/formats/manifest.md`.
 */
import {
  BusyError, FormatError, HoldfastError, IntegrityError, NotFoundError, UnsupportedError, UsageError, checkLimit, inParallel, readObject,
  type Limits, type ObjectStore, type World,
} from '../../core/index.ts';
import { decodeDocument, documentKind, encodeDocument, type DocumentKind } from '../objects/index.ts';
import { decodeEntries, type Entry } from './entry.ts';

const MANIFEST: DocumentKind = { kind: 'manifest', version: 1 };
const FENCE: DocumentKind = { kind: 'fence', version: 1 };
/** Manifests asked for together: in a bucket each costs milliseconds. */
const READS_AT_ONCE = 8;
const TOMBSTONE: DocumentKind = { kind: 'tombstone', version: 1 };

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
  /** 64 hexadecimal digits, random. */
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
  readonly id: string;
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
 * @throws {BusyError} the session was fenced: nothing was committed.
 */
export async function writeManifest(objects: ObjectStore, info: SnapshotInfo, root: Uint8Array): Promise<void> {
  const body: Body = {
    id: info.id, features: [], time: info.time, host: info.host, sources: info.sources, tags: info.tags,
    ...(info.parent === undefined ? {} : { parent: info.parent }),
    counts: info.counts, parameters: info.parameters, root: Buffer.from(root).toString('base64'),
  };
  try {
    await objects.put(`manifests/${info.id}`, encodeDocument(MANIFEST, body));
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    throw new BusyError(`Commit snapshot '${info.id.slice(0, 12)}': a collector took this backup for dead and ended it; nothing was committed, start it again`);
  }
}

/** Puts a fence where a session's manifest would go. @throws {BusyError} when there is a manifest or a fence. */
export async function writeFence(world: World, objects: ObjectStore, id: string): Promise<void> {
  await objects.put(`manifests/${id}`, encodeDocument(FENCE, { id, time: world.now() }));
}

function checkBody(id: string, body: Body): Body {
  const fault = (field: string, found: string, expected: string): FormatError =>
    new FormatError(`Read manifest '${id}'`, { structure: 'manifest', field, found, expected });
  if (!Array.isArray(body.features) || body.features.length > 0) {
    throw new UnsupportedError(`Read manifest '${id}': it uses the features '${String(body.features)}', this build knows none: use a newer holdfast`);
  }
  if (body.id !== id) throw new IntegrityError(`Read manifest '${id}': it is the manifest of '${String(body.id)}'`, { snapshot: id });
  for (const [field, good] of [
    ['time', Number.isFinite(body.time)], ['host', typeof body.host === 'string'], ['sources', Array.isArray(body.sources)],
    ['tags', Array.isArray(body.tags)], ['counts', typeof body.counts === 'object' && body.counts !== null],
    ['parameters', typeof body.parameters === 'object' && body.parameters !== null], ['root', typeof body.root === 'string'],
  ] as const) {
    if (!good) throw fault(field, 'another type', 'as documented');
  }
  return body;
}

function parseManifest(id: string, bytes: Uint8Array, limits: Limits): Manifest {
  const body = checkBody(id, decodeDocument(bytes, MANIFEST, `Read manifest '${id}'`) as unknown as Body);
  const [root, ...more] = decodeEntries(new Uint8Array(Buffer.from(body.root, 'base64')), limits);
  if (root === undefined || more.length > 0 || root.stat.type !== 'directory') {
    throw new FormatError(`Read manifest '${id}'`, { structure: 'manifest', field: 'root', found: `${more.length + 1} entries`, expected: 'one directory' });
  }
  const { time, host, sources, tags, counts, parameters } = body;
  return { id, time, host, sources, tags, counts, parameters, root, ...(body.parent === undefined ? {} : { parent: body.parent }) };
}

async function readOrFence(objects: ObjectStore, id: string, limits: Limits): Promise<Manifest | undefined> {
  const bytes = await readObject(objects, `manifests/${id}`, (size) => { checkLimit(limits, 'manifestBytesMax', size, `manifest '${id}'`); });
  return documentKind(bytes)?.kind === FENCE.kind ? undefined : parseManifest(id, bytes, limits);
}

/**
 * Reads and checks one manifest.
 * @throws {NotFoundError} @throws {IntegrityError} its bytes do not match its digest. @throws {UnsupportedError} @throws {FormatError}
 */
export async function readManifest(objects: ObjectStore, id: string, limits: Limits): Promise<Manifest> {
  const missing = (cause?: unknown): NotFoundError => new NotFoundError(`Open snapshot '${id}': no such manifest`, { snapshot: id }, cause);
  const manifest = await readOrFence(objects, id, limits).catch((error: unknown) => {
    throw error instanceof NotFoundError ? missing(error) : error;
  });
  if (manifest === undefined) throw missing();
  return manifest;
}

async function namesBelow(objects: ObjectStore, directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const page of objects.list(directory)) {
    for (const { name } of page) {
      const id = name.slice(directory.length + 1);
      if (/^[0-9a-f]{64}$/.test(id)) found.push(id);
    }
  }
  return found;
}

/** Takes a snapshot out of sight: a collector may remove it. Durable when it resolves; resolves too when that was said before. */
export async function writeTombstone(world: World, objects: ObjectStore, id: string): Promise<void> {
  const name = `tombstones/${id}`;
  try {
    await objects.put(name, encodeDocument(TOMBSTONE, { id, time: world.now() }));
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    await objects.settle([name]); // who said it may have been killed before it was durable
  }
}

/** Checks a tombstone; its name says all that counts. @throws {NotFoundError} @throws {IntegrityError} @throws {FormatError} */
export async function readTombstone(objects: ObjectStore, id: string, limits: Limits): Promise<void> {
  const what = `Read tombstone '${id}'`;
  const bytes = await readObject(objects, `tombstones/${id}`, (size) => { checkLimit(limits, 'manifestBytesMax', size, `tombstone '${id}'`); });
  const body = decodeDocument(bytes, TOMBSTONE, what);
  if (body['id'] !== id) throw new IntegrityError(`${what}: it is the tombstone of '${String(body['id'])}'`);
}

/** Ids of snapshots that were forgotten and not yet removed, in ascending order. */
export function listTombstones(objects: ObjectStore): Promise<readonly string[]> {
  return namesBelow(objects, 'tombstones');
}

/** Ids of all manifests that were not forgotten, in ascending order; fences are among them. */
export async function listManifests(objects: ObjectStore): Promise<readonly string[]> {
  // Manifests first: one that is forgotten in between is at worst listed once more.
  const ids = await namesBelow(objects, 'manifests');
  const forgotten = new Set(await listTombstones(objects));
  return ids.filter((id) => !forgotten.has(id));
}

/** Told of each manifest that can't be used, and why. */
export type DamagedManifest = (id: string, error: HoldfastError) => void;

/**
 * All manifests that can be used, in ascending order of ids; one that was removed meanwhile is not there.
 * @throws what reading one throws, when there is no `onDamaged`.
 */
export async function readManifests(objects: ObjectStore, limits: Limits, onDamaged?: DamagedManifest): Promise<readonly Manifest[]> {
  const ids = await listManifests(objects);
  const manifests: (Manifest | undefined)[] = [];
  const damaged = new Map<string, HoldfastError>();
  await inParallel(ids, READS_AT_ONCE, async (id, i) => {
    try {
      manifests[i] = await readOrFence(objects, id, limits);
    } catch (error) {
      if (error instanceof NotFoundError) return;
      if (onDamaged === undefined || !(error instanceof HoldfastError) || error.code === 'TOOL') throw error;
      damaged.set(id, error);
    }
  });
  for (const id of ids) {
    const error = damaged.get(id);
    if (error !== undefined) onDamaged?.(id, error);
  }
  return manifests.filter((manifest) => manifest !== undefined);
}

/**
 * Finds the snapshot that `text` names: `latest`, an id or a unique prefix of at least one digit.
 * @throws {NotFoundError} @throws {UsageError} when several begin so.
 */
export async function resolveManifest(objects: ObjectStore, text: string, limits: Limits, onDamaged?: DamagedManifest): Promise<Manifest> {
  if (text === 'latest') {
    const manifests = await readManifests(objects, limits, onDamaged);
    if (manifests.length === 0) throw new NotFoundError("Find snapshot 'latest': the repository has no snapshot that can be used");
    return manifests.reduce((a, b) => (b.time > a.time ? b : a)); // by the writers' clocks
  }
  const ids = await listManifests(objects);
  const matches = /^[0-9a-f]+$/.test(text) ? ids.filter((id) => id.startsWith(text)) : [];
  if (matches.length > 1) throw new UsageError(`Find snapshot '${text}': ${matches.length} ids begin with it`);
  const [id] = matches;
  if (id === undefined) throw new NotFoundError(`Find snapshot '${text}': the repository has no such snapshot`, { snapshot: text });
  return readManifest(objects, id, limits);
}
