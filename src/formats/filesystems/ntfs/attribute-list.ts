/**
 * All attributes of a file, also those that moved to extension records; these are read only when something in them is asked for.
 * Source: libfsntfs project, "NTFS format specification", "The attribute list".
 */
import { FormatError, LimitError } from '../../../core/index.ts';
import { readSmall } from './content.ts';
import { unitsOf } from './names.ts';
import { ATTRIBUTE, listEntryLayout } from './ntfs.layout.ts';
import { type Attribute, type MftRecord, referenceOf } from './record.ts';
import type { ClusterSpace } from './volume.ts';

const STRUCTURE = listEntryLayout.name;
/** NTFS itself keeps a list below this. */
const LIST_BYTES_MAX = 256 << 10;

/** Gives records by number. */
export type RecordReader = (number: number) => Promise<MftRecord>;

interface ListEntry {
  readonly type: number;
  readonly name: string;
  readonly lowestVcn: number;
  readonly record: number;
  readonly sequence: number;
  readonly id: number;
}

/** Asynchronous, in order; each once. */
export type Segments = AsyncIterable<Attribute>;

function parseList(bytes: Uint8Array): readonly ListEntry[] {
  const entries: ListEntry[] = [];
  for (let at = 0; at + listEntryLayout.size <= bytes.length;) {
    const entry = listEntryLayout.view(bytes, at, at);
    const { size, nameLength, nameOffset } = entry;
    if (size < listEntryLayout.size || size % 8 !== 0 || at + size > bytes.length || (nameLength > 0 && nameOffset + 2 * nameLength > size)) {
      throw new FormatError('Read attribute list', { structure: STRUCTURE, field: 'size', offset: at + 4, found: size, expected: `a multiple of 8 up to ${bytes.length - at} that holds the name` });
    }
    const name = nameLength === 0 ? '' : unitsOf(bytes.subarray(at + nameOffset, at + nameOffset + 2 * nameLength));
    entries.push({ type: entry.type, name, lowestVcn: entry.lowestVcn, record: referenceOf(entry.recordLow, entry.recordHigh), sequence: entry.recordSequence, id: entry.id });
    at += size;
  }
  return entries;
}

/** The attributes of one file. */
export class AttributeSegments {
  /** The base record. */
  readonly record: MftRecord;
  readonly #list: readonly ListEntry[] | undefined;
  readonly #read: RecordReader;

  private constructor(record: MftRecord, list: readonly ListEntry[] | undefined, read: RecordReader) {
    this.record = record;
    this.#list = list;
    this.#read = read;
  }

  /** Reads the list, if there is one. @throws {FormatError} @throws {LimitError} when it is larger than NTFS allows. */
  static async ofRecord(space: ClusterSpace, record: MftRecord, read: RecordReader): Promise<AttributeSegments> {
    const list = record.attributes.find(({ type }) => type === ATTRIBUTE.list);
    if (list === undefined) return new AttributeSegments(record, undefined, read);
    const size = list.resident ? list.value.length : list.dataSize;
    if (size > LIST_BYTES_MAX) throw new LimitError('attribute list bytes', size, LIST_BYTES_MAX, `attribute list of MFT record ${record.number}`);
    return new AttributeSegments(record, parseList(await readSmall(space, list)), read);
  }

  /** Whether there is such an attribute. */
  has(type: number, name: string): boolean {
    const same = (one: { readonly type: number; readonly name: string }): boolean => one.type === type && one.name === name;
    return this.#list === undefined ? this.record.attributes.some(same) : this.#list.some(same);
  }

  /** Names of the attributes of a type, each once. */
  names(type: number): readonly string[] {
    const all: readonly { readonly type: number; readonly name: string }[] = this.#list ?? this.record.attributes;
    return [...new Set(all.filter((one) => one.type === type).map(({ name }) => name))];
  }

  /** The segments of one attribute; or, where several may have a name (file names), all of them. */
  some(type: number, name: string): Segments {
    return this.#segments(type, name);
  }

  /** The first segment, which has the sizes. */
  async first(type: number, name: string): Promise<Attribute | undefined> {
    if (this.#list === undefined) return this.record.attributes.find((one) => one.type === type && one.name === name);
    for await (const segment of this.#segments(type, name)) return segment;
    return undefined;
  }

  async *#segments(type: number, name: string): Segments {
    if (this.#list === undefined) {
      for (const one of this.record.attributes) if (one.type === type && one.name === name) yield one;
      return;
    }
    let extension: MftRecord | undefined;
    for (const entry of this.#list) {
      if (entry.type !== type || entry.name !== name) continue;
      if (entry.record !== extension?.number) extension = entry.record === this.record.number ? this.record : await this.#extension(entry);
      const found = extension.attributes.find((one) => one.type === type && one.id === entry.id && one.name === name);
      if (found === undefined || (!found.resident && found.lowestVcn !== entry.lowestVcn)) {
        throw new FormatError('Read attribute list', { structure: STRUCTURE, field: 'id', found: entry.id, expected: `an attribute of MFT record ${entry.record} with VCN ${entry.lowestVcn}` });
      }
      yield found;
    }
  }

  async #extension(entry: ListEntry): Promise<MftRecord> {
    const extension = await this.#read(entry.record);
    const { number, sequence } = this.record;
    if (!extension.inUse || extension.sequence !== entry.sequence || extension.base !== number || (extension.baseSequence !== sequence && extension.baseSequence !== 0)) {
      throw new FormatError('Read attribute list', {
        structure: STRUCTURE, field: 'record', found: `record ${entry.record} of ${extension.base}, sequence ${extension.sequence}`, expected: `an extension of record ${number}, sequence ${entry.sequence}`,
      });
    }
    return extension;
  }
}
