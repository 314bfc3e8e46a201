/**
 * The superblock: that at the start, or one of its copies, which begin each allocation group. Copies have the sizes and features, but counters, and
 * in most of them the number of the root directory, are as mkfs left them.
 * Source: "XFS Algorithms & Data Structures", "Superblocks".
 */
import { type BlockSource, crc32c, FormatError, IntegrityError, readRange, textOf, UnsupportedError } from '../../../core/index.ts';
import { type GeometryFacts, XfsGeometry } from './geometry.ts';
import { wide } from './wide.ts';
import { INCOMPATIBLE, MAGIC, superblockLayout, VERSION } from './xfs.layout.ts';

/** What is known of a filesystem from its superblock. */
export interface Superblock {
  readonly geometry: XfsGeometry;
  readonly label: string;
  readonly uuid: Uint8Array;
  readonly freeBlocks: number;
  readonly logIncompatible: number;
  /** Set when a copy had to do. */
  readonly remarks: readonly string[];
}

type View = ReturnType<typeof superblockLayout.view>;

const ACTION = 'Read XFS superblock';
const SECTOR_BYTES_MAX = 32_768;
const GROUPS_PROBED = 64;
/** Bytes of the largest allocation group. */
const GROUP_BYTES_MAX = 2 ** 40;
const KNOWN = Object.values(INCOMPATIBLE).reduce((all, bit) => all | bit, 0);

function fault(field: string, found: string | number, expected: string): FormatError {
  return new FormatError(ACTION, { structure: superblockLayout.name, field, offset: superblockLayout.offsets[field as keyof typeof superblockLayout.offsets], found, expected });
}

function powerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/** Bits that a group's size needs. */
function bitsFor(count: number): number {
  return Math.ceil(Math.log2(count));
}

function checkSizes(view: View): void {
  const { sb_blocksize: block, sb_sectsize: sector, sb_inodesize: inode, sb_agblocks: group, sb_agcount: groups, sb_dblocks: blocks } = view;
  if (!powerOfTwo(block) || block < 512 || block > 65_536) throw fault('sb_blocksize', block, 'a power of two from 512 to 65536');
  if (view.sb_blocklog !== Math.log2(block)) throw fault('sb_blocklog', view.sb_blocklog, String(Math.log2(block)));
  if (!powerOfTwo(sector) || sector < 512 || sector > SECTOR_BYTES_MAX || sector > block) throw fault('sb_sectsize', sector, `a power of two from 512 to ${Math.min(block, SECTOR_BYTES_MAX)}`);
  if (!powerOfTwo(inode) || inode < 256 || inode > 2048 || inode > block / 2) throw fault('sb_inodesize', inode, `a power of two from 256 to ${Math.min(2048, block / 2)}`);
  if (view.sb_inopblog !== Math.log2(block / inode)) throw fault('sb_inopblog', view.sb_inopblog, String(Math.log2(block / inode)));
  if (group < 2 || view.sb_agblklog !== bitsFor(group)) throw fault('sb_agblklog', view.sb_agblklog, `${bitsFor(Math.max(2, group))}, for groups of ${group} blocks`);
  if (groups < 1 || blocks > groups * group || blocks <= (groups - 1) * group) throw fault('sb_dblocks', blocks, `${groups} groups of ${group} blocks, the last one shorter`);
  if (!Number.isSafeInteger(groups * 2 ** (view.sb_agblklog + view.sb_inopblog)) || !Number.isSafeInteger(blocks * block)) throw new UnsupportedError(`Open XFS: '${blocks}' blocks of ${block} bytes, more than 2^53 bytes or inodes`);
  if (view.sb_dirblklog + view.sb_blocklog > 16) throw fault('sb_dirblklog', view.sb_dirblklog, `at most ${16 - view.sb_blocklog}`);
  if (view.sb_inprogress > 1) throw fault('sb_inprogress', view.sb_inprogress, '0 or 1');
}

