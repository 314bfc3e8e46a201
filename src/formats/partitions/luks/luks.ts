/**
 * LUKS containers, versions 1 and 2, opened with a passphrase, a key file or the volume key. The table opens without a key; its one volume needs one.
 * Refused: detached headers, integrity protection, a reencryption under way, ciphers other than AES in XTS or CBC.
 */
import { AbortedError, type BlockSource, checkRange, type Extent, FormatError, type Limits, type OpenContext, type ProbeVerdict, type ReadOptions, UnsupportedError } from '../../../core/index.ts';
import { hasMagic, onlySource, readStructure, tableOf } from '../parts.ts';
import type { VolumeTable, VolumeTableDriver } from '../volume-table.ts';
import type { LuksHeader } from './header.ts';
import { readLuks1 } from './header1.ts';
import { readLuks2 } from './header2.ts';
import { LUKS_MAGIC, LUKS_MAGIC_SECOND, luks2Sizes } from './luks.layout.ts';
import { type SectorCipher, sectorCipher } from './sector-cipher.ts';
import { unlock } from './unlock.ts';

/** Bytes that are decrypted between two looks at the caller's signal. */
const PART_BYTES = 1 << 20;

/** The decrypted bytes; it does not own the disk. */
class DecryptedSource implements BlockSource {
  readonly size: number;
  readonly sectorSize: number;
  readonly #disk: BlockSource;
  readonly #start: number;
  readonly #firstSector: number;
  readonly #cipher: SectorCipher;

  constructor(disk: BlockSource, { offset, ivTweak, sectorBytes }: Pick<LuksHeader['segment'], 'offset' | 'ivTweak' | 'sectorBytes'>, size: number, cipher: SectorCipher) {
    this.size = size;
    this.sectorSize = sectorBytes;
    this.#disk = disk;
    this.#start = offset;
    this.#firstSector = ivTweak;
    this.#cipher = cipher;
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this, offset, target.length, 'encrypted volume');
    for (let at = 0; at < target.length; at += PART_BYTES) {
      if (options?.signal?.aborted === true) throw new AbortedError();
      await this.#readPart(offset + at, target.subarray(at, at + PART_BYTES), options);
    }
  }

  async #readPart(offset: number, target: Uint8Array, options: ReadOptions | undefined): Promise<void> {
    const { sectorSize } = this;
    const first = Math.floor(offset / sectorSize) * sectorSize;
    const end = Math.ceil((offset + target.length) / sectorSize) * sectorSize;
    const whole = first === offset && end === offset + target.length;
    const bytes = whole ? target : new Uint8Array(end - first);
    await this.#disk.readInto(this.#start + first, bytes, options);
    this.#cipher.decrypt(this.#firstSector + first / 512, bytes);
    if (!whole) target.set(bytes.subarray(offset - first, offset - first + target.length));
  }

  // A hole of the disk is not zeroes once it is decrypted.
  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'encrypted volume extents');
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function versionOf(disk: BlockSource): Promise<number | undefined> {
  if (!(await hasMagic(disk, 0, LUKS_MAGIC)) || disk.size < 8) return undefined;
  const bytes = await readStructure(disk, 6, 2, 'LUKS header');
  return (bytes[0] as number) << 8 | (bytes[1] as number);
}

/**
 * Reads the header of either version. LUKS2's second header is used where the first one is gone.
 * @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError}
 */
export async function readLuksHeader(disk: BlockSource, limits: Limits): Promise<LuksHeader> {
  const version = await versionOf(disk);
  if (version === 1) return readLuks1(disk);
  if (version === undefined) {
    let second = false;
    for (const size of luks2Sizes) second ||= await hasMagic(disk, size, LUKS_MAGIC_SECOND);
    if (!second) throw new FormatError('Open encrypted volume', { structure: 'LUKS header', field: 'magic', offset: 0, expected: 'LUKS and ba be' });
  } else if (version !== 2) throw new UnsupportedError(`Open encrypted volume: LUKS version '${version}' is not known`);
  return readLuks2(disk, limits);
}

async function cipherOf(disk: BlockSource, header: LuksHeader, { keys, limits }: OpenContext): Promise<SectorCipher> {
  const key = await unlock(disk, header, keys ?? [], limits);
  return sectorCipher(header.segment.encryption, key, header.segment.sectorBytes);
}

/**
 * A file whose sectors are encrypted each by its place in the file, under a LUKS header that is kept elsewhere: qcow2 has it so. The source owns
 * neither. @throws {FormatError} @throws {UnsupportedError} @throws {NotFoundError} no key fits.
 */
export async function decryptedFile(headerSource: BlockSource, file: BlockSource, context: OpenContext): Promise<BlockSource> {
  const header = await readLuksHeader(headerSource, context.limits);
  const { sectorBytes } = header.segment;
  return new DecryptedSource(file, { offset: 0, ivTweak: 0, sectorBytes }, Math.floor(file.size / sectorBytes) * sectorBytes, await cipherOf(headerSource, header, context));
}

async function openVolume(disk: BlockSource, header: LuksHeader, size: number, context: OpenContext): Promise<BlockSource> {
  const { segment } = header;
  if (segment.offset === 0) throw new UnsupportedError('Open encrypted volume: its header is detached, the encrypted bytes are on another disk');
  if (segment.offset + size > disk.size || size <= 0) {
    throw new FormatError('Open encrypted volume', { structure: 'LUKS header', field: header.version === 1 ? 'payload-offset' : 'segment', found: segment.offset, expected: `at most ${disk.size - Math.max(size, segment.sectorBytes)}: the disk ends there` });
  }
  return new DecryptedSource(disk, segment, size, await cipherOf(disk, header, context));
}

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  const version = await versionOf(source);
  if (version === undefined) return { match: 'no' };
  if (version === 1 || version === 2) return { match: 'yes', version: String(version) };
  return { match: 'damaged', reason: `LUKS version '${version}' is not known` };
}

async function open(sources: readonly BlockSource[], context: OpenContext): Promise<VolumeTable> {
  const disk = onlySource(sources, 'LUKS');
  const header = await readLuksHeader(disk, context.limits);
  const { segment, version, uuid, label, remarks } = header;
  const size = segment.length ?? Math.max(0, Math.floor((disk.size - segment.offset) / segment.sectorBytes) * segment.sectorBytes);
  return tableOf({
    facts: { format: 'luks', version: String(version), uuid, sectorSize: segment.sectorBytes, remarks, ...(label === undefined ? {} : { name: label }) },
    volumes: [{ step: 'luks', type: segment.encryption, uuid, size, open: () => openVolume(disk, header, size, context) }],
    sources, problems: remarks.map((message) => ({ kind: 'damaged-table', where: 'LUKS2 header', message })),
  });
}

/** LUKS containers. */
export const luksDriver: VolumeTableDriver = { name: 'luks', probe, open };
