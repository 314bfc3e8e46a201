/** Which containers are read to the last byte: all, a part that is always the same, or those that were verified longest ago. */
import { UsageError } from '../../core/index.ts';
import type { ContainerRow } from '../containers/container.ts';

/** `part` of `parts`, counted from 1; `percent` of all containers; `budgetPercent` of all bytes, verified longest ago first. */
export type ReadSelection =
  | 'all'
  | { readonly part: number; readonly parts: number }
  | { readonly percent: number }
  | { readonly budgetPercent: number };

const PARTS_MAX = 1_000_000;
const NUMBERS = 0x1_0000_0000;

function checkPercent(percent: number, what: string): void {
  if (!(percent > 0 && percent <= 100)) throw new UsageError(`${what}: choose above 0 to 100 percent, not '${percent}'`);
}

/** @throws {UsageError} out of range. */
export function checkSelection(selection: ReadSelection): void {
  if (selection === 'all') return;
  if ('percent' in selection) checkPercent(selection.percent, 'Read a part of the containers');
  else if ('budgetPercent' in selection) checkPercent(selection.budgetPercent, 'Read within a budget');
  else {
    const { part, parts } = selection;
    if (!Number.isInteger(part) || !Number.isInteger(parts) || part < 1 || part > parts || parts > PARTS_MAX) {
      throw new UsageError(`Read a part of the containers: choose N/M with 1 <= N <= M <= ${PARTS_MAX}, not '${part}/${parts}'`);
    }
  }
}

/**
 * The containers to read, of `rows` in their order; `verified` says when each was read last, milliseconds since 1970. Numbers are random, so a part by
 * number is a fair one, and stays the same when containers come and go.
 */
export function selectContainers(rows: readonly ContainerRow[], selection: ReadSelection, verified: ReadonlyMap<string, number>): readonly ContainerRow[] {
  if (selection === 'all') return rows;
  if ('percent' in selection) return rows.filter(({ number }) => number.low < NUMBERS * selection.percent / 100);
  if ('part' in selection) return rows.filter(({ number }) => number.low % selection.parts === selection.part - 1);
  const byAge = [...rows].sort((a, b) => (verified.get(a.number.text) ?? 0) - (verified.get(b.number.text) ?? 0));
  let left = rows.reduce((sum, { size }) => sum + size, 0) * selection.budgetPercent / 100;
  return byAge.filter(({ size }) => {
    const isWanted = left > 0; // the last one may exceed: else a large container would never have its turn
    left -= size;
    return isWanted;
  });
}
