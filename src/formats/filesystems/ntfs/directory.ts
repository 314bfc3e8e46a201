/**
 * Directories: the index `$I30` of file names.
 * Source: libfsntfs project, "NTFS format specification", "The file name attribute" and "The index".
 */
import { FormatError } from '../../../core/index.ts';
import type { AttributeSegments } from './attribute-list.ts';
import { IndexTree, type IndexEntry } from './index-tree.ts';
import { NameDecoder, unitsOf } from './names.ts';
import { NAME_INDEX } from './ntfs.layout.ts';
import { referenceOf } from './record.ts';
import type { Volume } from './volume.ts';

const STRUCTURE = 'NTFS file name';
/** Bytes of a file name attribute before the name. */
const NAME_AT = 66;
/** Namespace of names that only DOS programs see. */
const DOS = 2;

/** A name in a directory, or of a file. */
export interface FileName {
  /** Record and sequence number of what it names; 0 where it was read from the file itself. */
  readonly record: number;
  readonly sequence: number;
  /** Record of the directory it is in. */
  readonly parent: number;
  readonly units: string;
  /** Made for programs that know 8.3 names only. */
  readonly isShort: boolean;
}

/** A name as a listing needs it. */
export interface ListedName extends Pick<FileName, 'record' | 'sequence' | 'isShort'> {
  /** As a tree shows it. */
  readonly name: Uint8Array;
}

/** The content of a file name attribute. @throws {FormatError} */
export function parseFileName(bytes: Uint8Array, record = 0, sequence = 0): FileName {
  const length = bytes[64];
  if (length === undefined || NAME_AT + 2 * length > bytes.length) {
    throw new FormatError('Read file name', { structure: STRUCTURE, field: 'nameLength', found: length ?? bytes.length, expected: `a name in ${bytes.length} bytes` });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { record, sequence, parent: referenceOf(view.getUint32(0, true), view.getUint16(4, true)), units: unitsOf(bytes.subarray(NAME_AT, NAME_AT + 2 * length)), isShort: bytes[65] === DOS };
}

/** By hand, as a listing does it for every name. */
function listedNameOf({ view, at, keyAt, keyBytes }: IndexEntry, decoder: NameDecoder): ListedName {
  const length = keyBytes < NAME_AT ? 0xff : view.getUint8(keyAt + 64);
  if (NAME_AT + 2 * length > keyBytes) throw new FormatError('Read file name', { structure: STRUCTURE, field: 'nameLength', found: keyBytes < NAME_AT ? keyBytes : length, expected: `a name in ${keyBytes} bytes` });
  return {
    record: referenceOf(view.getUint32(at, true), view.getUint16(at + 4, true)), sequence: view.getUint16(at + 6, true), isShort: view.getUint8(keyAt + 65) === DOS, name: decoder.decode(view, keyAt + NAME_AT, length),
  };
}

function nameOf({ node, view, at, keyAt, keyBytes }: IndexEntry): FileName {
  return parseFileName(node.subarray(keyAt, keyAt + keyBytes), referenceOf(view.getUint32(at, true), view.getUint16(at + 4, true)), view.getUint16(at + 6, true));
}

/** An open directory. */
export class Directory {
  readonly #volume: Volume;
  readonly #index: IndexTree;

  private constructor(volume: Volume, index: IndexTree) {
    this.#volume = volume;
    this.#index = index;
  }

  /** @throws {FormatError} when the file has no index of names. */
  static async open(volume: Volume, segments: AttributeSegments): Promise<Directory> {
    const index = await IndexTree.open(volume, segments, NAME_INDEX);
    if (index === undefined) throw new FormatError('Open directory', { structure: 'MFT record', field: 'attributes', found: segments.record.number, expected: 'an index of names' });
    return new Directory(volume, index);
  }

  /** The entry with exactly these code units. */
  async find(units: string): Promise<FileName | undefined> {
    const { upcase } = this.#volume;
    const entry = await this.#index.find((one) => upcase.compare(units, nameOf(one).units));
    return entry === undefined ? undefined : nameOf(entry);
  }

  /** An entry with this name when case does not matter. */
  async findFolded(units: string): Promise<FileName | undefined> {
    const { upcase } = this.#volume;
    const entry = await this.find(units) ?? await this.#index.find((one) => upcase.compareFolded(units, nameOf(one).units));
    return entry === undefined || 'units' in entry ? entry : nameOf(entry);
  }

  /** All names, those of DOS too, a node at a time; what is damaged goes to `damaged` and is left out. */
  async *names(damaged: (where: string, error: unknown) => void): AsyncIterable<readonly ListedName[]> {
    const decoder = new NameDecoder();
    for await (const entries of this.#index.nodes(damaged)) {
      const names: ListedName[] = [];
      for (const entry of entries) {
        try {
          names.push(listedNameOf(entry, decoder));
        } catch (error) {
          damaged('file name', error);
        }
      }
      yield names;
    }
  }
}
