/**
 * ext2, ext3 and ext4. All features that Linux 6 has are read but for encrypted content; what damages are survived: a superblock or group
 * descriptor of which there is a sound copy.
 * Source: Linux, Documentation/filesystems/ext4.
 */
import { HoldfastError, NotFoundError, readRange, type BlockSource, type Limits, type ProbeVerdict } from '../../../core/index.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemFacts } from '../filesystem.ts';
import { BlockReader } from './block-reader.ts';
import { Contents } from './contents.ts';
import { ExtTree, type ExtParts } from './ext-tree.ts';
import { readFastCommits, type FastCommitArea } from './fast-commit-log.ts';
import { replayFastCommits, type FastReplay } from './fast-commit.ts';
import { GroupTable } from './group-table.ts';
import { InodeTable } from './inode-table.ts';
import { replayJournal } from './journal.ts';
import { ProblemList } from '../problem-list.ts';
import { EXT_MAGIC, INCOMPAT, superblockLayout } from './superblock.layout.ts';
import { findSuperblockCopy, parseSuperblock, SUPERBLOCK_BYTES, uuidOf, versionOf, type ExtGeometry } from './superblock.ts';

const SUPERBLOCK_AT = 1024;

async function readFirst(source: BlockSource): Promise<Uint8Array> {
  const end = Math.min(source.size, SUPERBLOCK_AT + SUPERBLOCK_BYTES);
  return readRange(source, Math.min(end, SUPERBLOCK_AT), Math.max(0, end - SUPERBLOCK_AT));
}

function hasMagic(bytes: Uint8Array): boolean {
  const at = superblockLayout.offsets.s_magic;
  return bytes.length >= at + 2 && ((bytes[at] as number) | ((bytes[at + 1] as number) << 8)) === EXT_MAGIC;
}

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  try {
    const bytes = await readFirst(source);
    let reason = 'the first superblock is gone';
    if (hasMagic(bytes)) {
      try {
        return { match: 'yes', version: versionOf(parseSuperblock(bytes, SUPERBLOCK_AT)) };
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        reason = error.message;
      }
    }
    const copy = await findSuperblockCopy(source);
    if (copy !== undefined) return hasMagic(bytes) ? { match: 'yes', version: versionOf(copy) } : { match: 'damaged', reason: `${reason}; there is a copy at offset ${copy.superblockAt}` };
    return hasMagic(bytes) ? { match: 'damaged', reason } : { match: 'no' };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return { match: 'no' };
  }
}

/** The superblock in use: the first, or a copy when it is damaged. */
async function readGeometry(source: BlockSource, problems: ProblemList): Promise<ExtGeometry> {
  let failure: HoldfastError;
  try {
    return parseSuperblock(await readFirst(source), SUPERBLOCK_AT);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    failure = error;
  }
  const copy = failure.code === 'UNSUPPORTED' ? undefined : await findSuperblockCopy(source);
  if (copy === undefined) throw failure;
  problems.add('damaged-superblock', `offset ${SUPERBLOCK_AT}`, `${failure.message}; the copy at offset ${copy.superblockAt} is used`);
  return copy;
}

type Readers = Pick<ExtParts, 'blocks' | 'inodes' | 'contents'>;

/** What is on the disk, and what stands for parts of it. */
interface Disk {
  readonly source: BlockSource;
  readonly geometry: ExtGeometry;
  readonly replay?: FastReplay | undefined;
}

function readersOf({ source, geometry, replay }: Disk, problems: ProblemList, cacheBytes: number): Readers {
  const blocks = new BlockReader(source, geometry, Math.floor(cacheBytes / 4));
  const groups = new GroupTable(blocks, (group, error) => { problems.add('damaged-group-descriptor', `group ${group}`, `${error.message}; a copy is used`); });
  return { blocks, inodes: new InodeTable({ source, geometry, replaced: replay?.inodes }, groups, Math.floor(cacheBytes * 3 / 4)), contents: new Contents(source, blocks, replay?.ranges) };
}

function factsOf(geometry: ExtGeometry, source: BlockSource, clean: boolean, remarks: readonly string[]): FilesystemFacts {
  const size = geometry.blocks * geometry.blockBytes;
  const cut = size > source.size ? [`the image ends ${size - source.size} bytes before the filesystem does`] : [];
  const copy = geometry.superblockAt === SUPERBLOCK_AT ? [] : [`the first superblock is damaged: its copy at offset ${geometry.superblockAt} is used`];
  return {
    format: 'ext', version: versionOf(geometry), ...(geometry.label === '' ? {} : { label: geometry.label }), uuid: uuidOf(geometry), size, blockBytes: geometry.blockBytes,
    ...(clean ? { freeBytes: geometry.freeBlocks * geometry.blockBytes } : {}), clean, remarks: [...copy, ...cut, ...remarks],
  };
}

/** What fast commits add to a filesystem; with none of them when one is damaged, or says what is unknown here. */
async function replayFast(area: FastCommitArea, base: Disk & Readers, limits: Limits): Promise<{ readonly replay?: FastReplay; readonly remarks: readonly string[] }> {
  try {
    const { changes, commits } = await readFastCommits(area, base.geometry.inodeBytes, limits);
    if (commits === 0) return { remarks: [] };
    const replay = await replayFastCommits({ ...base, limits }, changes);
    return { replay, remarks: [`not unmounted: ${commits} fast commits behind the last transaction, ${changes.length} changes, are replayed in memory`] };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return { remarks: [`fast commits behind the last transaction of the journal are left out: ${error.message}`] };
  }
}

async function open(sources: readonly BlockSource[], context: FilesystemContext): Promise<Filesystem> {
  const [raw] = sources;
  if (raw === undefined || sources.length !== 1) throw new NotFoundError(`Open ext filesystem: found ${sources.length} sources, expected 1`);
  const { limits } = context;
  const problems = new ProblemList();
  const first = await readGeometry(raw, problems);
  const needsReplay = (first.incompat & INCOMPAT.recover) !== 0 || (first.superblockAt !== SUPERBLOCK_AT && first.journalInode !== 0);
  let replay: FastReplay | undefined;
  let [source, geometry, remarks]: [BlockSource, ExtGeometry, readonly string[]] = [raw, first, []];
  if (needsReplay && context.journal === 'ignore') remarks = ['not unmounted: what its journal holds is left out, as asked'];
  else if (needsReplay) {
    const readers = readersOf({ source: raw, geometry: first }, problems, limits.filesystemCacheBytesMax);
    const replayed = await replayJournal({ source: raw, geometry: first, ...readers, limits });
    ({ source, remarks } = replayed);
    // The journal may hold a newer superblock.
    if (source !== raw) geometry = await readGeometry(source, problems);
    if (replayed.fastCommits !== undefined) {
      const disk = { source, geometry };
      const fast = await replayFast(replayed.fastCommits, { ...disk, ...readersOf(disk, problems, limits.filesystemCacheBytesMax) }, limits);
      replay = fast.replay;
      remarks = [...remarks, ...fast.remarks];
    }
  }
  const readers = readersOf({ source, geometry, replay }, problems, limits.filesystemCacheBytesMax);
  const tree = new ExtTree({ source, ...readers, problems, limits, facts: factsOf(geometry, source, first.clean, remarks), changes: replay?.directories });
  await tree.stat(tree.rootId);
  return tree;
}

/** The reader of ext2, ext3 and ext4. */
export const extDriver: FilesystemDriver = Object.freeze({ name: 'ext', probe, open });
