/**
 * A sidecar as bytes: `docs/formats/parity.md`. Header and table of checksums stand at both ends, so that no single burst takes both; a block
 * counts as sound when its checksum stands in either table.
 */
import assert from 'node:assert';
import { UsageError, crc32c, equalBytes, textOf, utf8, type Limits, type ObjectReader } from '../../core/index.ts';
import { slabsOf, tryRead, type Region } from './block-reader.ts';
import { BLOCK_BYTES, dataBlocks, dataShards, geometryFault, parityBlocks, type Geometry } from './geometry.ts';
import { CHECKSUM_BYTES, PARITY_MAGIC, PARITY_NAME_BYTES_MAX, PARITY_VERSION, parityHeader } from './parity.layout.ts';

const kinds = ['copies', 'reed-solomon'] as const;

/** Directory of sidecars in an object store. */
export const PARITY_DIRECTORY = 'parity';

/** Name of the sidecar of the object `name`. */
export function sidecarName(name: string): string {
  return `${PARITY_DIRECTORY}/${name}`;
}

/** What a header says. */
export interface SidecarHead {
  readonly name: string;
  readonly geometry: Geometry;
  readonly sha256: Uint8Array;
}

/** Why a sidecar cannot be used: absent, no sound header, made by a newer holdfast, of another object, or with impossible figures. */
export type SidecarFault = 'absent' | 'header' | 'version' | 'other-object' | 'geometry' | 'limit';

/** A sidecar that can be used, perhaps damaged itself. */
export interface Sidecar extends SidecarHead {
  /** Checksums of data blocks, then of parity blocks, as each of the two tables has them. */
  readonly tables: readonly Uint32Array[];
  /** Where blocks of parity lie. */
  readonly parity: Region;
  /** Whether it has its right size and both headers are sound. */
  readonly isWhole: boolean;
}

function encodeHead({ name, geometry, sha256 }: SidecarHead): Uint8Array {
  const text = utf8(name);
  if (text.length > PARITY_NAME_BYTES_MAX || text.length !== name.length) throw new UsageError(`Name objects in at most ${PARITY_NAME_BYTES_MAX} characters of ASCII: '${name}'`);
  const padded = new Uint8Array(PARITY_NAME_BYTES_MAX);
  padded.set(text);
  const header = parityHeader.encode({
    magic: PARITY_MAGIC, version: PARITY_VERSION, kind: kinds.indexOf(geometry.kind), blockBytes: BLOCK_BYTES, groups: geometry.groups,
    dataShards: dataShards(geometry), parityShards: geometry.parityShards, folds: geometry.folds, nameBytes: text.length,
    objectBytes: geometry.size, objectSha256: sha256, name: padded, headerCrc32c: 0,
  });
  new DataView(header.buffer).setUint32(parityHeader.offsets.headerCrc32c, crc32c(header.subarray(0, parityHeader.offsets.headerCrc32c)));
  return header;
}

function decodeHead(bytes: Uint8Array, limits: Limits): SidecarHead | SidecarFault {
  const view = parityHeader.view(bytes);
  if (view.magic !== PARITY_MAGIC || view.headerCrc32c !== crc32c(bytes.subarray(0, parityHeader.offsets.headerCrc32c))) return 'header';
  if (view.version !== PARITY_VERSION) return 'version';
  const kind = kinds[view.kind];
  // The high half first: the view refuses sizes above 2^53 by throwing.
  const isHuge = new DataView(bytes.buffer, bytes.byteOffset).getUint32(parityHeader.offsets.objectBytes) > 0xffff;
  if (isHuge) return 'limit';
  if (kind === undefined || view.blockBytes !== BLOCK_BYTES || view.nameBytes > PARITY_NAME_BYTES_MAX) return 'geometry';
  const geometry: Geometry = { kind, size: view.objectBytes, groups: view.groups, folds: view.folds, parityShards: view.parityShards };
  const fault = geometryFault(geometry, limits);
  if (fault !== undefined) return fault;
  if (view.dataShards !== dataShards(geometry)) return 'geometry';
  return { name: textOf(view.name.subarray(0, view.nameBytes)), geometry, sha256: Uint8Array.from(view.objectSha256) };
}

function encodeTable(checksums: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(checksums.length * CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < checksums.length; i += 1) view.setUint32(i * CHECKSUM_BYTES, checksums[i] as number);
  return bytes;
}

async function readTable(reader: ObjectReader, region: Region): Promise<Uint32Array> {
  const table = new Uint32Array(region.size / CHECKSUM_BYTES);
  for await (const { first, bytes } of slabsOf(reader, region)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const start = first * BLOCK_BYTES / CHECKSUM_BYTES;
    for (let at = 0; at < bytes.length; at += CHECKSUM_BYTES) table[start + at / CHECKSUM_BYTES] = view.getUint32(at);
  }
  return table;
}

async function readHead(reader: ObjectReader, offset: number, limits: Limits): Promise<{ readonly bytes: Uint8Array; readonly head: SidecarHead | SidecarFault }> {
  const bytes = new Uint8Array(parityHeader.size);
  const head = offset >= 0 && await tryRead(reader, offset, bytes) ? decodeHead(bytes, limits) : 'header';
  return { bytes, head };
}

/** Reads what is needed to use the sidecar of `name`. All memory is bounded by `limits`. */
export async function readSidecar(reader: ObjectReader, name: string, limits: Limits): Promise<Sidecar | SidecarFault> {
  const front = await readHead(reader, 0, limits);
  const back = await readHead(reader, reader.size - parityHeader.size, limits);
  const { head } = front.head === 'header' ? back : front;
  if (typeof head === 'string') return head;
  if (head.name !== name) return 'other-object';
  const blocks = parityBlocks(head.geometry);
  const tableBytes = (dataBlocks(head.geometry) + blocks) * CHECKSUM_BYTES;
  const parity = { offset: parityHeader.size + tableBytes, size: blocks * BLOCK_BYTES };
  const tables = [
    await readTable(reader, { offset: parityHeader.size, size: tableBytes }),
    await readTable(reader, { offset: parity.offset + parity.size, size: tableBytes }),
  ];
  const isWhole = reader.size === parity.offset + parity.size + tableBytes + parityHeader.size && equalBytes(front.bytes, back.bytes);
  return { ...head, tables, parity, isWhole };
}

/**
 * Parts of a sidecar, to be written one behind the other. `checksums`: of data blocks, then of parity blocks; `parity`: its blocks row by row.
 * @throws {UsageError} the name is too long or not ASCII.
 */
export function sidecarParts(head: SidecarHead, checksums: Uint32Array, parity: readonly Uint8Array[]): readonly Uint8Array[] {
  assert(checksums.length === dataBlocks(head.geometry) + parityBlocks(head.geometry), 'each block has a checksum');
  const header = encodeHead(head);
  const table = encodeTable(checksums);
  return [header, table, ...parity, table, header];
}

/** Rows in which the two tables differ: damage of one of them. */
export function differingRows({ tables: [front = new Uint32Array(0), back = new Uint32Array(0)] }: Sidecar): number {
  return front.reduce((count, checksum, i) => checksum === back[i] ? count : count + 1, 0);
}
