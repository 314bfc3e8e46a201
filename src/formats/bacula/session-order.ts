/**
 * The order in which a job used its volumes, where that is not the order of their labels: with two drives, a job goes on at the end of an older volume that another job has left.
 * What stands at the borders says it: the first and the last block of the session on each volume.
 */
import type { BlockReader } from './block-reader.ts';
import type { BlockTable } from './block-table.ts';
import { RECORD_HEAD_BYTES } from './volume-head.ts';
import type { SessionIndex } from './session-index.ts';
import { frontOf, type HalfRecord, isNextSpool, isRestart, type RecordHead, sessionStartOf, startsWithSessionLabel } from './session-start.ts';
import type { SessionLabel } from './label.ts';

/** What a session has on one volume. */
interface Stay {
  readonly rows: Uint32Array;
  readonly firstNumber: number;
  readonly lastNumber: number;
  /** How the first block begins. */
  readonly front: RecordHead | undefined;
  readonly beginsWithLabel: boolean;
  readonly start: SessionLabel | undefined;
  /** Where the last block ends. */
  readonly open: HalfRecord | undefined;
  readonly lastIndex: number;
}

/**
 * Rows of all blocks of a session, volume by volume in the order in which they were written; undefined when it is the one in which they were read.
 * @throws {IntegrityError} a volume changed since it was read.
 */
export async function usedOrder(session: SessionIndex, table: BlockTable, reader: BlockReader): Promise<readonly Uint32Array[] | undefined> {
  const rows = new Uint32Array(session.blocks.rows + session.leftOut.rows);
  for (let i = 0; i < session.blocks.rows; i += 1) rows[i] = session.blocks.get(i);
  for (let i = 0; i < session.leftOut.rows; i += 1) rows[session.blocks.rows + i] = session.leftOut.get(i);
  rows.sort();
  const stays: Stay[] = [];
  for (let from = 0; from < rows.length;) {
    let to = from + 1;
    while (to < rows.length && table.volume.get(rows[to] as number) === table.volume.get(rows[from] as number)) to += 1;
    stays.push(await readStay(rows.subarray(from, to), table, reader));
    from = to;
  }
  const ordered = chained(stays);
  return ordered.every((stay, i) => stay === stays[i]) ? undefined : ordered.map((stay) => stay.rows);
}

async function readStay(rows: Uint32Array, table: BlockTable, reader: BlockReader): Promise<Stay> {
  const [firstRow, lastRow] = [rows[0] as number, rows[rows.length - 1] as number];
  const first = await copyOf(firstRow, reader);
  return {
    rows, firstNumber: table.number.get(firstRow), lastNumber: table.number.get(lastRow), front: frontOf(first), beginsWithLabel: startsWithSessionLabel(first), start: sessionStartOf(first),
    ...endOf(await copyOf(lastRow, reader)),
  };
}

/** Infinity where it begins with a label. */
function firstIndexOf({ front }: Stay): number {
  const { fileIndex } = front ?? { fileIndex: 0 };
  return fileIndex < 0 ? Infinity : fileIndex;
}

async function copyOf(row: number, reader: BlockReader): Promise<Uint8Array> {
  const lease = await reader.lease(row);
  const bytes = new Uint8Array(lease.payload);
  lease.release();
  return bytes;
}

function endOf(payload: Uint8Array): Pick<Stay, 'open' | 'lastIndex'> {
  const view = new DataView(payload.buffer);
  let [lastIndex, open]: [number, HalfRecord | undefined] = [0, undefined];
  for (let at = 0; at + RECORD_HEAD_BYTES <= payload.length;) {
    const [fileIndex, stream, size] = [view.getInt32(at), view.getInt32(at + 4), view.getUint32(at + 8)];
    if (fileIndex > 0) lastIndex = fileIndex;
    const missing = at + RECORD_HEAD_BYTES + size - payload.length;
    open = missing > 0 ? { fileIndex, stream: Math.abs(stream), remaining: missing } : undefined;
    at += RECORD_HEAD_BYTES + size;
  }
  return { open, lastIndex };
}

/** What begins the session, then what continues what stands before; where nothing does, something is missing, and the files' numbers and the volumes' order decide. */
function chained(stays: readonly Stay[]): readonly Stay[] {
  const rest = new Set(stays);
  const ordered: Stay[] = [];
  const start = best([...rest].filter((stay) => stay.start !== undefined && stay.firstNumber <= 1), (stay) => stay.start?.time ?? 0);
  for (let next = start ?? best([...rest], firstIndexOf); next !== undefined;) {
    ordered.push(next);
    rest.delete(next);
    const before = next;
    const fitting = [...rest].filter((stay) => follows(before, stay, start?.start));
    next = best(fitting.length > 0 ? fitting : [...rest], firstIndexOf);
  }
  return ordered;
}

/** The first of those with the least number. */
function best(stays: readonly Stay[], numberOf: (stay: Stay) => number): Stay | undefined {
  return stays.reduce<Stay | undefined>((least, stay) => (least === undefined || numberOf(stay) < numberOf(least) ? stay : least), undefined);
}

function follows(before: Stay, { front, firstNumber, beginsWithLabel, start: label }: Stay, start: SessionLabel | undefined): boolean {
  const fits = isNextSpool(front, before.open, before.lastIndex);
  if (firstNumber === before.lastNumber + 1) return fits || beginsWithLabel;
  return firstNumber === 0 && (fits || (start !== undefined && isRestart(start, label)));
}
