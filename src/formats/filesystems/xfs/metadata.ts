/**
 * Blocks of metadata, each verified once when it is read: checksum, and what the block says about itself (filesystem, place, owner).
 * Source: "XFS Algorithms & Data Structures", "Metadata Integrity".
 */
import { type BlockSource, crc32c, equalBytes, FormatError, IntegrityError, type Limits } from '../../../core/index.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import type { XfsGeometry } from './geometry.ts';
import { wideOf } from './wide.ts';
import { BASIC_BLOCK, type BlockFamily } from './xfs.layout.ts';

/** Bytes that inodes are read in at least. */
const INODE_PART_BYTES = 32_768;

/** Part of a block on the device, in bytes. */
export interface Piece {
  readonly at: number;
  readonly length: number;
}

/** Where an inode is in memory. */
export interface InodePlace {
  readonly view: DataView;
  /** Offset in `view`. */
  readonly at: number;
}

/** What a block should be. */
export interface Wanted {
  readonly family: BlockFamily;
  /** Any of these magic numbers: those of this version. */
  readonly magics: readonly number[];
  /** Number of the inode that it belongs to; undefined where a log has changed owners. */
  readonly owner: number | undefined;
  /** Further checks, made once. @throws {FormatError} */
  check?(view: DataView, at: number): void;
}

/** What replaying the log changed: its blocks have checksums from before. */
export interface Changes {
  touches(at: number, length: number): boolean;
}

/** The reader; its caches share `filesystemCacheBytesMax`. */
export class MetadataReader {
  readonly geometry: XfsGeometry;
  readonly source: BlockSource;
  readonly #changes: Changes;
  readonly #inodes: TableCache;
  readonly #inodePartBytes: number;
  readonly #budget: number;
  /** By place and family, the oldest first. */
  readonly #blocks = new Map<string, DataView | Promise<DataView>>();

  /** `source` is not owned. */
  constructor(source: BlockSource, geometry: XfsGeometry, changes: Changes, limits: Limits) {
    this.source = source;
    this.geometry = geometry;
    this.#changes = changes;
    this.#inodePartBytes = Math.max(INODE_PART_BYTES, geometry.facts.blockBytes);
    this.#budget = limits.filesystemCacheBytesMax / 2;
    this.#inodes = new TableCache(source, { partBytes: this.#inodePartBytes, budget: this.#budget, structure: 'xfs_dinode' });
  }

  /** The inode at byte `at` of the device, not verified; the buffer is shared and must not be changed. Without a promise when its part is there. */
  inodePlace(at: number): InodePlace | Promise<InodePlace> {
    const partAt = at - at % this.#inodePartBytes;
    const found = this.#inodes.get(partAt);
    return found instanceof Promise ? found.then((view) => this.#inPart(view, at - partAt)) : this.#inPart(found, at - partAt);
  }

  #inPart(view: DataView, at: number): InodePlace {
    const { inodeBytes } = this.geometry.facts;
    if (at + inodeBytes > view.byteLength) throw new FormatError('Read XFS inode', { structure: 'xfs_dinode', field: 'offset', found: at, expected: `less than ${view.byteLength}: the device ends there` });
    return { view, at };
  }

  /** Whether a log changed any of these bytes. */
  isChanged(at: number, length: number): boolean {
    return this.#changes.touches(at, length);
  }

  /**
   * A verified block; one that is there comes without a promise.
   * @throws {FormatError} @throws {IntegrityError}
   */
  block(pieces: readonly Piece[], wanted: Wanted): DataView | Promise<DataView> {
    const key = `${wanted.family.name} ${pieces[0]?.at ?? 0}`;
    const known = this.#blocks.get(key);
    if (known !== undefined && (known instanceof Promise || this.#isOwned(known, wanted))) return known;
    const loading = this.#load(pieces, wanted);
    this.#keep(key, loading);
    loading.then((view) => {
      if (this.#blocks.get(key) === loading) this.#blocks.set(key, view);
    }, () => {
      if (this.#blocks.get(key) === loading) this.#blocks.delete(key);
    });
    return loading;
  }

  /** A block that another inode claimed before is looked at again, so that the wrong claim is refused. */
  #isOwned(view: DataView, wanted: Wanted): boolean {
    return !this.geometry.isV5 || wanted.owner === undefined || wideOf(view, wanted.family.ownerAt) === wanted.owner;
  }

  #keep(key: string, loading: Promise<DataView>): void {
    this.#blocks.set(key, loading);
    const most = Math.max(8, Math.floor(this.#budget / Math.max(this.geometry.facts.blockBytes, this.geometry.facts.directoryBytes)));
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= most) break;
      this.#blocks.delete(oldest);
    }
  }

  async #load(pieces: readonly Piece[], wanted: Wanted): Promise<DataView> {
    const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let done = 0;
    for (const { at, length } of pieces) {
      if (at + length > this.source.size) throw new FormatError('Read XFS metadata', { structure: wanted.family.name, field: 'offset', found: at, expected: `less than ${this.source.size}: the device ends there` });
      await this.source.readInto(at, bytes.subarray(done, done + length));
      done += length;
    }
    const view = new DataView(bytes.buffer);
    this.#verify(view, pieces, wanted);
    wanted.check?.(view, pieces[0]?.at ?? 0);
    return view;
  }

  #verify(view: DataView, pieces: readonly Piece[], { family, magics, owner }: Wanted): void {
    const at = pieces[0]?.at ?? 0;
    const fault = (field: string, found: string | number, expected: string): FormatError => new FormatError('Read XFS metadata', { structure: family.name, field, offset: at, found, expected });
    if (this.geometry.isV5 && !pieces.some((piece) => this.#changes.touches(piece.at, piece.length))) {
      if (!checksumHolds(view, { at: 0, length: view.byteLength, crcAt: family.crcAt })) throw new IntegrityError(`Read XFS metadata: the checksum of '${family.name}' at offset ${at} does not hold`, { structure: family.name, field: 'crc', offset: at });
    }
    const magic = family.magicBytes === 2 ? view.getUint16(family.magicAt) : view.getUint32(family.magicAt);
    if (!magics.includes(magic)) throw fault('magic', magic, magics.join(' or '));
    if (!this.geometry.isV5) return;
    const blkno = wideOf(view, family.blknoAt);
    if (blkno === undefined || blkno * BASIC_BLOCK !== at) throw fault('blkno', blkno ?? 'more than 2^53', String(at / BASIC_BLOCK));
    if (!equalBytes(new Uint8Array(view.buffer, view.byteOffset + family.uuidAt, 16), this.geometry.facts.metaUuid)) throw fault('uuid', 'another', 'that of the filesystem');
    const found = wideOf(view, family.ownerAt);
    if (owner !== undefined && found !== owner) throw fault('owner', found ?? 'more than 2^53', String(owner));
  }
}

/**
 * Whether the CRC-32C at byte `crcAt` of a structure, little-endian, is that of its bytes when it counts as zero itself. It is set to zero meanwhile: a copy of
 * every inode would cost a listing more.
 */
export function checksumHolds(view: DataView, { at, length, crcAt }: { readonly at: number; readonly length: number; readonly crcAt: number }): boolean {
  const stored = view.getUint32(at + crcAt, true);
  view.setUint32(at + crcAt, 0);
  const found = crc32c(new Uint8Array(view.buffer, view.byteOffset + at, length));
  view.setUint32(at + crcAt, stored, true);
  return found === stored;
}
