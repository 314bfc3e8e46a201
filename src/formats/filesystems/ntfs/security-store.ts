/**
 * Security descriptors that files share: `$Secure` keeps each once, by number.
 * Source: libfsntfs project, "NTFS format specification", "Access control" ($SDS and $SII).
 */
import { type BlockSource, FormatError, IntegrityError, readRange } from '../../../core/index.ts';
import { AttributeSegments } from './attribute-list.ts';
import { openContent } from './content.ts';
import { IndexTree } from './index-tree.ts';
import { ATTRIBUTE, RECORD } from './ntfs.layout.ts';
import { type Ownership, readOwnership } from './security.ts';
import type { Volume } from './volume.ts';

const STRUCTURE = 'NTFS $SDS entry';
const HEAD_BYTES = 20;
/** Largest descriptor: its lists count their bytes in 16 bits. */
const DESCRIPTOR_BYTES_MAX = 256 << 10;
/** Each block of this size is stored twice, the copy behind it. */
const MIRROR_BYTES = 256 << 10;
const CACHED_MAX = 4_096;

interface Opened {
  readonly index: IndexTree;
  readonly stream: BlockSource;
}

/** Sum of words, rotated: how the store checks an entry. */
function descriptorHash(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let hash = 0;
  for (let at = 0; at + 4 <= bytes.length; at += 4) hash = (view.getUint32(at, true) + ((hash << 3) | (hash >>> 29))) >>> 0;
  return hash;
}

/** The store; descriptors and what they mean are kept up to a number. */
export class SecurityStore {
  readonly #volume: Volume;
  #opened: Promise<Opened | undefined> | undefined;
  readonly #ownerships = new Map<number, Ownership | Promise<Ownership>>();

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  async #open(): Promise<Opened | undefined> {
    const { mft } = this.#volume;
    const record = await mft.record(RECORD.secure);
    if (!record.inUse) return undefined;
    const segments = await AttributeSegments.ofRecord(this.#volume, record, (number) => mft.record(number));
    const index = await IndexTree.open(this.#volume, segments, '$SII');
    const stream = await openContent(this.#volume, segments.some(ATTRIBUTE.data, '$SDS'));
    return index === undefined || stream === undefined ? undefined : { index, stream };
  }

  /** The descriptor of a number. @throws {FormatError} when there is none. @throws {IntegrityError} when both copies are damaged. */
  async descriptor(id: number): Promise<Uint8Array> {
    this.#opened ??= this.#open();
    const opened = await this.#opened;
    const entry = await opened?.index.find(({ view, keyAt, keyBytes }) => id - (keyBytes < 4 ? 0 : view.getUint32(keyAt, true)));
    if (opened === undefined || entry === undefined) throw new FormatError('Read security descriptor', { structure: 'NTFS $Secure', field: '$SII', found: id, expected: 'a security number that exists' });
    const { view, at } = entry;
    const dataAt = at + view.getUint16(at, true);
    if (dataAt + HEAD_BYTES > view.byteLength) throw new FormatError('Read security descriptor', { structure: 'NTFS $SII', field: 'dataOffset', offset: at, found: view.getUint16(at, true), expected: 'an offset in the node' });
    const place = view.getUint32(dataAt + 12, true) * 0x1_0000_0000 + view.getUint32(dataAt + 8, true);
    const size = view.getUint32(dataAt + 16, true);
    if (size < HEAD_BYTES || size > DESCRIPTOR_BYTES_MAX) throw new FormatError('Read security descriptor', { structure: STRUCTURE, field: 'size', offset: place, found: size, expected: `20 to ${DESCRIPTOR_BYTES_MAX}` });
    const good = await this.#entry(opened.stream, id, place, size) ?? await this.#entry(opened.stream, id, place + MIRROR_BYTES, size);
    if (good === undefined) throw new IntegrityError(`Read security descriptor '${id}': both copies are damaged`, { structure: STRUCTURE, offset: place });
    return good;
  }

  /** The descriptor at a place, when it is sound. */
  async #entry(stream: BlockSource, id: number, place: number, size: number): Promise<Uint8Array | undefined> {
    if (!Number.isSafeInteger(place) || place + size > stream.size) return undefined;
    const bytes = await readRange(stream, place, size);
    const view = new DataView(bytes.buffer);
    const descriptor = bytes.subarray(HEAD_BYTES);
    return view.getUint32(4, true) === id && view.getUint32(0, true) === descriptorHash(descriptor) ? descriptor : undefined;
  }

  /** What the descriptor of a number means, without a promise when it is known; damage is a problem, and everything then is root's. */
  ownership(id: number): Ownership | Promise<Ownership> {
    const known = this.#ownerships.get(id);
    if (known !== undefined) return known;
    const found = this.descriptor(id).then(readOwnership).catch((error: unknown) => {
      this.#volume.problems.note(`security descriptor ${id}`, error);
      return rootOnly;
    });
    if (this.#ownerships.size >= CACHED_MAX) this.#ownerships.clear();
    this.#ownerships.set(id, found);
    return found.then((ownership) => {
      this.#ownerships.set(id, ownership);
      return ownership;
    });
  }
}

/** Where nothing is known: root's, and nobody else's. */
export const rootOnly: Ownership = { uid: 0, gid: 0, mode: 0o700 };
