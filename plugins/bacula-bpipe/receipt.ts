/**
 * What Bacula keeps on its volumes instead of the data: a small text that names a snapshot and says what it holds. Layout: `docs/formats/bpipe-receipt.md`.
 * A cut, flipped or foreign text is refused, so a restore never begins from one.
 */
import { FormatError, IntegrityError, LimitError } from '../../src/core/index.ts';
import type { SnapshotInfo } from '../../src/engine/index.ts';
import { decodeDocument, encodeDocument } from '../../src/engine/objects/index.ts';

/** One backup by one plugin line. */
export interface Receipt {
  /** Id of the repository, 64 hexadecimal digits. */
  readonly repository: string;
  /** Id of the snapshot, 64 hexadecimal digits. */
  readonly snapshot: string;
  /** Files and directories under their paths, or one stream under a name. */
  readonly kind: 'tree' | 'stream';
  /** Paths of a tree; the name of a stream. */
  readonly sources: readonly string[];
  /** Start of the backup, milliseconds since 1970. */
  readonly time: number;
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Of file content. */
  readonly bytes: number;
  /** Entries that could not be stored as they should: with any, the backup is incomplete. */
  readonly problems: number;
}

const KIND = { kind: 'receipt', version: 1 } as const;
const COUNTS = ['time', 'files', 'directories', 'others', 'bytes', 'problems'] as const;

/** Longest text that is looked at: a million of sources would not make sense in a FileSet. */
export const receiptBytesMax: number = 1 << 20;

/** The receipt of a snapshot. */
export function receiptOf(repository: string, kind: Receipt['kind'], { id, sources, time, counts }: SnapshotInfo): Receipt {
  const { files, directories, others, bytes, problems } = counts;
  return { repository, snapshot: id, kind, sources, time, files, directories, others, bytes, problems };
}

/** @throws {LimitError} too many or too long sources. */
export function encodeReceipt(receipt: Receipt): Uint8Array {
  const bytes = encodeDocument(KIND, receipt);
  if (bytes.length > receiptBytesMax) throw new LimitError('receiptBytesMax', bytes.length, receiptBytesMax, 'sources for a receipt');
  return bytes;
}

/** @throws {FormatError} no receipt. @throws {UnsupportedError} another version. @throws {IntegrityError} cut or changed. @throws {LimitError} too long. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  if (bytes.length > receiptBytesMax) throw new LimitError('receiptBytesMax', bytes.length, receiptBytesMax, 'receipt');
  const body = decodeDocument(bytes, KIND, 'Read receipt');
  const demand = (field: string, holds: boolean, expected: string): void => {
    if (!holds) throw new FormatError('Read receipt', { structure: 'receipt', field, found: JSON.stringify(body[field]) ?? 'nothing', expected });
  };
  for (const field of ['repository', 'snapshot']) demand(field, typeof body[field] === 'string' && /^[0-9a-f]{64}$/.test(body[field]), '64 hexadecimal digits');
  demand('kind', body['kind'] === 'tree' || body['kind'] === 'stream', 'tree or stream');
  const { sources } = body;
  demand('sources', Array.isArray(sources) && sources.length > 0 && sources.every((one) => typeof one === 'string' && one !== ''), 'a list of texts');
  for (const field of COUNTS) demand(field, Number.isSafeInteger(body[field]) && (body[field] as number) >= 0, 'a whole number');
  return body as unknown as Receipt;
}

/** Compares a receipt with what the repository says now. @throws {IntegrityError} when they differ. */
export function demandSame(receipt: Receipt, found: Receipt): void {
  const [expected, is] = [JSON.stringify(receipt, Object.keys(found).sort()), JSON.stringify(found, Object.keys(found).sort())];
  if (expected !== is) throw new IntegrityError(`Compare snapshot '${found.snapshot}' with its receipt: found '${is}', expected '${expected}'`);
}
