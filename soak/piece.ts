/**
 * The bytes of the corpus: each piece is a range of an endless keystream, so that a few numbers say what a file holds. Its digest is known without
 * reading the file, and a corpus can be made again at any time.
 */
import { createCipheriv, createHash } from 'node:crypto';

/**
 * What a range of a file holds. `random` does not compress, `text` compresses to about a half, `disk` begins with a boot sector and is random otherwise,
 * a `hole` has no bytes on disk.
 */
export type PieceKind = 'random' | 'text' | 'disk' | 'hole';

/** A range of a file. */
export interface Piece {
  readonly kind: PieceKind;
  /** Which keystream; no two streams share content. 0 for holes. */
  readonly stream: number;
  /** First byte within the stream. */
  readonly from: number;
  /** Bytes. */
  readonly length: number;
}

const BLOCK_BYTES = 16;
/** Bytes that are made at once. */
const SLICE_BYTES = 1 << 20;
const zeroSlice: Buffer = Buffer.alloc(SLICE_BYTES);

function keystream(seed: number, piece: Piece, from: number, length: number): Buffer {
  const key = createHash('sha256').update(`soak ${seed}/${piece.stream}`).digest().subarray(0, BLOCK_BYTES);
  const counter = Buffer.alloc(BLOCK_BYTES);
  counter.writeUInt32BE(Math.floor(from / BLOCK_BYTES), BLOCK_BYTES - 4);
  const skip = from % BLOCK_BYTES;
  return createCipheriv('aes-128-ctr', key, counter).update(Buffer.alloc(skip + length)).subarray(skip);
}

/** Two characters of text for each byte of the stream. */
function textBytes(seed: number, piece: Piece, from: number, length: number): Buffer {
  const first = Math.floor(from / 2);
  const digits = keystream(seed, piece, first, Math.ceil((from + length) / 2) - first).toString('hex');
  return Buffer.from(digits.slice(from % 2, from % 2 + length), 'latin1');
}

/** A partition table with one entry and the signature behind it; no piece of this kind is ever cut. */
function diskBytes(seed: number, piece: Piece, from: number, length: number): Buffer {
  const bytes = keystream(seed, piece, from, length);
  if (from > 0) return bytes;
  bytes.fill(0, 446, 510);
  bytes[450] = 0x83;
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}

const makers = { random: keystream, text: textBytes, disk: diskBytes } as const;

/** The bytes of a piece in slices of at most 1 MiB; a slice of a hole is shared and must not be changed. */
export function* pieceSlices(seed: number, piece: Piece): Generator<Buffer> {
  for (let at = 0; at < piece.length; at += SLICE_BYTES) {
    const length = Math.min(SLICE_BYTES, piece.length - at);
    if (piece.kind === 'hole') yield zeroSlice.subarray(0, length);
    else yield makers[piece.kind](seed, piece, piece.from + at, length);
  }
}

/** MD5 of a whole content, holes as zeroes, in hexadecimal. */
export function md5Of(seed: number, pieces: readonly Piece[]): string {
  const hash = createHash('md5');
  for (const piece of pieces) for (const slice of pieceSlices(seed, piece)) hash.update(slice);
  return hash.digest('hex');
}

/** Bytes of a content, holes included. */
export function sizeOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** Bytes of a content without its holes. */
export function dataBytesOf(pieces: readonly Piece[]): number {
  return sizeOf(pieces.filter((piece) => piece.kind !== 'hole'));
}

/** Holes shorter than this may come back as zeroes: the engine reads them like data. Source: `docs/soak.md`. */
const HOLE_BYTES_MIN = 64 * 1024;

/** Bytes that a copy of a content may occupy: all but its holes that are worth keeping. */
export function occupiedBytesOf(pieces: readonly Piece[]): number {
  let [total, hole] = [0, 0];
  for (const { kind, length } of [...pieces, { kind: 'end', length: 0 }]) {
    if (kind === 'hole') hole += length;
    else {
      total += length + (hole < HOLE_BYTES_MIN ? hole : 0);
      hole = 0;
    }
  }
  return total;
}

/** The part of a content from `from` to before `to`. */
export function slicePieces(pieces: readonly Piece[], from: number, to: number): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const [low, high] = [Math.max(from, at), Math.min(to, at + piece.length)];
    if (low < high) found.push({ ...piece, from: piece.from + (piece.kind === 'hole' ? 0 : low - at), length: high - low });
    at += piece.length;
  }
  return found;
}

/** A content in which `length` bytes at `offset` were replaced by `inserted`; 0 inserts. */
export function splicePieces(pieces: readonly Piece[], offset: number, length: number, inserted: readonly Piece[]): Piece[] {
  return [...slicePieces(pieces, 0, offset), ...inserted, ...slicePieces(pieces, offset + length, sizeOf(pieces))];
}

/** Bytes of different content in all the given pieces together: what a perfect deduplication without compression would keep. */
export function uniqueBytes(contents: Iterable<readonly Piece[]>): number {
  const ranges = new Map<number, [number, number][]>();
  for (const pieces of contents) {
    for (const { kind, stream, from, length } of pieces) {
      if (kind === 'hole') continue;
      const list = ranges.get(stream);
      if (list === undefined) ranges.set(stream, [[from, from + length]]);
      else list.push([from, from + length]);
    }
  }
  let total = 0;
  for (const list of ranges.values()) {
    let end = 0;
    for (const [low, high] of list.sort((a, b) => a[0] - b[0])) {
      total += Math.max(0, high - Math.max(low, end));
      end = Math.max(end, high);
    }
  }
  return total;
}
