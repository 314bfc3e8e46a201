/** One match of an LZ77 decoder. */
import { FormatError } from '../../../core/index.ts';

/** What is repeated; `structure` names the format in errors. */
export interface Match {
  readonly offset: number;
  readonly length: number;
  readonly structure: string;
}

/** Repeats bytes of `output` at `to`; returns where they end. @throws {FormatError} when the match leaves `output`. */
export function copyMatch(output: Uint8Array, to: number, { offset, length, structure }: Match): number {
  if (offset > to) throw new FormatError('Decode match', { structure, field: 'offset', found: offset, expected: `at most ${to}` });
  const end = to + length;
  if (end > output.length) throw new FormatError('Decode match', { structure, field: 'length', found: length, expected: `at most ${output.length - to}` });
  let from = to - offset;
  let at = to;
  // A match may overlap itself: the bytes it copies are then the ones it has just written.
  while (at < end) output[at++] = output[from++] as number;
  return end;
}
