/**
 * Transactions put together from the operations of records: each is a list of items of one or more regions, any of which may be cut by
 * the end of a record. Source: "XFS Algorithms & Data Structures", "Log Operations".
 */
import { checkLimit, FormatError, type Limits } from '../../../../core/index.ts';
import { CLIENTS, OPERATION, operationLayout, TRANSACTION_HEADER, TRANSACTION_MAGIC } from './log.layout.ts';
import type { LogRecord, Lsn } from './log-record.ts';

/** An item: its first region says what it is, the others are its data. */
export interface LogItem {
  readonly type: number;
  readonly regions: readonly Uint8Array[];
}

/** A transaction that was committed. */
export interface Transaction {
  /** Of the record in which it begins. */
  readonly lsn: Lsn;
  readonly items: readonly LogItem[];
}

interface Open {
  readonly lsn: Lsn;
  head: Uint8Array;
  readonly items: { readonly type: number; readonly total: number; readonly regions: Uint8Array[] }[];
  bytes: number;
}

function fault(field: string, found: string | number, expected: string): FormatError {
  return new FormatError('Replay XFS log', { structure: operationLayout.name, field, found, expected });
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

/** Collects operations; keeps what belongs to transactions that are not committed yet. */
export class TransactionCollector {
  readonly #limits: Limits;
  readonly #open = new Map<number, Open>();
  #bytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Takes the operations of a record. Regions are views of `data`.
   * @returns transactions that it commits, in order. @throws {FormatError} @throws {LimitError}
   */
  take(record: LogRecord, data: Uint8Array): readonly Transaction[] {
    const committed: Transaction[] = [];
    let at = 0;
    for (let i = 0; i < record.operations; i += 1) {
      if (at + operationLayout.size > data.length) throw fault('oh_len', at, `${record.operations} operations inside ${data.length} bytes`);
      const operation = operationLayout.view(data, at);
      const { oh_tid: id, oh_len: length, oh_flags: flags } = operation;
      if (!CLIENTS.includes(operation.oh_clientid)) throw fault('oh_clientid', operation.oh_clientid, CLIENTS.join(', '));
      at += operationLayout.size;
      if (at + length > data.length) throw fault('oh_len', length, `at most ${data.length - at}`);
      const done = this.#operation(id, flags, data.subarray(at, at + length), record.lsn);
      if (done !== undefined) committed.push(done);
      at += length;
    }
    return committed;
  }

  #operation(id: number, flags: number, bytes: Uint8Array, lsn: Lsn): Transaction | undefined {
    if ((flags & OPERATION.unmount) !== 0) return undefined;
    const open = this.#open.get(id);
    if (open === undefined) {
      // Parts of a transaction that began before the tail: it is on the disk.
      if ((flags & OPERATION.start) !== 0) this.#open.set(id, { lsn, head: new Uint8Array(0), items: [], bytes: 0 });
      return undefined;
    }
    if ((flags & OPERATION.commit) !== 0) {
      this.#open.delete(id);
      this.#bytes -= open.bytes;
      return { lsn: open.lsn, items: open.items };
    }
    this.#hold(open, bytes.length);
    // A start for an id that is in use happens when ids come around: what was there never got its commit.
    if ((flags & OPERATION.start) !== 0) this.#open.set(id, { lsn, head: new Uint8Array(0), items: [], bytes: 0 });
    else if ((flags & OPERATION.wasContinued) !== 0) this.#continue(open, bytes);
    else this.#add(open, bytes);
    return undefined;
  }

  #hold(open: Open, bytes: number): void {
    open.bytes += bytes;
    this.#bytes += bytes;
    checkLimit(this.#limits, 'filesystemJournalBytesMax', this.#bytes, 'XFS log: transactions that are open');
  }

  /** More of the region that the record before cut. */
  #continue(open: Open, bytes: Uint8Array): void {
    const regions = open.items.at(-1)?.regions;
    const last = regions?.pop();
    if (regions === undefined || last === undefined) {
      open.head = joined(open.head, bytes);
      if (open.head.length > TRANSACTION_HEADER) throw fault('oh_len', open.head.length, `${TRANSACTION_HEADER} bytes of a transaction's head`);
    } else regions.push(joined(last, bytes));
  }

  #add(open: Open, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (open.items.length === 0 && open.head.length === 0) {
      if (bytes.length > TRANSACTION_HEADER) throw fault('oh_len', bytes.length, `at most ${TRANSACTION_HEADER} bytes of a transaction's head`);
      if (bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) !== TRANSACTION_MAGIC) throw fault('th_magic', 'another', 'TRAN');
      open.head = bytes;
      return;
    }
    const last = open.items.at(-1);
    if (last !== undefined && last.regions.length < last.total) {
      last.regions.push(bytes);
      return;
    }
    if (bytes.length < 4) throw fault('oh_len', bytes.length, 'at least 4 bytes of an item');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const total = view.getUint16(2, true);
    if (total === 0) throw fault('size', 0, 'at least 1 region of an item');
    open.items.push({ type: view.getUint16(0, true), total, regions: [bytes] });
  }
}

/** An item's region. @throws {FormatError} when the item has fewer. */
export function regionOf(item: LogItem, index: number): Uint8Array {
  const region = item.regions[index];
  if (region === undefined) throw new FormatError('Replay XFS log', { structure: 'item', field: 'regions', found: item.regions.length, expected: `at least ${index + 1} for an item of type ${item.type}` });
  return region;
}
