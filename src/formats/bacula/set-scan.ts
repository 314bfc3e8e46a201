/** What a scan of all volumes collects: a table of blocks, the sessions with their files, and the problems. */
import { HoldfastError, type OpenContext } from '../../core/index.ts';
import type { BlockHead } from './block.ts';
import { FILE_TYPE } from './attributes.ts';
import type { BlockReader } from './block-reader.ts';
import { BlockTable } from './block-table.ts';
import { Column } from './column.ts';
import { PathTable } from './path-table.ts';
import { ProblemList } from './problem.ts';
import { SessionIndex } from './session-index.ts';
import { usedOrder } from './session-order.ts';
import type { SessionBlock } from './session-start.ts';
import { labelBytes, labelOfBlock, RECORD_HEAD_BYTES } from './volume-head.ts';
import type { ScanFault, ScanVisitor } from './volume-scan.ts';

/** Rows of the block table. */
interface ScannedVolume {
  readonly name: string;
  readonly firstRow: number;
  /** The first ones behind damage. */
  readonly damagedRows: Column;
}

/** Whether a volume has damage behind block `above` and before block `until`. */
function isDamaged({ damagedRows }: ScannedVolume, above: number, until: number): boolean {
  if (damagedRows.rows === 0) return false;
  const at = damagedRows.lowerBound(above + 1);
  return at < damagedRows.rows && damagedRows.get(at) <= until;
}

/** Takes the volumes one after the other, in the order they were written. */
export class SetScan implements ScanVisitor {
  readonly table: BlockTable = new BlockTable();
  readonly paths: PathTable;
  readonly problems: ProblemList = new ProblemList();
  readonly sessions: Map<string, SessionIndex> = new Map();
  readonly #context: OpenContext;
  readonly #volumes: ScannedVolume[] = [];
  #volume = 0;
  #name = '';
  #dataBlocks = 0;
  #sawChecksum = false;
  #unchecked = 0;
  #firstUnchecked: { readonly block: number; readonly offset: number } | undefined;

  constructor(context: OpenContext) {
    this.#context = context;
    this.paths = new PathTable(context.limits);
  }

  begin(volume: number, name: string): void {
    this.#volume = volume;
    this.#name = name;
    this.#dataBlocks = 0;
    this.#volumes[volume] = { name, firstRow: this.table.rows, damagedRows: new Column(1) };
    this.#sawChecksum = false;
    this.#unchecked = 0;
    this.#firstUnchecked = undefined;
  }

  /** Blocks with data on the current volume. */
  get dataBlocks(): number {
    return this.#dataBlocks;
  }

  knowsSession(sessionId: number, sessionTime: number): boolean {
    return this.sessions.has(`${sessionId}/${sessionTime}`);
  }

