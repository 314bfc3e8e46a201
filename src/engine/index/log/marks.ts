/** Watermarks as bytes. */
import { IntegrityError } from '../../../core/index.ts';
import type { Watermark } from '../../../core/index.ts';
import { MARK_BYTES } from './log.layout.ts';

/** 17 bytes each: u64 container, u64 offset, u8 sealed. */
export function encodeMarks(marks: readonly Watermark[]): Uint8Array {
  const bytes = Buffer.alloc(marks.length * MARK_BYTES);
  marks.forEach((mark, i) => {
    bytes.write(mark.container, i * MARK_BYTES, 'hex');
    bytes.writeUInt32BE(Math.floor(mark.offset / 0x1_0000_0000), i * MARK_BYTES + 8);
    bytes.writeUInt32BE(mark.offset % 0x1_0000_0000, i * MARK_BYTES + 12);
    bytes[i * MARK_BYTES + 16] = mark.sealed ? 1 : 0;
  });
  return bytes;
}

/** The inverse of {@link encodeMarks}. @throws {IntegrityError} a value that no writer makes. */
export function decodeMarks(bytes: Uint8Array, where: string): Watermark[] {
  const marks: Watermark[] = [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + MARK_BYTES <= buffer.length; at += MARK_BYTES) {
    const offset = buffer.readUInt32BE(at + 8) * 0x1_0000_0000 + buffer.readUInt32BE(at + 12);
    const sealed = buffer[at + 16] as number;
    if (!Number.isSafeInteger(offset) || sealed > 1) throw new IntegrityError(`Read '${where}': watermark at '${at}' is not one`, { where });
    marks.push({ container: buffer.toString('hex', at, at + 8), offset, sealed: sealed === 1 });
  }
  return marks;
}