/** @throws {UnsupportedError} for what a reader must know and this one does not. */
function checkFeatures(view: View): void {
  const version = view.sb_versionnum & VERSION.number;
  if (version !== 4 && version !== 5) throw new UnsupportedError(`Open XFS: version '${version}', expected 4 or 5`);
  if ((view.sb_versionnum & VERSION.directory2) === 0) throw new UnsupportedError('Open XFS: directories of version 1, as IRIX made them, are not read');
  if (version === 4) return;
  const incompatible = view.sb_features_incompat;
  if ((incompatible & INCOMPATIBLE.needsRepair) !== 0) throw new UnsupportedError('Open XFS: the feature NEEDSREPAIR says that the filesystem must be repaired before use');
  const unknown = (incompatible & ~KNOWN) >>> 0;
  if (unknown !== 0) throw new UnsupportedError(`Open XFS: incompatible features ${featureNames(unknown)} are not known`, { features: unknown });
}

function featureNames(bits: number): string {
  const later: Readonly<Record<number, string>> = { 0x100: 'METADIR', 0x200: 'ZONED', 0x400: 'ZONE_GAPS' };
  const names: string[] = [];
  for (let bit = 0; bit < 32; bit += 1) {
    const value = 2 ** bit;
    if ((bits & value) !== 0) names.push(`'${later[value] ?? `bit ${bit}`}'`);
  }
  return names.join(', ');
}

function geometryOf(view: View, rootInode: number): GeometryFacts {
  const isV5 = (view.sb_versionnum & VERSION.number) === 5;
  const incompatible = isV5 ? view.sb_features_incompat : 0;
  const features2 = (view.sb_versionnum & VERSION.moreBits) === 0 ? 0 : view.sb_features2;
  return {
    version: isV5 ? 5 : 4, blockBytes: view.sb_blocksize, sectorBytes: view.sb_sectsize, inodeBytes: view.sb_inodesize,
    directoryBytes: view.sb_blocksize * 2 ** view.sb_dirblklog, blocks: view.sb_dblocks, groupBlocks: view.sb_agblocks, groups: view.sb_agcount,
    groupBits: view.sb_agblklog, inodeBits: view.sb_inopblog, inodeAlignment: view.sb_inoalignmt,
    fileTypes: isV5 ? (incompatible & INCOMPATIBLE.ftype) !== 0 : (features2 & VERSION.fileTypes2) !== 0,
    caseInsensitive: (view.sb_versionnum & VERSION.caseInsensitive) !== 0, sparseInodes: (incompatible & INCOMPATIBLE.sparseInodes) !== 0,
    metaUuid: ((incompatible & INCOMPATIBLE.metaUuid) === 0 ? view.sb_uuid : view.sb_meta_uuid).slice(), rootInode,
    log: { block: view.sb_logstart, blocks: view.sb_logblocks },
  };
}

async function sectorOf(source: BlockSource, at: number): Promise<Uint8Array | undefined> {
  const length = Math.min(SECTOR_BYTES_MAX, source.size - at);
  return at < 0 || length < 512 ? undefined : readRange(source, at, length);
}

/** The checksum is over the whole sector, as far as its own field counts as zero. */
function checksumHolds(bytes: Uint8Array, view: View): boolean {
  const { sb_crc: at } = superblockLayout.offsets;
  const sector = bytes.subarray(0, view.sb_sectsize);
  if (sector.length < at + 4) return false;
  const stored = new DataView(sector.buffer, sector.byteOffset).getUint32(at, true);
  return crc32c(sector.subarray(at + 4), crc32c(new Uint8Array(4), crc32c(sector.subarray(0, at)))) === stored;
}

/** @throws {FormatError} @throws {UnsupportedError} @throws {IntegrityError} when the bytes are no sound superblock. */
function parse(bytes: Uint8Array, trusted: boolean): View {
  const view = superblockLayout.view(bytes);
  if (view.sb_magicnum !== MAGIC.superblock) throw fault('sb_magicnum', view.sb_magicnum, String(MAGIC.superblock));
  if (!trusted && (view.sb_versionnum & VERSION.number) === 5 && !checksumHolds(bytes, view)) throw new IntegrityError(`${ACTION}: the checksum does not hold`, { structure: superblockLayout.name, field: 'sb_crc' });
  checkFeatures(view);
  checkSizes(view);
  return view;
}

