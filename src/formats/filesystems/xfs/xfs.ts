/** XFS, versions 4 and 5. Source: "XFS Algorithms & Data Structures", 3rd edition. */
import { type BlockSource, HoldfastError, type ProbeVerdict, readRange, UnsupportedError, UsageError } from '../../../core/index.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemFacts } from '../filesystem.ts';
import { bareState, isCleanLog, type LogState, replayLog } from './log/replay.ts';
import { readSuperblock, type Superblock } from './superblock.ts';
import { XfsFilesystem } from './xfs-filesystem.ts';
import { MAGIC, VERSION } from './xfs.layout.ts';

/** Bits of `sb_features_log_incompat`: logged attribute changes. */
const LOG_KNOWN = 0x1;

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  let head: Uint8Array = new Uint8Array(VERSION.at + 2);
  try {
    head = await readRange(source, 0, head.length);
    if (new DataView(head.buffer).getUint32(0) !== MAGIC.superblock) return { match: 'no' };
    const { geometry } = await readSuperblock(source);
    return { match: 'yes', version: `v${geometry.facts.version}` };
  } catch (error) {
    if (error instanceof RangeError) return { match: 'no' };
    // Opening it says what is not read.
    if (error instanceof UnsupportedError) return { match: 'yes', version: `v${(head[VERSION.at + 1] as number) & VERSION.number}` };
    return { match: 'damaged', reason: error instanceof Error ? error.message : String(error) };
  }
}

/** As `xfs_admin -u` prints it. */
function uuidText(uuid: Uint8Array): string {
  return Buffer.from(uuid).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

async function logState(source: BlockSource, superblock: Superblock, context: FilesystemContext): Promise<{ readonly log: LogState; readonly remarks: readonly string[] }> {
  const { geometry, logIncompatible } = superblock;
  if (geometry.facts.log.block === 0) {
    return { log: bareState(source, false), remarks: ['its log is on another device: what is only in the log is not seen'] };
  }
  if (context.journal === 'ignore') {
    const clean = await isCleanLog(source, geometry).catch((error: unknown) => {
      if (error instanceof HoldfastError) return false;
      throw error;
    });
    return { log: bareState(source, clean), remarks: clean ? [] : ['the log has changes that were not asked for: files may be missing or old'] };
  }
  const log = await replayLog(source, geometry, context.limits);
  if (log.clean) return { log, remarks: [] };
  const remarks = [`not unmounted in order: ${log.transactions} transactions of the log were replayed in memory`];
  if (log.torn > 0) remarks.push(`the end of the log was not written whole: ${log.torn} of its records were left out, as the kernel does`);
  if ((logIncompatible & ~LOG_KNOWN) !== 0) remarks.push(`the log may have features '0x${logIncompatible.toString(16)}' that are not known; no item was of an unknown type`);
  return { log, remarks };
}

function factsOf(superblock: Superblock, clean: boolean, remarks: readonly string[]): FilesystemFacts {
  const { facts } = superblock.geometry;
  return {
    format: 'xfs', version: `xfs v${facts.version}`, ...(superblock.label === '' ? {} : { label: superblock.label }), uuid: uuidText(superblock.uuid), size: facts.blocks * facts.blockBytes,
    blockBytes: facts.blockBytes, ...(clean && superblock.remarks.length === 0 ? { freeBytes: superblock.freeBlocks * facts.blockBytes } : {}), clean, remarks: [...superblock.remarks, ...remarks],
  };
}

async function open(sources: readonly BlockSource[], context: FilesystemContext): Promise<Filesystem> {
  const [source] = sources;
  if (source === undefined || sources.length > 1) throw new UsageError(`Open XFS: '${sources.length}' devices, expected 1`);
  const onDisk = await readSuperblock(source);
  const { log, remarks } = await logState(source, onDisk, context);
  // The log may have grown the filesystem, or changed its features; what it says of a damaged one is not whole.
  const superblock = log.touches(0, 512) && onDisk.remarks.length === 0 ? await readSuperblock(log.source, true) : onDisk;
  return new XfsFilesystem({ log, geometry: superblock.geometry, facts: factsOf(superblock, log.clean, remarks), limits: context.limits });
}

/** The driver. */
export const xfsDriver: FilesystemDriver = { name: 'xfs', probe, open };
