/**
 * The log of a journal, replayed into a list of what is where: nothing is written, and no block is copied.
 * Source: Linux, Documentation/filesystems/ext4 (journal); the rules for damaged ends are those of fs/jbd2/recovery.c.
 */
import { checkLimit, FormatError, IntegrityError, readRange, type BlockSource, type Limits } from '../../../core/index.ts';
import { chainCrc, chainCrcAround } from './checksum.ts';
import { chainCrcBigEndian } from './journal-crc.ts';
import type { JournalHead } from './journal-head.ts';
import { JOURNAL_BLOCK, JOURNAL_FIELD, JOURNAL_MAGIC, TAG_FLAG } from './journal.layout.ts';

const STRUCTURE = 'ext journal block';
/** Bytes of memory that one replaced or revoked block takes. */
const ENTRY_BYTES = 64;

/** A block of the filesystem whose content is in the journal. */
export interface JournalledBlock {
  /** Block of the journal. */
  readonly at: number;
  /** Its first four bytes, which look like a header's, are zeroes there. */
  readonly escaped: boolean;
}

/** A tag of a descriptor block: where the next block of the journal belongs. */
interface Tag {
  readonly block: number;
  readonly escaped: boolean;
  readonly checksum: number;
}

/** Whether transaction `a` is `b` or came later; numbers wrap at 2^32. */
function isSince(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

/** Blocks of one log, in order, each once. */
class Walk {
  at: number;
  #left: number;
  readonly #head: JournalHead;

  constructor(head: JournalHead) {
    this.#head = head;
    this.at = head.start;
    this.#left = head.last - head.first;
  }

  /** The number of the next block. @throws {FormatError} when the log runs into its own beginning. */
  next(): number {
    if (this.#left === 0) throw new FormatError('Replay ext journal', { structure: STRUCTURE, field: 'h_sequence', found: this.#head.start, expected: 'a log that ends before it begins again' });
    this.#left -= 1;
    const { at } = this;
    this.at = at + 1 >= this.#head.last ? this.#head.first : at + 1;
    return at;
  }

  get isOver(): boolean {
    return this.#left === 0;
  }
}

/** See the header. */
export class JournalLog {
  readonly #content: BlockSource;
  readonly #head: JournalHead;
  readonly #limits: Limits;
  readonly #hasTails: boolean;
  /** Blocks that must not be replayed from transactions up to that one. */
  readonly #revoked = new Map<number, number>();
  readonly #blocks = new Map<number, JournalledBlock>();

  /** `content`: the journal's bytes. */
  constructor(content: BlockSource, head: JournalHead, limits: Limits) {
    this.#content = content;
    this.#head = head;
    this.#limits = limits;
    this.#hasTails = head.checksums === 'v2' || head.checksums === 'v3';
  }

  /**
   * Finds the last whole transaction, then what is revoked, then what is where.
   * @returns the blocks by their number in the filesystem, and the number of the transaction that would come next.
   * @throws {FormatError} @throws {LimitError} @throws {IntegrityError} when a transaction is damaged that is surely not the remains of an older log.
   */
  async replay(): Promise<{ readonly blocks: ReadonlyMap<number, JournalledBlock>; readonly end: number; readonly transactions: number }> {
    const { sequence } = this.#head;
    if (this.#head.start === 0) return { blocks: this.#blocks, end: sequence, transactions: 0 };
    const end = await this.#findEnd();
    await this.#pass(end, async (view, type, transaction, walk) => {
      if (type === JOURNAL_BLOCK.revoke) this.#revoke(view, transaction);
      else if (type === JOURNAL_BLOCK.descriptor) for (let i = this.#tags(view).length; i > 0; i -= 1) walk.next();
    });
    await this.#pass(end, async (view, type, transaction, walk) => {
      if (type !== JOURNAL_BLOCK.descriptor) return;
      this.#expectTail(view);
      for (const tag of this.#tags(view)) await this.#place(tag, walk.next(), transaction);
    });
    return { blocks: this.#blocks, end, transactions: (end - sequence) >>> 0 };
  }

  async #read(at: number): Promise<DataView> {
    const { blockBytes } = this.#head;
    return new DataView((await readRange(this.#content, at * blockBytes, blockBytes)).buffer);
  }

  /** The block at hand if it is a header's of that transaction. */
  #typeOf(view: DataView, transaction: number): number | undefined {
    if (view.getUint32(0) !== JOURNAL_MAGIC || view.getUint32(8) !== transaction) return undefined;
    return view.getUint32(4);
  }

  /** Goes over all blocks that are not data, up to transaction `end`. */
  async #pass(end: number, visit: (view: DataView, type: number, transaction: number, walk: Walk) => Promise<void>): Promise<void> {
    const walk = new Walk(this.#head);
    let transaction = this.#head.sequence;
    while (!isSince(transaction, end)) {
      const view = await this.#read(walk.next());
      const type = this.#typeOf(view, transaction);
      if (type === JOURNAL_BLOCK.commit) transaction = (transaction + 1) >>> 0;
      else if (type === undefined) throw new FormatError('Replay ext journal', { structure: STRUCTURE, field: 'h_sequence', found: view.getUint32(8), expected: transaction });
      else await visit(view, type, transaction, walk);
    }
  }

  /** The transaction behind the last whole one. */
  async #findEnd(): Promise<number> {
    const walk = new Walk(this.#head);
    let transaction = this.#head.sequence;
    let lastCommit = 0n;
    let suspicious = false;
    let crc = 0xffff_ffff;
    while (!walk.isOver) {
      const view = await this.#read(walk.next());
      const type = this.#typeOf(view, transaction);
      if (type === JOURNAL_BLOCK.descriptor) {
        suspicious ||= !this.#isSound(view);
        const count = this.#tags(view).length;
        if (this.#head.checksums === 'v1') crc = chainCrcBigEndian(crc, new Uint8Array(view.buffer));
        for (let i = 0; i < count; i += 1) {
          if (walk.isOver) return transaction;
          const at = walk.next();
          if (this.#head.checksums === 'v1') crc = chainCrcBigEndian(crc, new Uint8Array((await this.#read(at)).buffer));
        }
      } else if (type === JOURNAL_BLOCK.revoke) suspicious ||= !this.#isSound(view);
      else if (type === JOURNAL_BLOCK.commit) {
        const time = view.getBigUint64(JOURNAL_FIELD.h_commit_sec);
        if (suspicious || !this.#isCommitSound(view, crc)) {
          // Older than the transaction before it: it is from an earlier life of these blocks.
          if (time < lastCommit) return transaction;
          if (!suspicious && this.#head.asyncCommit) return transaction;
          throw new IntegrityError(`Replay ext journal: the checksum of transaction ${transaction} does not match; without its journal the filesystem can be read as it is`, { structure: STRUCTURE, field: 'h_chksum', transaction });
        }
        lastCommit = time;
        crc = 0xffff_ffff;
        transaction = (transaction + 1) >>> 0;
      } else return transaction;
    }
    return transaction;
  }

  /** Whether the checksum at the end of a descriptor or revoke block holds. */
  #isSound(view: DataView): boolean {
    if (!this.#hasTails) return true;
    const at = view.byteLength - JOURNAL_FIELD.tailBytes;
    return chainCrcAround(this.#head.seed, new Uint8Array(view.buffer), at, 4) === view.getUint32(at);
  }

  #expectTail(view: DataView): void {
    if (!this.#isSound(view)) throw new IntegrityError('Replay ext journal: the checksum of a descriptor block does not match', { structure: STRUCTURE, field: 't_checksum' });
  }

  #isCommitSound(view: DataView, crc: number): boolean {
    const stored = view.getUint32(JOURNAL_FIELD.h_chksum);
    if (this.#hasTails) {
      const whole = new Uint8Array(view.buffer);
      if (chainCrcAround(this.#head.seed, whole, JOURNAL_FIELD.h_chksum, 4) === stored) return true;
      // Only the sector with the header may have reached the disk.
      const header = new Uint8Array(whole.length);
      header.set(whole.subarray(0, JOURNAL_FIELD.commitBytes));
      return chainCrcAround(this.#head.seed, header, JOURNAL_FIELD.h_chksum, 4) === stored;
    }
    if (this.#head.checksums === 'none') return true;
    const [type, size] = [view.getUint8(JOURNAL_FIELD.h_chksum_type), view.getUint8(JOURNAL_FIELD.h_chksum_size)];
    return (type === 1 && size === 4 && stored === crc) || (type === 0 && size === 0 && stored === 0);
  }

  #tags(view: DataView): readonly Tag[] {
    const { checksums, wideTags } = this.#head;
    const bytes = checksums === 'v3' ? 16 : (wideTags ? 12 : 8) + (checksums === 'v2' ? 2 : 0);
    const end = view.byteLength - (this.#hasTails ? JOURNAL_FIELD.tailBytes : 0);
    const tags: Tag[] = [];
    for (let at: number = JOURNAL_FIELD.headerBytes; at + bytes <= end;) {
      const flags = view.getUint16(at + 6);
      const high = wideTags ? view.getUint32(at + 8) : 0;
      tags.push({ block: high * 2 ** 32 + view.getUint32(at), escaped: (flags & TAG_FLAG.escape) !== 0, checksum: checksums === 'v3' ? view.getUint32(at + 12) : view.getUint16(at + 4) });
      at += bytes + ((flags & TAG_FLAG.same_uuid) === 0 ? JOURNAL_FIELD.uuidBytes : 0);
      if ((flags & TAG_FLAG.last_tag) !== 0) break;
    }
    return tags;
  }

  #revoke(view: DataView, transaction: number): void {
    this.#expectTail(view);
    const bytes = this.#head.wideTags ? 8 : 4;
    const count = view.getUint32(JOURNAL_FIELD.r_count);
    const end = view.byteLength - (this.#hasTails ? JOURNAL_FIELD.tailBytes : 0);
    if (count > end) throw new FormatError('Replay ext journal', { structure: STRUCTURE, field: 'r_count', found: count, expected: `at most ${end}` });
    for (let at: number = JOURNAL_FIELD.r_records; at + bytes <= count; at += bytes) {
      const block = bytes === 8 ? view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4) : view.getUint32(at);
      const known = this.#revoked.get(block);
      if (known === undefined || isSince(transaction, known)) this.#revoked.set(block, transaction);
    }
    checkLimit(this.#limits, 'filesystemJournalBytesMax', this.#revoked.size * ENTRY_BYTES, 'revoked blocks of the ext journal');
  }

  async #place(tag: Tag, at: number, transaction: number): Promise<void> {
    const revoked = this.#revoked.get(tag.block);
    if (revoked !== undefined && isSince(revoked, transaction)) return;
    if (this.#hasTails) await this.#verify(tag, at, transaction);
    this.#blocks.set(tag.block, { at, escaped: tag.escaped });
    checkLimit(this.#limits, 'filesystemJournalBytesMax', this.#blocks.size * ENTRY_BYTES, 'blocks of the ext journal');
  }

  async #verify(tag: Tag, at: number, transaction: number): Promise<void> {
    const sequence = Uint8Array.of(transaction >>> 24, transaction >>> 16, transaction >>> 8, transaction);
    const crc = chainCrc(chainCrc(this.#head.seed, sequence), new Uint8Array((await this.#read(at)).buffer));
    const found = this.#head.checksums === 'v3' ? crc : crc & 0xffff;
    if (found === tag.checksum) return;
    throw new IntegrityError(`Replay ext journal: the checksum of block ${tag.block} in transaction ${transaction} does not match; without its journal the filesystem can be read as it is`, { structure: STRUCTURE, field: 't_checksum', transaction });
  }
}
