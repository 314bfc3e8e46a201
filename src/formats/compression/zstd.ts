/** Zstandard frames of bounded size, decoded by fzstd. Source: RFC 8878. */
import { Decompress } from 'fzstd';
import { FormatError, HoldfastError, LimitError } from '../../core/index.ts';
import { ZSTD_MAGIC, zstdFrameLayout } from './zstd.layout.ts';

/** Section 3.1.1.1.2: an exponent of 5 bits above 2^10 and a mantissa of eighths. */
function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** Rejects a window that would make the decoder allocate more than `bytesMax` before the first byte comes out. */
function checkWindow(input: Uint8Array, bytesMax: number): void {
  const head = zstdFrameLayout.view(input);
  if (head.Magic_Number !== ZSTD_MAGIC) {
    throw new FormatError('Decode Zstandard frame', { structure: 'zstd_frame', field: 'Magic_Number', offset: 0, found: head.Magic_Number, expected: ZSTD_MAGIC });
  }
  const descriptor = head.Frame_Header_Descriptor;
  if ((descriptor & 0x20) !== 0) return checkContentSize(input, descriptor >> 6, descriptor & 3, bytesMax);
  const window = windowBytes(input[5] ?? 0);
  if (window > Math.max(bytesMax, 8 << 20)) throw new LimitError('window bytes', window, Math.max(bytesMax, 8 << 20), 'Zstandard frame');
}

/** A single-segment frame has no window field: its content is the window. */
function checkContentSize(input: Uint8Array, sizeFlag: number, dictionaryFlag: number, bytesMax: number): void {
  const at = 5 + [0, 1, 2, 4][dictionaryFlag]!;
  const width = [1, 2, 4, 8][sizeFlag]!;
  let size = width === 2 ? 256 : 0;
  for (let i = 0; i < width; i += 1) size += (input[at + i] ?? 0) * 2 ** (8 * i);
  if (size > bytesMax) throw new LimitError('content bytes', size, bytesMax, 'Zstandard frame');
}

/**
 * Decodes one Zstandard frame.
 * @returns a new buffer of at most `bytesMax` bytes, owned by the caller.
 * @throws {FormatError} not a frame or cut short. @throws {LimitError} more than `bytesMax`, or a window above it (at least 8 MiB is allowed).
 */
export function decodeZstd(input: Uint8Array, bytesMax: number): Uint8Array {
  checkWindow(input, bytesMax);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const decoder = new Decompress((part) => {
    bytes += part.length;
    if (bytes > bytesMax) throw new LimitError('expanded bytes', bytes, bytesMax, 'Zstandard frame');
    parts.push(part.slice());
  });
  try {
    decoder.push(input, true);
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new FormatError('Decode Zstandard frame', { structure: 'zstd_frame', field: 'blocks', found: (error as Error).message }, error);
  }
  return Buffer.concat(parts);
}
