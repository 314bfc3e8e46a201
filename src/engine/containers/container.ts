/**
 * Containers on disk: names, headers, scanning.
 *
 * `containers/ab/ab12….hfc` is named by its random 64-bit number in hexadecimal. It has its name only once it is whole and durable, and is never
 * changed: one without a footer was damaged later.
 */
import { FormatError, LimitError, UnsupportedError, type HoldfastError, type Limits, type ObjectReader, type ObjectStore } from '../../core/index.ts';
import { crc32c } from '../../core/crc32c.ts';
import {
  CONTAINER_MAGIC, CONTAINER_SEALED, CONTAINER_VERSION, TABLE_ROW_BYTES, containerHeader, containerKinds, sealingHeader, type ContainerKind,
} from './container.layout.ts';
import type { FooterRow } from './footer.ts';
import { GROUP_HEADER_BYTES, decodeGroup, decodeGroupHead, decodeTable, type GroupHead, type GroupRecord, type RecordPlace } from './group.ts';

/** The number of a container: 64 random bits as two u32 and as text. */
export interface ContainerNumber {
  readonly high: number;
  readonly low: number;
  /** 16 lower-case hexadecimal digits. */
  readonly text: string;
}

/** From 8 random bytes. */
export function containerNumber(bytes: Uint8Array): ContainerNumber {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return numberOf(view.getUint32(0), view.getUint32(4));
}

/** From its halves, as an index place has them. */
export function numberOf(high: number, low: number): ContainerNumber {
  return { high, low, text: high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0') };
}

/** The number as 8 bytes: what the key of a sealed container is bound to. */
export function numberBytes({ high, low }: ContainerNumber): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, high);
  view.setUint32(4, low);
  return bytes;
}

/** Path of a container below the repository's root. */
export function containerPath(number: ContainerNumber): string {
  return `containers/${number.text.slice(0, 2)}/${number.text}.hfc`;
}

/** Where the key of a sealed container comes from. */
export interface Sealing {
  /** Number of the data key. */
  readonly dataKey: number;
  /** 32 random bytes. */
  readonly salt: Uint8Array;
}

/** Encodes a container's head, with `sealing` that of a sealed one. `repository` is the first 8 bytes of the repository's id. */
export function encodeContainerHeader(number: ContainerNumber, kind: ContainerKind, repository: Uint8Array, sealing?: Sealing): Uint8Array {
  const bytes = containerHeader.encode({
    magic: CONTAINER_MAGIC, version: CONTAINER_VERSION, flags: sealing === undefined ? 0 : CONTAINER_SEALED, numberHigh: number.high, numberLow: number.low,
    repository, kind: containerKinds.indexOf(kind), reserved: 0, headerCrc32c: 0,
  });
  new DataView(bytes.buffer).setUint32(containerHeader.offsets.headerCrc32c, crc32c(bytes.subarray(0, containerHeader.offsets.headerCrc32c)));
  if (sealing === undefined) return bytes;
  const head = sealingHeader.encode({ ...sealing, sealingCrc32c: 0 });
  new DataView(head.buffer).setUint32(sealingHeader.offsets.sealingCrc32c, crc32c(head.subarray(0, sealingHeader.offsets.sealingCrc32c)));
  return new Uint8Array(Buffer.concat([bytes, head]));
}

/**
 * Where the key of a container comes from, whatever its header says: a wrong bit here shows when its groups are opened.
 * @throws {RangeError} it is too short.
 */
export async function readSealing(file: ObjectReader): Promise<Sealing> {
  const bytes = new Uint8Array(sealingHeader.size);
  await file.readInto(containerHeader.size, bytes);
  const { dataKey, salt } = sealingHeader.view(bytes);
  return { dataKey, salt };
}

/** Where the groups of a container should begin, as far as its header can be believed. */
async function firstGroup(file: ObjectReader): Promise<number> {
  if (file.size < containerHeader.size) return file.size;
  const bytes = new Uint8Array(containerHeader.size);
  await file.readInto(0, bytes);
  const isSealed = (containerHeader.view(bytes).flags & CONTAINER_SEALED) !== 0;
  return containerHeader.size + (isSealed ? sealingHeader.size : 0);
}

/**
 * Checks a container's head against its name.
 * @throws {FormatError} wrong bytes or another container's head. @throws {UnsupportedError} a newer version.
 */
export async function readContainerHeader(file: ObjectReader, number: ContainerNumber): Promise<ContainerKind> {
  const fault = (field: string, found: number | string, expected: number | string): FormatError =>
    new FormatError(`Read container '${number.text}'`, { structure: 'container', field, offset: 0, found, expected });
  if (file.size < containerHeader.size) throw fault('size', file.size, `at least ${containerHeader.size}`);
  const bytes = new Uint8Array(containerHeader.size);
  await file.readInto(0, bytes);
  const view = containerHeader.view(bytes);
  if (view.magic !== CONTAINER_MAGIC) throw fault('magic', view.magic, CONTAINER_MAGIC);
  const crc = crc32c(bytes.subarray(0, containerHeader.offsets.headerCrc32c));
  if (view.headerCrc32c !== crc) throw fault('headerCrc32c', view.headerCrc32c, crc);
  if (view.version !== CONTAINER_VERSION || (view.flags & ~CONTAINER_SEALED) !== 0) {
    throw new UnsupportedError(`Read container '${number.text}': version ${view.version}, flags ${view.flags}; this build knows version ${CONTAINER_VERSION}, flags 0 and ${CONTAINER_SEALED}`);
  }
  if (view.numberHigh !== number.high || view.numberLow !== number.low) throw fault('number', numberOf(view.numberHigh, view.numberLow).text, number.text);
  const kind = containerKinds[view.kind];
  if (kind === undefined) throw fault('kind', view.kind, 'a known kind');
  if (view.flags !== 0) await checkSealing(file, number);
  return kind;
}

