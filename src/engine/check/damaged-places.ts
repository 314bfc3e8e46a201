/** Which places of the index hold no good chunk: in containers that are gone, groups that can't be read, chunks that don't have their ids. */
import type { ChunkPlace } from '../../core/index.ts';
import type { ContainerNumber } from '../containers/container.ts';
import { NumberSet } from '../containers/number-set.ts';

/** What is known of a container that is not sound. */
export interface DamagedContainer {
  readonly number: ContainerNumber;
  /** Offsets of groups whose head and table are sound. */
  readonly groups: Set<number>;
  /** Of those, the ones with bad chunks: their ordinals, or all. */
  readonly bad: Map<number, ReadonlySet<number> | 'all'>;
  /** Set when the system refused to read: its chunks may be good another time. */
  isUnread: boolean;
}

/** Bounded by containers and damaged groups, whatever the number of chunks. */
export class DamagedPlaces {
  readonly #present = new NumberSet();
  readonly #damaged = new Map<string, DamagedContainer>();
  #last: { readonly high: number; readonly low: number; readonly damaged: DamagedContainer | undefined } | undefined;

  /** A container that is there. */
  addPresent(number: ContainerNumber): void {
    this.#present.add(number);
    this.#last = undefined;
  }

  /** A container in which something is wrong with groups. */
  addDamaged(damaged: DamagedContainer): void {
    this.#damaged.set(damaged.number.text, damaged);
    this.#last = undefined;
  }

  isPresent(high: number, low: number): boolean {
    return this.#present.has(high, low);
  }

  /** Whether the chunk that the index places here can't be read. */
  has(place: ChunkPlace): boolean {
    const { containerHigh: high, containerLow: low } = place;
    if (!this.#present.has(high, low)) return true;
    if (this.#damaged.size === 0) return false;
    if (this.#last?.high !== high || this.#last.low !== low) {
      const text = high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
      this.#last = { high, low, damaged: this.#damaged.get(text) };
    }
    const { damaged } = this.#last;
    if (damaged === undefined) return false;
    if (!damaged.groups.has(place.offset)) return true;
    const bad = damaged.bad.get(place.offset);
    return bad === 'all' || bad?.has(place.ordinal) === true;
  }

  /** Whether what was read proves the chunk bad. One that could not be read now is not given up. */
  isProven(place: ChunkPlace): boolean {
    return this.has(place) && this.#last?.damaged?.isUnread !== true;
  }

  get damaged(): Iterable<DamagedContainer> {
    return this.#damaged.values();
  }

  get isEmpty(): boolean {
    return this.#damaged.size === 0;
  }
}
