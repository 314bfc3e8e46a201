/**
 * The intent log of a dataset: what was promised to programs since the last transaction group, as a chain of blocks with records.
 * A chain ends where a block does not hold: the next one is always named before it is written.
 * Source: OpenZFS `include/sys/zil.h` (zil_header_t, zil_chain_t, lr_t), `module/zfs/zil.c` (comments).
 */
import { checkLimit, FormatError, IntegrityError } from '../../../core/index.ts';
import { BlockPointer, POINTER_BYTES } from './block-pointer.ts';
import type { ObjectSet } from './object-set.ts';
import { viewOf, wordAt } from './words.ts';

/** Bytes in front of the records of a block. */
export const LOG_CHAIN_BYTES = 184;
const NEXT_AT = 8;
const USED_AT = 136;
const RECORD_BYTES = 32;
/** Words of the checksum in a block's pointer: the last one counts the blocks. */
const SEQUENCE_AT = 24;
const BLOCKS_MAX = 1 << 20;

/** One record; `bytes` begins with its head and belongs to the caller. */
export interface LogRecord {
  /** Without the bit that says that names were compared without case. */
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

const place = (field: string): { readonly structure: string; readonly field: string } => ({ structure: 'zil', field });

/** Whether a log has a first block. */
export function hasIntentLog({ logHead }: ObjectSet): boolean {
  return !new BlockPointer(logHead.subarray(16, 16 + POINTER_BYTES)).hole;
}

/** The next block's pointer must carry the next number; all else of the identity stays. */
function follows(pointer: BlockPointer, next: Uint8Array): boolean {
  const expected = pointer.checksumBytes.slice();
  const view = viewOf(expected);
  view.setBigUint64(SEQUENCE_AT, view.getBigUint64(SEQUENCE_AT, true) + 1n, true);
  return Buffer.compare(expected, next.subarray(96, 128)) === 0;
}

function* recordsOf(block: Uint8Array, used: number): Iterable<LogRecord> {
  const whole = viewOf(block);
  for (let at = LOG_CHAIN_BYTES; at + RECORD_BYTES <= used;) {
    const length = wordAt(whole, at + 8, place('lrc_reclen'));
    if (length < RECORD_BYTES || length > used - at) throw new FormatError('Read ZFS intent log', { ...place('lrc_reclen'), offset: at, found: length, expected: `${RECORD_BYTES} to ${used - at}` });
    const bytes = block.slice(at, at + length);
    yield { type: viewOf(bytes).getUint32(0, true), bytes, view: viewOf(bytes) };
    at += length;
  }
}

/**
 * Reads the records that a replay would use, in order. `synced`: the transaction group that the rest of the pool is at.
 * @throws {FormatError} a record that cannot be. @throws {LimitError} @throws {UnsupportedError} an encrypted log without a key.
 */
export async function readIntentLog({ logHead, supply }: ObjectSet, synced: number): Promise<readonly LogRecord[]> {
  const head = viewOf(logHead);
  const claimed = wordAt(head, 0, place('zh_claim_txg'));
  const first = claimed === 0 ? synced + 1 : claimed;
  const replayed = wordAt(head, 8, place('zh_replay_seq'));
  const records: LogRecord[] = [];
  let bytes = 0;
  let pointer = new BlockPointer(logHead.slice(16, 16 + POINTER_BYTES));
  for (let blocks = 0; !pointer.hole && blocks < BLOCKS_MAX; blocks += 1) {
    let block: Uint8Array;
    try {
      block = await supply.reader.readLog(pointer, supply.cipher);
    } catch (error) {
      if (error instanceof IntegrityError || error instanceof FormatError) break;
      throw error;
    }
    const used = wordAt(viewOf(block), USED_AT, place('zc_nused'));
    const next = block.slice(NEXT_AT, NEXT_AT + POINTER_BYTES);
    if (used < LOG_CHAIN_BYTES || used > block.length || !follows(pointer, next)) break;
    for (const record of recordsOf(block, used)) {
      if (wordAt(record.view, 24, place('lrc_seq')) <= replayed || wordAt(record.view, 16, place('lrc_txg')) < first) continue;
      bytes += record.bytes.length;
      checkLimit(supply.reader.limits, 'filesystemJournalBytesMax', bytes, 'intent log of a ZFS dataset');
      records.push(record);
    }
    pointer = new BlockPointer(next);
  }
  return records;
}
