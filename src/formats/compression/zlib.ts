/** zlib streams (RFC 1950) of bounded size. */
import { inflateSync } from 'node:zlib';
import { FormatError, LimitError } from '../../core/index.ts';

/**
 * Inflates one complete zlib stream.
 * @returns a new buffer of at most `bytesMax` bytes, owned by the caller.
 * @throws {FormatError} not a zlib stream, cut short, or its Adler-32 does not hold. @throws {LimitError} more than `bytesMax`.
 */
export function decodeZlib(input: Uint8Array, bytesMax: number): Uint8Array {
  try {
    return inflateSync(input, { maxOutputLength: bytesMax });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ERR_BUFFER_TOO_LARGE') throw new LimitError('expanded bytes', bytesMax + 1, bytesMax, 'zlib stream');
    throw new FormatError('Inflate zlib stream', { structure: 'zlib', field: 'stream', found: code, expected: 'a complete stream' }, error);
  }
}
