/** Files by record number, and directories that were opened lately. */
import { NotFoundError } from '../../../core/index.ts';
import { AttributeSegments } from './attribute-list.ts';
import { Directory, type FileName, parseFileName } from './directory.ts';
import { ATTRIBUTE } from './ntfs.layout.ts';
import type { Volume } from './volume.ts';

/** Directories that stay open; each has a cache of index blocks. */
const DIRECTORIES_MAX = 32;

/** The files of a volume. */
export class Inodes {
  readonly volume: Volume;
  /** In the order of use, the oldest first. */
  readonly #directories = new Map<number, Promise<Directory>>();

  constructor(volume: Volume) {
    this.volume = volume;
  }

  /** Attributes of a file. @throws {NotFoundError} when no file has this number. @throws {FormatError} @throws {IntegrityError} */
  async open(number: number): Promise<AttributeSegments> {
    const record = await this.volume.mft.record(number);
    if (!record.inUse || (record.base !== 0 && record.baseSequence !== 0)) throw new NotFoundError(`Open file '${number}': its MFT record is ${record.inUse ? 'an extension of another' : 'not in use'}`, { record: number });
    return AttributeSegments.ofRecord(this.volume, record, (other) => this.volume.mft.record(other));
  }

  /** The index of a directory. @throws {FormatError} when it has none. */
  directory(number: number): Promise<Directory> {
    const known = this.#directories.get(number);
    if (known !== undefined) {
      this.#directories.delete(number);
      this.#directories.set(number, known);
      return known;
    }
    const opening = this.open(number).then((segments) => Directory.open(this.volume, segments));
    this.#directories.set(number, opening);
    for (const oldest of this.#directories.keys()) {
      if (this.#directories.size <= DIRECTORIES_MAX) break;
      this.#directories.delete(oldest);
    }
    opening.catch(() => {
      if (this.#directories.get(number) === opening) this.#directories.delete(number);
    });
    return opening;
  }

  /** Names of a file, those for DOS last. @throws {FormatError} */
  async names(number: number): Promise<readonly FileName[]> {
    const segments = await this.open(number);
    const names: FileName[] = [];
    for await (const attribute of segments.some(ATTRIBUTE.fileName, '')) if (attribute.resident) names.push(parseFileName(attribute.value));
    return names.sort((a, b) => Number(a.isShort) - Number(b.isShort));
  }
}
