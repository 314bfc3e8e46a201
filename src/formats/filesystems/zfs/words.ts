/** 64-bit little-endian words of ZFS structures as numbers. */
import { FormatError } from '../../../core/index.ts';

/** Names a place for errors. */
export interface WordPlace {
  readonly structure: string;
  readonly field: string;
}

/** A view of exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A word that must be at most 2^53 − 1. @throws {FormatError} when it is larger. */
export function wordAt(view: DataView, at: number, place: WordPlace): number {
  const high = view.getUint32(at + 4, true);
  const low = view.getUint32(at, true);
  if (high > 0x1f_ffff) throw new FormatError('Read 64-bit word', { ...place, offset: at, found: `${high}·2^32+${low}`, expected: 'at most 2^53-1' });
  return high * 0x1_0000_0000 + low;
}

/** A signed word; undefined when it needs more than 53 bits. */
export function signedWordAt(view: DataView, at: number): number | undefined {
  const value = view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
  return Number.isSafeInteger(value) ? value : undefined;
}