  fault(fault: ScanFault): void {
    const { damagedRows } = this.#volumes[this.#volume] as ScannedVolume;
    if (damagedRows.rows === 0 || damagedRows.get(damagedRows.rows - 1) !== this.table.rows) damagedRows.push(this.table.rows);
    const { kind, offset, message } = fault;
    this.problems.add(fault.block === undefined ? { kind, volume: this.#name, offset, message } : { kind, volume: this.#name, block: fault.block, offset, message });
  }

  block(head: BlockHead, block: Uint8Array, offset: number): void {
    const payload = block.subarray(head.headBytes);
    this.#checkChecksummed(head, offset);
    try {
      // Written to a FIFO, the block of the label holds the first records, too.
      if (labelOfBlock(head, payload) !== undefined && labelBytes(payload) + RECORD_HEAD_BYTES > payload.length) return;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      this.problems.add({ kind: 'bad-label', volume: this.#name, block: head.number, offset, message: error.message });
      return;
    }
    const key = `${head.sessionId}/${head.sessionTime}`;
    let session = this.sessions.get(key);
    if (session === undefined) this.sessions.set(key, session = this.#session(head.sessionId, head.sessionTime));
    const row = this.table.add(this.#volume, offset, head.size, head.number);
    session.add(this.#sessionBlock(row, payload, session.lastRow));
    this.#dataBlocks += 1;
  }

  #session(id: number, time: number): SessionIndex {
    return new SessionIndex(id, time, { limits: this.#context.limits, paths: this.paths, problems: this.problems });
  }

  #sessionBlock(row: number, payload: Uint8Array, previousRow: number): SessionBlock {
    const { table } = this;
    const [offset, volume] = [table.offset.get(row), this.#volumes[table.volume.get(row)] as ScannedVolume];
    return {
      row, volume: volume.name, number: table.number.get(row), offset, end: offset + table.size.get(row), payload, firstOnVolume: row === volume.firstRow,
      afterDamage: isDamaged(volume, -1, row), behindDamage: this.#isDamagedBetween(previousRow, row),
    };
  }

  /** A volume between the two may have had nothing but what is damaged. */
  #isDamagedBetween(previousRow: number, row: number): boolean {
    const to = this.table.volume.get(row);
    const from = previousRow < 0 ? to : this.table.volume.get(previousRow);
    const damaged = (volume: number, above: number, until: number): boolean => isDamaged(this.#volumes[volume] as ScannedVolume, above, until);
    if (from === to) return damaged(to, previousRow, row);
    for (let volume = Math.min(from, to) + 1; volume < Math.max(from, to); volume += 1) if (damaged(volume, -1, Infinity)) return true;
    return damaged(from, previousRow, Infinity) || damaged(to, -1, row);
  }

  /**
   * Takes jobs that used their volumes in another order than these were labelled in once more, in their own order. Each job has its own: two drives with volumes of one
   * pool may go on with what the other has left. To be called after the last volume. @throws {IntegrityError} a volume changed meanwhile.
   */
  async reorder(reader: BlockReader): Promise<void> {
    for (const [key, session] of this.sessions) {
      if (!session.breaksAtVolume) continue;
      const ordered = await usedOrder(session, this.table, reader);
      if (ordered === undefined) continue;
      this.problems.forget(session);
      const again = this.#session(session.id, session.time);
      for (const rows of ordered) {
        for (const row of rows) {
          this.#context.signal?.throwIfAborted();
          const lease = reader.tryLease(row) ?? await reader.lease(row);
          again.add(this.#sessionBlock(row, lease.payload, again.lastRow));
          lease.release();
        }
      }
      this.sessions.set(key, again);
    }
  }

  /** A volume has checksums on all blocks or on none: one without among others may be damaged where nothing else tells. */
  #checkChecksummed(head: BlockHead, offset: number): void {
    if (head.checksummed) this.#sawChecksum = true;
    else {
      this.#unchecked += 1;
      this.#firstUnchecked ??= { block: head.number, offset };
    }
  }

  /** Ends the scan. A Full whose Base job is on none of the volumes is not complete. */
  finish(lastVolume: string): void {
    const sessions = [...this.sessions.values()];
    for (const session of sessions) session.finish(lastVolume);
    this.paths.seal();
    if (!sessions.some(({ files }) => files.baseEntries > 0)) return;
    const held = new Uint8Array(this.paths.count);
    for (const { start, files } of sessions) {
      for (let row = 0; start?.level === 'B' && row < files.rows; row += 1) held[files.path.get(row)] = 1;
    }
    for (const { files, name, identity } of sessions) {
      let missing = 0;
      for (let row = 0; row < files.rows; row += 1) if (files.type.get(row) === FILE_TYPE.BASE && held[files.path.get(row)] === 0) missing += 1;
      if (missing === 0) continue;
      this.problems.add({ kind: 'missing-base', volume: '', ...identity, message: `Read ${name}: '${missing}' of its entries are in a Base job that is on none of these volumes; add those of the Base job that the catalog names for it` });
    }
  }

  /** Ends the current volume. */
  finishVolume(): void {
    const first = this.#firstUnchecked;
    if (first === undefined || !this.#sawChecksum) return;
    this.problems.add({
      kind: 'checksum-missing', volume: this.#name, ...first,
      message: `Read volume '${this.#name}' at offset ${first.offset}: block ${first.block} has no checksum where others have one ('${this.#unchecked}' such blocks)`,
    });
  }
}
