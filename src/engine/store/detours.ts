/**
 * Ways around damage: where a chunk can't be read at the place that the index names, another container may have a good copy, stored by two writers at once or moved by a
 * collector. Each search is a pass over all tables, so their number is bounded, and nothing is looked for twice.
 */
import { HoldfastError, ID_BYTES, IntegrityError, type IdBatch } from '../../core/index.ts';
import { IdSet } from './id-table.ts';
import { searchContainers, type SearchParts } from './search.ts';

/** What they work with. */
export interface DetourParts extends SearchParts {
  note(text: string): void;
}

/** Passes over all tables; more damage than that is the business of check. */
const SEARCHES_MAX = 64;

/** Of one store. */
export class Detours {
  readonly #parts: DetourParts;
  readonly #searched = new IdSet();
  #searches = 0;

  constructor(parts: DetourParts) {
    this.#parts = parts;
  }

  /**
   * Looks for good copies after a read failed with `error`; the index prefers them from then on. The first of `ids` is the one that was to be read, the others are likely
   * to be damaged too. @returns whether there is one of the first.
   */
  async find(error: unknown, ids: IdBatch): Promise<boolean> {
    if (!isDamage(error) || this.#searched.has(ids.bytes, 0) || this.#searches === SEARCHES_MAX) return false;
    this.#searches += 1;
    for (let i = 0; i < ids.count; i += 1) this.#searched.add(ids.bytes, i * ID_BYTES);
    const found = await searchContainers(this.#parts, ids);
    if (!found.has(ids.bytes, 0)) return false;
    this.#parts.note(`${error.message}: another container has a good copy, which is used instead; check --read-data says what else is damaged`);
    return true;
  }
}

/** Whether a read failed by what is stored, also at a daemon's host; or the disk can't read it. */
export function isDamage(error: unknown): error is HoldfastError {
  return error instanceof IntegrityError || (error instanceof HoldfastError && (error.code === 'LIMIT' || error.data['errno'] === 'EIO'));
}
