/** Chooses, out of nested units, those that are stored or referred to. */
import type { Grain } from './grain.ts';
import type { UnitList } from './units.ts';

/**
 * Calls `take` for units that cover everything once, in order: a unit that is known as it is, else what is known within it, and the rest
 * as few units of `grain` as can be. `isKnown` is asked for positions in the list.
 */
export function coverUnits(units: Pick<UnitList, 'count' | 'spans' | 'grains'>, grain: Grain, isKnown: (unit: number) => boolean, take: (unit: number, known: boolean) => void): void {
  const { spans, grains } = units;
  for (let unit = 0; unit < units.count;) {
    const span = spans[unit] as number;
    const known = isKnown(unit);
    if (known || span === 1 || ((grains[unit] as number) <= grain && !isAnyKnown(unit + 1, unit + span, isKnown))) {
      take(unit, known);
      unit += span;
    } else unit += 1;
  }
}

function isAnyKnown(from: number, to: number, isKnown: (unit: number) => boolean): boolean {
  for (let unit = from; unit < to; unit += 1) if (isKnown(unit)) return true;
  return false;
}