async function checkSealing(file: ObjectReader, number: ContainerNumber): Promise<void> {
  const structure = { structure: 'sealing', offset: containerHeader.size } as const;
  const bytes = new Uint8Array(Math.max(0, Math.min(sealingHeader.size, file.size - containerHeader.size)));
  await file.readInto(containerHeader.size, bytes);
  const found = sealingHeader.view(bytes, 0, containerHeader.size).sealingCrc32c;
  const crc = crc32c(bytes.subarray(0, sealingHeader.offsets.sealingCrc32c));
  if (found !== crc) throw new FormatError(`Read container '${number.text}'`, { ...structure, field: 'sealingCrc32c', found, expected: crc });
}

/** A container of a listing. */
export interface ContainerRow {
  readonly number: ContainerNumber;
  /** Bytes. */
  readonly size: number;
  /** By the store's clock, milliseconds since 1970. */
  readonly modified: number;
}

/** All containers of a repository, in ascending order of their numbers. An object that is no container is left out. */
export async function listContainers(objects: ObjectStore): Promise<readonly ContainerRow[]> {
  const found: ContainerRow[] = [];
  for await (const page of objects.list('containers')) {
    for (const { name, size, modified } of page) {
      const match = /^containers\/([0-9a-f]{2})\/([0-9a-f]{8})([0-9a-f]{8})\.hfc$/.exec(name);
      const [, directory = '', high = '', low = ''] = match ?? [];
      if (match !== null && high.startsWith(directory)) found.push({ number: numberOf(parseInt(high, 16), parseInt(low, 16)), size, modified });
    }
  }
  return found;
}

/** A sound group found by a scan: its place and its table. */
export interface ScannedGroup {
  readonly offset: number;
  readonly head: GroupHead;
  readonly table: Uint8Array;
}

/**
 * What a scan finds, in order of offsets: sound groups, and places where one should be. `isLast`: no sound group follows, so that the rest
 * may be a tail that a crash tore.
 */
export type Scanned = { readonly group: ScannedGroup } | { readonly offset: number; readonly fault: HoldfastError; readonly isLast: boolean };

const MAGIC_BYTES: Buffer = Buffer.from('HFGR', 'latin1');
const WINDOW_BYTES = 1 << 20;

/** The first sound group at or behind `from`: a record names its own place, so nothing else is taken for one. */
export async function findGroup(file: ObjectReader, number: ContainerNumber, from: number, limits: Limits): Promise<number | undefined> {
  for (let start = from; start < file.size; start += WINDOW_BYTES) {
    // Windows overlap by the magic's length less one.
    const window = Buffer.alloc(Math.min(WINDOW_BYTES + MAGIC_BYTES.length - 1, file.size - start));
    await file.readInto(start, window);
    for (let at = window.indexOf(MAGIC_BYTES); at >= 0; at = window.indexOf(MAGIC_BYTES, at + 1)) {
      try {
        await scanGroup(file, { containerLow: number.low, offset: start + at }, file.size, limits);
        return start + at;
      } catch (error) {
        asFault(error);
      }
    }
  }
  return undefined;
}

async function scanGroup(file: ObjectReader, place: RecordPlace, end: number, limits: Limits): Promise<ScannedGroup> {
  const { offset } = place;
  const headBytes = new Uint8Array(Math.min(GROUP_HEADER_BYTES, end - offset));
  await file.readInto(offset, headBytes);
  const head = decodeGroupHead(headBytes, place, limits);
  if (offset + head.recordLength > end) {
    throw new FormatError('Read group record', { structure: 'group', field: 'storedLength', offset, found: end - offset, expected: head.recordLength });
  }
  const bytes = new Uint8Array(GROUP_HEADER_BYTES + head.count * TABLE_ROW_BYTES);
  await file.readInto(offset, bytes);
  return { offset, head, table: decodeTable(bytes, head, place, limits) };
}

function asFault(error: unknown): HoldfastError {
  if (error instanceof FormatError || error instanceof LimitError) return error;
  throw error;
}

/**
 * Walks a container's groups without their payloads. With the rows of a footer each group stands for itself; without, one is looked for behind
 * the other, and behind a damaged one by its magic number.
 */
export async function* scanGroups(file: ObjectReader, number: ContainerNumber, limits: Limits, rows: readonly FooterRow[] | undefined): AsyncIterable<Scanned> {
  if (rows !== undefined) {
    for (const row of rows) {
      try {
        yield { group: await scanGroup(file, { containerLow: number.low, offset: row.offset }, row.offset + row.length, limits) };
      } catch (error) {
        yield { offset: row.offset, fault: asFault(error), isLast: false };
      }
    }
    return;
  }
  let offset = await firstGroup(file);
  while (offset < file.size) {
    let group: ScannedGroup;
    try {
      group = await scanGroup(file, { containerLow: number.low, offset }, file.size, limits);
    } catch (error) {
      const next = await findGroup(file, number, offset + 1, limits);
      yield { offset, fault: asFault(error), isLast: next === undefined };
      if (next === undefined) return;
      offset = next;
      continue;
    }
    yield { group };
    offset += group.head.recordLength;
  }
}

/**
 * Reads one whole record into a new buffer.
 * @throws {FormatError} when it is not at that place.
 */
export async function readGroup(file: ObjectReader, number: ContainerNumber, row: Pick<FooterRow, 'offset' | 'length'>, limits: Limits): Promise<GroupRecord> {
  const bytes = new Uint8Array(row.length);
  await file.readInto(row.offset, bytes);
  return decodeGroup(bytes, { containerLow: number.low, offset: row.offset }, limits);
}
