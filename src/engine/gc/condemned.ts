/**
 * Lists of containers that are to go, as create-once objects. `condemned/<n>` is generation n: written in the knowledge of all lists before it, since of two
 * collectors that want the same number one loses and starts again. `reprieved/<n>` says that list n was decided, and which of its containers stay after all.
 * Chunks of a listed container whose good copy is elsewhere have a row in a `relocated/` object, for indexes that know only the listed place.
 * Layout: `docs/formats/condemned.md`.
 */
import { createHash } from 'node:crypto';
import { FormatError, ID_BYTES, IntegrityError, PLACE_BYTES, checkLimit, readObject, type IdBatch, type Limits, type ObjectStore, type World } from '../../core/index.ts';
import { numberOf, type ContainerNumber } from '../containers/container.ts';
import { decodeDocument, encodeDocument, type DocumentKind } from '../objects/index.ts';

const CONDEMNED: DocumentKind = { kind: 'condemned', version: 1 };
const REPRIEVED: DocumentKind = { kind: 'reprieved', version: 1 };
const RELOCATED_NAME = /^relocated\/[0-9]{8}-[0-9a-f]{16}$/;

/** Bytes of one relocation: id, then place. */
export const RELOCATION_BYTES: number = ID_BYTES + PLACE_BYTES;
/** Rows of one `relocated/` object. */
const RELOCATIONS_MAX = 65_536;

/** Chunks and where else they are; both hold `ids.count` rows. */
export interface Relocations {
  readonly ids: IdBatch;
  readonly places: Uint8Array;
}

/** One list. */
export interface CondemnedList {
  readonly generation: number;
  readonly containers: readonly ContainerNumber[];
  /** Names and digests of its `relocated/` objects. */
  readonly relocated: readonly { readonly name: string; readonly sha256: string }[];
  /** Only in lists of a repair: whether chunks of these containers are lost, so that nobody may take them for stored. */
  readonly lost?: boolean;
}

function nameOf(directory: 'condemned' | 'reprieved', generation: number): string {
  return `${directory}/${String(generation).padStart(8, '0')}`;
}

/** Generations that have a list, in ascending order. */
export async function listGenerations(objects: ObjectStore, directory: 'condemned' | 'reprieved'): Promise<readonly number[]> {
  const found: number[] = [];
  for await (const page of objects.list(directory)) {
    for (const { name } of page) {
      const match = /\/([0-9]{8})$/.exec(name);
      if (match !== null) found.push(Number(match[1]));
    }
  }
  return found;
}

function parseContainers(value: unknown, what: string): readonly ContainerNumber[] {
  if (!Array.isArray(value)) throw new FormatError(what, { structure: 'condemned', field: 'containers', found: typeof value, expected: 'a list' });
  return value.map((text: unknown) => {
    const match = typeof text === 'string' ? /^([0-9a-f]{8})([0-9a-f]{8})$/.exec(text) : null;
    if (match === null) throw new FormatError(what, { structure: 'condemned', field: 'containers', found: String(text), expected: '16 hexadecimal digits' });
    return numberOf(parseInt(match[1] ?? '', 16), parseInt(match[2] ?? '', 16));
  });
}

async function readList(objects: ObjectStore, kind: DocumentKind, generation: number, limits: Limits): Promise<Readonly<Record<string, unknown>>> {
  const name = nameOf(kind.kind === 'condemned' ? 'condemned' : 'reprieved', generation);
  const bytes = await readObject(objects, name, (size) => { checkLimit(limits, 'condemnedBytesMax', size, `object '${name}'`); });
  const body = decodeDocument(bytes, kind, `Read object '${name}'`);
  if (body['generation'] !== generation) throw new IntegrityError(`Read object '${name}': it says that it is generation '${String(body['generation'])}'`);
  return body;
}

/** @throws {NotFoundError} @throws {IntegrityError} and others: a list that can't be read must stop whoever would store or delete. */
export async function readCondemned(objects: ObjectStore, generation: number, limits: Limits): Promise<CondemnedList> {
  const what = `Read object '${nameOf('condemned', generation)}'`;
  const body = await readList(objects, CONDEMNED, generation, limits);
  const { relocated } = body;
  if (!Array.isArray(relocated)) throw new FormatError(what, { structure: 'condemned', field: 'relocated', found: typeof relocated, expected: 'a list' });
  for (const row of relocated as { name?: unknown; sha256?: unknown }[]) {
    if (typeof row.name !== 'string' || !RELOCATED_NAME.test(row.name) || typeof row.sha256 !== 'string') {
      throw new FormatError(what, { structure: 'condemned', field: 'relocated', found: String(row.name), expected: 'a name and a digest' });
    }
  }
  const { lost } = body;
  if (lost !== undefined && typeof lost !== 'boolean') throw new FormatError(what, { structure: 'condemned', field: 'lost', found: typeof lost, expected: 'true or false' });
  return { generation, containers: parseContainers(body['containers'], what), relocated: relocated as CondemnedList['relocated'], ...(lost === undefined ? {} : { lost }) };
}