function superblockOf(view: View, rootInode: number, remarks: readonly string[]): Superblock {
  const end = view.sb_fname.indexOf(0);
  const geometry = new XfsGeometry(geometryOf(view, rootInode));
  if (geometry.inodeAt(rootInode) === undefined) throw fault('sb_rootino', rootInode, `a number inside '${view.sb_agcount}' allocation groups`);
  return {
    geometry, label: textOf(end < 0 ? view.sb_fname : view.sb_fname.subarray(0, end)), uuid: view.sb_uuid.slice(), freeBlocks: view.sb_fdblocks,
    logIncompatible: geometry.isV5 ? view.sb_features_log_incompat : 0, remarks,
  };
}

/** Bytes at which a copy may begin: as the damaged one says, and as mkfs divides a device of this size. */
function* placesOfCopies(size: number, first: Uint8Array | undefined): Iterable<number> {
  if (first !== undefined && first.length >= superblockLayout.size) {
    const { sb_agblocks: group, sb_blocksize: block } = superblockLayout.view(first);
    if (group > 0 && block >= 512 && block <= 65_536 && powerOfTwo(block)) yield group * block;
  }
  for (const block of [4096, 1024, 512, 2048, 65_536, 16_384, 32_768, 8192]) {
    const blocks = Math.floor(size / block);
    for (let groups = 1; groups <= GROUPS_PROBED; groups += 1) yield Math.ceil(blocks / groups) * block;
    yield GROUP_BYTES_MAX - block;
    yield GROUP_BYTES_MAX;
  }
}

async function copyAt(source: BlockSource, at: number): Promise<View | undefined> {
  const bytes = await sectorOf(source, at);
  if (bytes === undefined || new DataView(bytes.buffer).getUint32(0) !== MAGIC.superblock) return undefined;
  try {
    return parse(bytes, false);
  } catch (error) {
    if (error instanceof FormatError || error instanceof IntegrityError) return undefined;
    throw error;
  }
}

/** A copy that has the root directory: mkfs puts it into the copy in the middle and the last one. */
async function fromCopies(source: BlockSource, first: Uint8Array | undefined, failure: FormatError | IntegrityError): Promise<Superblock> {
  const tried = new Set<number>();
  for (const place of placesOfCopies(source.size, first)) {
    if (place === 0 || tried.has(place)) continue;
    tried.add(place);
    const copy = await copyAt(source, place);
    if (copy === undefined) continue;
    const groupBytes = copy.sb_agblocks * copy.sb_blocksize;
    for (const group of [copy.sb_agcount - 1, Math.floor((copy.sb_agcount - 1) / 2), place / groupBytes]) {
      const other = group < 1 ? undefined : await copyAt(source, group * groupBytes);
      const root = other === undefined ? undefined : wide(other.sb_rootino, 0);
      if (other !== undefined && root !== undefined && root !== 0) {
        return superblockOf(other, root, [`the first superblock is damaged (${failure.message}): the copy in allocation group ${group} was used`]);
      }
    }
  }
  throw failure;
}

/**
 * Reads the superblock. `trusted`: its checksum is not looked at, as the log has changed it.
 * @throws {FormatError} @throws {IntegrityError} when no copy is sound, either. @throws {UnsupportedError}
 */
export async function readSuperblock(source: BlockSource, trusted = false): Promise<Superblock> {
  const bytes = await sectorOf(source, 0);
  try {
    if (bytes === undefined) throw fault('size', source.size, 'at least 512 bytes');
    const view = parse(bytes, trusted);
    const root = wide(view.sb_rootino, 0);
    if (root === undefined) throw fault('sb_rootino', 'null', 'an inode');
    return superblockOf(view, root, []);
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof IntegrityError)) throw error;
    return fromCopies(source, bytes, error);
  }
}
