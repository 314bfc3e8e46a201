/** What kind of stream a file is, by its first bytes: kinds change in different ways, and each has its own grain. */
import { isDiskImage } from '../chunking/disk-image.ts';

/**
 * `image`: disks and filesystems; `packed`: compressed or encrypted, changes everywhere at once; `text`: logs, dumps, sources;
 * `binary`: programs, databases, everything else.
 */
export type StreamClass = 'image' | 'packed' | 'text' | 'binary';

/** All classes. */
export const streamClasses: readonly StreamClass[] = ['image', 'packed', 'text', 'binary'];

/** Bytes that decide between text and binary. */
const SAMPLE_BYTES = 4_096;

/** Source: the formats' public specifications. */
const packedMagics: readonly { readonly offset: number; readonly bytes: readonly number[] }[] = [
  { offset: 0, bytes: [0x1f, 0x8b] }, // gzip
  { offset: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] }, // zstd
  { offset: 0, bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a] }, // xz
  { offset: 0, bytes: [0x42, 0x5a, 0x68] }, // bzip2
  { offset: 0, bytes: [0x04, 0x22, 0x4d, 0x18] }, // lz4
  { offset: 0, bytes: [0x50, 0x4b, 0x03, 0x04] }, // zip, jar, office documents
  { offset: 0, bytes: [0x37, 0x7a, 0xbc, 0xaf] }, // 7z
  { offset: 0, bytes: [0x52, 0x61, 0x72, 0x21] }, // rar
  { offset: 0, bytes: [0xff, 0xd8, 0xff] }, // JPEG
  { offset: 0, bytes: [0x89, 0x50, 0x4e, 0x47] }, // PNG
  { offset: 4, bytes: [0x66, 0x74, 0x79, 0x70] }, // MP4 and its kin
  { offset: 0, bytes: [0x1a, 0x45, 0xdf, 0xa3] }, // Matroska
  { offset: 0, bytes: [0x4f, 0x67, 0x67, 0x53] }, // Ogg
];

function startsWith(head: Uint8Array, offset: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, i) => head[offset + i] === byte);
}

/** No control characters but blanks and escapes; UTF-8 and single-byte texts alike. */
function isText(head: Uint8Array): boolean {
  for (const byte of head.subarray(0, SAMPLE_BYTES)) if (byte < 32 && (byte < 7 || byte > 13) && byte !== 27) return false;
  return true;
}

/** The class of a file that begins with `head`, of which up to 66,000 bytes are looked at. */
export function classOf(head: Uint8Array): StreamClass {
  if (isDiskImage(head)) return 'image';
  if (packedMagics.some(({ offset, bytes }) => startsWith(head, offset, bytes))) return 'packed';
  return isText(head) ? 'text' : 'binary';
}
