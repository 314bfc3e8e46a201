/** The journal's own superblock, and what it says about the blocks of the log. */
import { FormatError, IntegrityError, readRange, UnsupportedError, type BlockSource } from '../../../core/index.ts';
import { chainCrc, chainCrcAround } from './checksum.ts';
import { FC_BLOCKS_DEFAULT } from './fast-commit.layout.ts';
import { JOURNAL_BLOCK, JOURNAL_FEATURE, JOURNAL_MAGIC, journalLayout } from './journal.layout.ts';

const STRUCTURE = journalLayout.name;
const HEAD_BYTES = 1024;

/** The shape of a log; blocks are numbers in the journal. */
export interface JournalHead {
  readonly blockBytes: number;
  readonly first: number;
  /** Behind the last block of the log. */
  readonly last: number;
  /** First transaction that is not known to be in its place, and its first block; 0 when all are. */
  readonly sequence: number;
  readonly start: number;
  readonly error: number;
  readonly wideTags: boolean;
  readonly asyncCommit: boolean;
  /** `v1` is over the blocks of a transaction, in its commit block; the others are in each block and tag. */
  readonly checksums: 'none' | 'v1' | 'v2' | 'v3';
  readonly seed: number;
  /** Blocks behind the log for fast commits: the first, and behind the last; absent without the feature. */
  readonly fastCommits?: { readonly first: number; readonly end: number };
}

function fault(field: keyof typeof journalLayout.offsets, found: number, expected: string): FormatError {
  return new FormatError('Read ext journal', { structure: STRUCTURE, field, offset: journalLayout.offsets[field], found, expected });
}

type View = ReturnType<typeof journalLayout.view>;

function checksumsOf(view: View): JournalHead['checksums'] {
  if ((view.s_feature_incompat & JOURNAL_FEATURE.csum_v3) !== 0) return 'v3';
  if ((view.s_feature_incompat & JOURNAL_FEATURE.csum_v2) !== 0) return 'v2';
  return (view.s_feature_compat & JOURNAL_FEATURE.checksum) === 0 ? 'none' : 'v1';
}

function verify(bytes: Uint8Array, view: View): void {
  if (view.s_checksum_type !== 4) throw fault('s_checksum_type', view.s_checksum_type, '4 (CRC-32C)');
  const found = chainCrcAround(0xffff_ffff, bytes, journalLayout.offsets.s_checksum, 4);
  if (found !== view.s_checksum) throw new IntegrityError(`Read ext journal: s_checksum is '${view.s_checksum}', its bytes give '${found}'`, { structure: STRUCTURE, field: 's_checksum' });
}

/** Reads it from the content of the journal's inode. @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} */
export async function readJournalHead(content: BlockSource, blockBytes: number): Promise<JournalHead> {
  const bytes = await readRange(content, 0, Math.min(content.size, HEAD_BYTES));
  const view = journalLayout.view(bytes);
  if (view.h_magic !== JOURNAL_MAGIC) throw fault('h_magic', view.h_magic, String(JOURNAL_MAGIC));
  const isOld = view.h_blocktype === JOURNAL_BLOCK.superblock_v1;
  if (!isOld && view.h_blocktype !== JOURNAL_BLOCK.superblock_v2) throw fault('h_blocktype', view.h_blocktype, '3 or 4');
  if (view.s_blocksize !== blockBytes) throw fault('s_blocksize', view.s_blocksize, String(blockBytes));
  const incompat = isOld ? 0 : view.s_feature_incompat;
  const known = Object.values(JOURNAL_FEATURE).reduce((all, bit) => all | bit, 0);
  const unknown = (incompat & ~known) >>> 0;
  if (unknown !== 0) throw new UnsupportedError(`Replay ext journal: s_feature_incompat has unknown features '0x${unknown.toString(16)}'`, { unknown });
  const checksums = isOld ? 'none' : checksumsOf(view);
  if (checksums === 'v2' || checksums === 'v3') verify(bytes, view);
  const hasFast = (incompat & JOURNAL_FEATURE.fast_commit) !== 0;
  const last = view.s_maxlen - (hasFast ? view.s_num_fc_blks === 0 ? FC_BLOCKS_DEFAULT : view.s_num_fc_blks : 0);
  const { s_first: first, s_start: start } = view;
  if (view.s_maxlen * blockBytes > content.size) throw fault('s_maxlen', view.s_maxlen, `at most ${Math.floor(content.size / blockBytes)}: blocks of the journal`);
  if (first === 0 || first >= last) throw fault('s_first', first, `1 to ${last - 1}`);
  if (start !== 0 && (start < first || start >= last)) throw fault('s_start', start, `0, or ${first} to ${last - 1}`);
  return {
    blockBytes, first, last, sequence: view.s_sequence, start, error: view.s_errno, wideTags: (incompat & JOURNAL_FEATURE['64bit']) !== 0,
    asyncCommit: (incompat & JOURNAL_FEATURE.async_commit) !== 0, checksums, seed: chainCrc(0xffff_ffff, view.s_uuid), ...(hasFast ? { fastCommits: { first: last + 1, end: view.s_maxlen } } : {}),
  };
}
