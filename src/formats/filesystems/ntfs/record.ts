/**
 * Records of the master file table and the attributes in them, checked.
 * Source: libfsntfs project, "NTFS format specification", "The Master File Table (MFT) entry" and "The MFT attributes".
 */
import { FormatError, IntegrityError } from '../../../core/index.ts';
import { applyFixups } from './fixups.ts';
import { unitsOf } from './names.ts';
import { ATTRIBUTE, attributeLayout, nonResidentLayout, recordLayout, RECORD_FLAG, residentLayout } from './ntfs.layout.ts';

const STRUCTURE = recordLayout.name;

/** What all attributes have. */
interface AttributeHead {
  readonly type: number;
  /** '' for the unnamed one. */
  readonly name: string;
  readonly flags: number;
  readonly id: number;
}

/** Content in the record itself. */
export interface ResidentAttribute extends AttributeHead {
  readonly resident: true;
  readonly value: Uint8Array;
}

/** Content in clusters; one segment of it. Sizes are those of the whole attribute, set in the segment with VCN 0 only. */
export interface ClusterAttribute extends AttributeHead {
  readonly resident: false;
  readonly lowestVcn: number;
  readonly highestVcn: number;
  /** Clusters of a compression unit as a power of two. */
  readonly compressionUnit: number;
  readonly dataSize: number;
  /** Bytes that were written; what follows reads as zeroes. */
  readonly validSize: number;
  readonly runs: Uint8Array;
}

/** One attribute or one segment of it. */
export type Attribute = ResidentAttribute | ClusterAttribute;

/** A record; its attributes are views of its bytes. */
export interface MftRecord extends RecordState {
  readonly number: number;
  readonly attributes: readonly Attribute[];
}

/** Bytes of a record, checked by {@link sealRecord}, and where they lie from the start of the table, for errors. */
export interface RecordPlace {
  readonly view: DataView;
  /** Offset of the record in `view`. */
  readonly at: number;
  readonly bytes: number;
  /** Offset of the record in the table. */
  readonly offset: number;
}

const HEAD = recordLayout.offsets;
const ATTRIBUTE_HEAD = attributeLayout.offsets;
const ATTRIBUTE_BYTES = attributeLayout.size;
const RESIDENT = residentLayout.offsets;
const CLUSTERS = nonResidentLayout.offsets;
const SIGNATURE = 0x454c_4946;
const SIGNATURE_BAD = 0x4441_4142;

function fault(field: string, offset: number, found: number | string, expected: string): FormatError {
  return new FormatError('Read MFT record', { structure: STRUCTURE, field, offset, found, expected });
}

/** The whole of 48 bits. */
export function referenceOf(low: number, high: number): number {
  return high * 0x1_0000_0000 + low;
}

