/** Where a session begins: its start label, at the front of a block. */
import { HoldfastError } from '../../core/index.ts';
import { LABEL } from './block.layout.ts';
import { parseSessionStart, type SessionLabel } from './label.ts';
import { labelBytes } from './volume-head.ts';

/** Status of a job that was stopped, and may be restarted in its session. 15.0.3 writes it into an end label, 9.6.7 writes none then. */
export const STOPPED = 'I';

/** Whether a session begins with this block. On a device that cannot go back, a FIFO, the volume's label stands in front of it in the same block. */
export function startsWithSessionLabel(payload: Uint8Array): boolean {
  const at = labelBytes(payload);
  return at + 12 <= payload.length && new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getInt32(at) === LABEL.SOS_LABEL;
}

/** Whether a job that was stopped begins again with this block: its label once more, with a later time. A block that comes twice has the same time. */
export function isRestart(start: SessionLabel, payload: Uint8Array): boolean {
  if (!startsWithSessionLabel(payload)) return false;
  const at = labelBytes(payload);
  const size = new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(at + 8);
  try {
    const label = parseSessionStart(payload.subarray(at + 12, at + 12 + size));
    return label.jobId === start.jobId && label.time > start.time;
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return false; // it is met again as a record
  }
}

/**
 * Whether a job that Bacula spools goes on with this block: blocks are counted from 0 again whenever the spool has been emptied (measured, 9.6.7), records go on across that.
 * `open`: the record that was not whole yet; `lastIndex`: the last FileIndex. A block that comes twice does not fit behind them; blocks that are missing show by their records.
 */
export function isNextSpool(payload: Uint8Array, open: { readonly fileIndex: number; readonly stream: number; readonly remaining: number } | undefined, lastIndex: number): boolean {
  if (payload.length < 12) return false;
  const head = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const [fileIndex, stream, size] = [head.getInt32(0), head.getInt32(4), head.getUint32(8)];
  if (open !== undefined) return fileIndex === open.fileIndex && stream === -open.stream && size === open.remaining;
  return fileIndex === LABEL.EOS_LABEL || (stream >= 0 && fileIndex >= Math.max(1, lastIndex));
}