/** Which containers of list n stay. @throws {NotFoundError} it is not decided yet. */
export async function readReprieved(objects: ObjectStore, generation: number, limits: Limits): Promise<readonly ContainerNumber[]> {
  return parseContainers((await readList(objects, REPRIEVED, generation, limits))['containers'], `Read object '${nameOf('reprieved', generation)}'`);
}

/** Relocations of one object. */
export async function readRelocations(objects: ObjectStore, row: CondemnedList['relocated'][number]): Promise<Relocations> {
  const bytes = await readObject(objects, row.name, (size) => {
    if (size % RELOCATION_BYTES !== 0 || size > RELOCATIONS_MAX * RELOCATION_BYTES) {
      throw new FormatError(`Read object '${row.name}'`, { structure: 'relocated', field: 'size', found: size, expected: `rows of ${RELOCATION_BYTES} bytes` });
    }
  });
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (digest !== row.sha256) throw new IntegrityError(`Read object '${row.name}': its bytes have digest '${digest}', the list says '${row.sha256}'`);
  const count = bytes.length / RELOCATION_BYTES;
  const ids = new Uint8Array(count * ID_BYTES);
  const places = new Uint8Array(count * PLACE_BYTES);
  for (let i = 0; i < count; i += 1) {
    ids.set(bytes.subarray(i * RELOCATION_BYTES, i * RELOCATION_BYTES + ID_BYTES), i * ID_BYTES);
    places.set(bytes.subarray(i * RELOCATION_BYTES + ID_BYTES, (i + 1) * RELOCATION_BYTES), i * PLACE_BYTES);
  }
  return { ids: { bytes: ids, count }, places };
}

/**
 * Writes list `generation`; its relocations come first, so that who sees the list can read them.
 * @throws {BusyError} another collector wrote that list.
 */
export async function writeCondemned(
  world: World, objects: ObjectStore, list: Omit<CondemnedList, 'relocated'>, relocations: AsyncIterable<Uint8Array>,
): Promise<void> {
  const relocated: { name: string; sha256: string }[] = [];
  for await (const rows of relocations) {
    for (let at = 0; at < rows.length; at += RELOCATIONS_MAX * RELOCATION_BYTES) {
      const bytes = rows.subarray(at, at + RELOCATIONS_MAX * RELOCATION_BYTES);
      const name = `relocated/${String(list.generation).padStart(8, '0')}-${Buffer.from(world.randomBytes(8)).toString('hex')}`;
      await objects.put(name, bytes);
      relocated.push({ name, sha256: createHash('sha256').update(bytes).digest('hex') });
    }
  }
  const body = { generation: list.generation, containers: list.containers.map(({ text }) => text), relocated, ...(list.lost === undefined ? {} : { lost: list.lost }) };
  await objects.put(nameOf('condemned', list.generation), encodeDocument(CONDEMNED, body));
}

/** Removes `relocated/` objects of lists that are known and do not name them: their writers were killed, or another collector put that list first. */
export async function removeStrays(objects: ObjectStore, lists: ReadonlyMap<number, CondemnedList>): Promise<void> {
  const strays: string[] = [];
  for await (const page of objects.list('relocated')) {
    for (const { name } of page) {
      const list = RELOCATED_NAME.test(name) ? lists.get(Number(name.slice('relocated/'.length, 'relocated/'.length + 8))) : undefined;
      if (list !== undefined && !list.relocated.some((row) => row.name === name)) strays.push(name);
    }
  }
  for (const name of strays) await objects.remove(name);
}

/**
 * Says that list `generation` is decided. The list is made durable first, for its writer may have been killed before it was: without it the decision would stand
 * for the next list of that number. @throws {BusyError} another collector decided it.
 */
export async function writeReprieved(objects: ObjectStore, generation: number, containers: readonly ContainerNumber[]): Promise<void> {
  await objects.settle([nameOf('condemned', generation)]);
  await objects.put(nameOf('reprieved', generation), encodeDocument(REPRIEVED, { generation, containers: containers.map(({ text }) => text) }));
}