function bytesOf(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

/**
 * Checks signature and update sequence of fresh bytes and puts the kept bytes back, in place: once for each time they are read.
 * @throws {FormatError} @throws {IntegrityError} when it was torn or marked as bad.
 */
export function sealRecord(number: number, { view, at, bytes, offset }: RecordPlace): void {
  const signature = view.getUint32(at, true);
  if (signature === SIGNATURE_BAD) throw new IntegrityError(`Read MFT record ${number}: it is marked as bad`, { structure: STRUCTURE, record: number });
  if (signature !== SIGNATURE) throw fault('signature', offset, signature.toString(16).padStart(8, '0'), 'FILE');
  applyFixups({ view, at, length: bytes, structure: STRUCTURE, offset });
}

/** Reads a signed number of 64 bits. */
function wideAt(view: DataView, at: number, where: { readonly field: string; readonly offset: number }): number {
  const value = view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
  if (!Number.isSafeInteger(value)) throw fault(where.field, where.offset, value, 'at most 2^53-1');
  return value;
}

/** An attribute in a record: `at` in the place's view. */
interface AttributePlace {
  readonly at: number;
  readonly size: number;
}

function parseResident({ view, at: start, offset }: RecordPlace, { at, size }: AttributePlace): Uint8Array {
  const dataSize = view.getUint32(at + ATTRIBUTE_BYTES + RESIDENT.dataSize, true);
  const dataOffset = view.getUint16(at + ATTRIBUTE_BYTES + RESIDENT.dataOffset, true);
  if (dataOffset + dataSize > size) throw fault('dataSize', offset + at - start + ATTRIBUTE_BYTES, dataSize, `at most ${size - dataOffset} in an attribute of ${size} bytes`);
  return bytesOf(view, at + dataOffset, dataSize);
}

function parseClusters({ view, at: start, offset }: RecordPlace, { at, size }: AttributePlace): Omit<ClusterAttribute, keyof AttributeHead> {
  const head = at + ATTRIBUTE_BYTES;
  const place = offset + head - start;
  if (size < ATTRIBUTE_BYTES + nonResidentLayout.size) throw fault('size', place, size, `at least ${ATTRIBUTE_BYTES + nonResidentLayout.size} for content in clusters`);
  const number = (field: 'lowestVcn' | 'highestVcn' | 'dataSize' | 'validSize'): number => {
    const value = wideAt(view, head + CLUSTERS[field], { field, offset: place + CLUSTERS[field] });
    if (value < 0 && field !== 'highestVcn') throw fault(field, place + CLUSTERS[field], value, 'at least 0');
    return value;
  };
  const runsOffset = view.getUint16(head + CLUSTERS.runsOffset, true);
  if (runsOffset < ATTRIBUTE_BYTES + nonResidentLayout.size || runsOffset > size) throw fault('runsOffset', place + CLUSTERS.runsOffset, runsOffset, `an offset in an attribute of ${size} bytes`);
  const lowestVcn = number('lowestVcn');
  return {
    resident: false, lowestVcn, highestVcn: number('highestVcn'), compressionUnit: view.getUint16(head + CLUSTERS.compressionUnit, true) & 0xff, dataSize: lowestVcn === 0 ? number('dataSize') : 0,
    validSize: lowestVcn === 0 ? number('validSize') : 0, runs: bytesOf(view, at + runsOffset, size - runsOffset),
  };
}

/** Hands over the place of each attribute; true ends the visit. By hand: listings do it for every file. @throws {FormatError} */
export function visitAttributes(place: RecordPlace, visit: (type: number, attribute: AttributePlace) => boolean): void {
  const { view, at: start, offset } = place;
  const used = view.getUint32(start + HEAD.usedSize, true);
  const first = view.getUint16(start + HEAD.attributesOffset, true);
  if (used > place.bytes) throw fault('usedSize', offset + HEAD.usedSize, used, `at most ${place.bytes}`);
  if (first % 8 !== 0 || first < HEAD.unused || first > used) throw fault('attributesOffset', offset + HEAD.attributesOffset, first, 'a multiple of 8 in the record');
  const end = start + used;
  for (let at = start + first; ;) {
    if (at + 4 > end) throw fault('attributes', offset + at - start, used, 'an end marker before the end of the record');
    const type = view.getUint32(at, true);
    if (type === ATTRIBUTE.end) return;
    const size = at + ATTRIBUTE_BYTES <= end ? view.getUint32(at + ATTRIBUTE_HEAD.size, true) : 0;
    if (size < ATTRIBUTE_BYTES + residentLayout.size || size % 8 !== 0 || at + size > end) throw fault('size', offset + at - start + ATTRIBUTE_HEAD.size, size, `a multiple of 8 from 24 to ${end - at}`);
    if (visit(type, { at, size })) return;
    at += size;
  }
}

function parseAttribute(place: RecordPlace, type: number, attribute: AttributePlace): Attribute {
  const { view } = place;
  const { at, size } = attribute;
  const nameLength = view.getUint8(at + ATTRIBUTE_HEAD.nameLength);
  const nameOffset = view.getUint16(at + ATTRIBUTE_HEAD.nameOffset, true);
  if (nameOffset + 2 * nameLength > size) throw fault('nameOffset', place.offset + at - place.at + ATTRIBUTE_HEAD.nameOffset, nameOffset, `a name in an attribute of ${size} bytes`);
  const common = {
    type, name: nameLength === 0 ? '' : unitsOf(bytesOf(view, at + nameOffset, 2 * nameLength)), flags: view.getUint16(at + ATTRIBUTE_HEAD.flags, true), id: view.getUint16(at + ATTRIBUTE_HEAD.id, true),
  };
  if (view.getUint8(at + ATTRIBUTE_HEAD.nonResident) === 0) return { ...common, resident: true, value: parseResident(place, attribute) };
  return { ...common, ...parseClusters(place, attribute) };
}

/** Whether a record is that of a file, and which edition of it. */
export interface RecordState {
  readonly inUse: boolean;
  readonly isDirectory: boolean;
  readonly sequence: number;
  readonly linkCount: number;
  /** Record that this one extends; 0 with sequence 0 for a base record. */
  readonly base: number;
  readonly baseSequence: number;
}

/** The head of a record. @throws {FormatError} when it is the record of another number. */
export function recordState(number: number, { view, at, offset }: RecordPlace): RecordState {
  const flags = view.getUint16(at + HEAD.flags, true);
  const inUse = (flags & RECORD_FLAG.inUse) !== 0;
  // Records of version 3.1 have room for their number before the update sequence.
  if (inUse && view.getUint16(at + HEAD.fixupOffset, true) >= recordLayout.size && view.getUint32(at + HEAD.index, true) !== number % 2 ** 32) {
    throw fault('index', offset + HEAD.index, view.getUint32(at + HEAD.index, true), String(number));
  }
  return {
    inUse, isDirectory: (flags & RECORD_FLAG.directory) !== 0, sequence: view.getUint16(at + HEAD.sequence, true), linkCount: view.getUint16(at + HEAD.linkCount, true),
    base: referenceOf(view.getUint32(at + HEAD.baseLow, true), view.getUint16(at + HEAD.baseHigh, true)), baseSequence: view.getUint16(at + HEAD.baseSequence, true),
  };
}

/** Parses record `number`. @throws {FormatError} */
export function parseRecord(number: number, place: RecordPlace): MftRecord {
  const state = recordState(number, place);
  const attributes: Attribute[] = [];
  if (state.inUse) {
    visitAttributes(place, (type, attribute) => {
      attributes.push(parseAttribute(place, type, attribute));
      return false;
    });
  }
  return { number, ...state, attributes };
}
