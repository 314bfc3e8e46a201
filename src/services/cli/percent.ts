/** Percentages on the command line. */
import { UsageError } from '../../core/index.ts';

/** The number in `5`, `2.5` or `5%`. @throws {UsageError} naming the option. */
export function percentOf(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)%?$/.exec(text);
  if (match === null) throw new UsageError(`Read ${option} '${text}': expected a percentage such as '5' or '2.5%'`);
  return Number(match[1]);
}
