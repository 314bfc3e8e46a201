/** Where Zstandard frames end, so that bytes behind them do not disturb a decoder. Source: RFC 8878, section 3.1.1. */
import { FormatError } from '../../core/index.ts';

function fault(field: string, offset: number): FormatError {
  return new FormatError('Find end of Zstandard frame', { structure: 'zstd_frame', field, offset, expected: 'more bytes' });
}

function frameEnd(input: Uint8Array, start: number): number {
  const descriptor = input[start + 4];
  if (descriptor === undefined) throw fault('Frame_Header_Descriptor', start);
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = descriptor >> 6 === 0 ? (single ? 1 : 0) : 1 << (descriptor >> 6);
  let at = start + 5 + (single ? 0 : 1) + (descriptor & 3 ? 1 << ((descriptor & 3) - 1) : 0) + sizeBytes;
  for (let last = false; !last;) {
    if (at + 3 > input.length) throw fault('Block_Header', at);
    const header = (input[at] as number) | (input[at + 1] as number) << 8 | (input[at + 2] as number) << 16;
    last = (header & 1) !== 0;
    // A repeated block (type 1) stores its one byte, whatever its size is.
    at += 3 + ((header >> 1 & 3) === 1 ? 1 : header >> 3);
    if (at > input.length) throw fault('Block_Content', at);
  }
  const end = at + ((descriptor & 4) !== 0 ? 4 : 0);
  if (end > input.length) throw fault('Content_Checksum', at);
  return end;
}

/** Frames one behind the other; the caller stops when it has enough, what follows is never looked at. @throws {FormatError} when one is cut. */
export function* zstdFrames(input: Uint8Array, framesMax: number): Iterable<Uint8Array> {
  let at = 0;
  for (let count = 0; at < input.length && count < framesMax; count += 1) {
    const end = frameEnd(input, at);
    yield input.subarray(at, end);
    at = end;
  }
}
