/** The head of a volume: its label, and which session goes on behind it; enough to put volumes in order. */
import { type BlockSource, HoldfastError, type Limits, readRange, UnsupportedError } from '../../core/index.ts';
import { LABEL } from './block.layout.ts';
import { type BlockHead, HEAD_BYTES_MIN, openBlock, readBlockHead } from './block.ts';
import { sharedBlockHasher } from './checksum.ts';
import { parseVolumeLabel, type VolumeLabel } from './label.ts';

/** Bytes that a label block has at most where it holds nothing else; real ones have about 200. */
const LABEL_BYTES = 65_536;

/** FileIndex, Stream, length. */
export const RECORD_HEAD_BYTES = 12;

/** A volume's source and what its first block says. */
export interface VolumeHead {
  readonly name: string;
  readonly source: BlockSource;
  /** Undefined when the first block is damaged or no label. */
  readonly label: VolumeLabel | undefined;
  /** Why there is no label. */
  readonly fault: string | undefined;
}

/**
 * Reads the label of a block whose first record is one; undefined for other blocks.
 * @throws {FormatError} @throws {UnsupportedError}
 */
export function labelOfBlock(head: BlockHead, payload: Uint8Array): VolumeLabel | undefined {
  if (payload.length < RECORD_HEAD_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const fileIndex = view.getInt32(0);
  if (fileIndex !== LABEL.VOL_LABEL && fileIndex !== LABEL.PRE_LABEL) return undefined;
  const size = Math.min(view.getUint32(8), payload.length - 12);
  return parseVolumeLabel(payload.subarray(12, 12 + size), { id: head.sessionId, time: head.sessionTime }, view.getInt32(4));
}

/** Bytes of the volume's label with its record head at the start of a block; 0 when another record stands there. */
export function labelBytes(payload: Uint8Array): number {
  if (payload.length < RECORD_HEAD_BYTES) return 0;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const fileIndex = view.getInt32(0);
  return fileIndex === LABEL.VOL_LABEL || fileIndex === LABEL.PRE_LABEL ? RECORD_HEAD_BYTES + view.getUint32(8) : 0;
}

/** Reads the label. @throws {UnsupportedError} when it is that of an aligned, cloud or deduplicating volume. */
export async function readVolumeHead(name: string, source: BlockSource, limits: Limits): Promise<VolumeHead> {
  let bytes = await readRange(source, 0, Math.min(source.size, LABEL_BYTES));
  const none = (fault: string): VolumeHead => ({ name, source, label: undefined, fault });
  if (bytes.length < HEAD_BYTES_MIN) return none('the volume is shorter than a block head');
  const head = readBlockHead(bytes, 0, limits);
  if (typeof head === 'string' || head.size > source.size) return none('the first block is no label block');
  if (head.size > bytes.length) bytes = await readRange(source, 0, head.size);
  const block = bytes.subarray(0, head.size);
  if (openBlock(head, block, { hasher: await sharedBlockHasher() }) !== undefined) return none('the label block does not match its checksum');
  try {
    const label = labelOfBlock(head, block.subarray(head.headBytes));
    return label === undefined ? none('the first block is no label block') : { name, source, label, fault: undefined };
  } catch (error) {
    if (error instanceof UnsupportedError || !(error instanceof HoldfastError)) throw error;
    return none(error.message);
  }
}

/**
 * The order in which the volumes were written: by the time of their labels; a volume without a label keeps its place behind
 * the one given before it.
 * @returns the places in `heads`, in order.
 */
export function writtenOrder(heads: readonly VolumeHead[]): readonly number[] {
  let time = 0;
  const keys = heads.map((head, place) => {
    if (head.label !== undefined) time = Math.max(head.label.writeTime, head.label.labelTime);
    return { place, time, label: head.label };
  });
  keys.sort((a, b) => {
    const sameJob = a.label !== undefined && b.label !== undefined && a.label.sessionId !== 0
      && a.label.sessionId === b.label.sessionId && a.label.sessionTime === b.label.sessionTime;
    if (sameJob && a.label?.ordinal !== b.label?.ordinal) return (a.label?.ordinal ?? 0) - (b.label?.ordinal ?? 0);
    return a.time - b.time || a.place - b.place;
  });
  return keys.map((key) => key.place);
}
