/** What key objects a repository has, as far as they can be read without a key. */
import { FormatError, IntegrityError, LimitError, NotFoundError, UnsupportedError, readObject, type Limits, type ObjectStore, type World } from '../../core/index.ts';
import { decodeRing, type SealedRing } from './ring.ts';
import { decodeSlot, type Slot } from './slot.ts';

/** Directory of all key objects. */
export const KEYS_DIRECTORY = 'keys';

/** Where keys are kept and of which repository they are. */
export interface KeyPlace {
  readonly objects: ObjectStore;
  readonly world: World;
  /** Repository, 64 hexadecimal digits. */
  readonly repository: string;
  readonly limits: Limits;
}

/** An object that should be a slot or a ring and can't be used. */
export interface KeyProblem {
  readonly name: string;
  readonly reason: string;
}

/** All that was found. Objects of other repositories (an `init` that never ended leaves such) are left out. */
export interface KeySurvey {
  readonly slots: readonly Slot[];
  /** Ascending by number; at least the newest. */
  readonly rings: readonly SealedRing[];
  readonly problems: readonly KeyProblem[];
  /** Highest number of any ring, foreign and damaged ones as well; 0 when there is none. */
  readonly ringNumberMax: number;
}

/** Name of a slot's object. */
export function slotName(id: string): string {
  return `${KEYS_DIRECTORY}/slot-${id}`;
}

/** Name of a ring's object. */
export function ringName(number: number): string {
  return `${KEYS_DIRECTORY}/ring-${String(number).padStart(8, '0')}`;
}

const SLOT_NAME = /^keys\/slot-([0-9a-f]{16})$/;
const RING_NAME = /^keys\/ring-([0-9]{8})$/;

/** Rings are made by hand, one at each rotation: more are not ours. */
const RINGS_MAX = 4_096;

/** Reads one small object of keys. @throws {NotFoundError} @throws {LimitError} */
export async function readKeyObject({ objects, limits }: KeyPlace, name: string): Promise<Uint8Array> {
  return readObject(objects, name, (size) => {
    if (size > limits.keyObjectBytesMax) throw new LimitError('keyObjectBytesMax', size, limits.keyObjectBytesMax, `'${name}'`);
  });
}

function mislabelled(name: string, found: string): FormatError {
  return new FormatError(`Read '${name}'`, { structure: 'key object', field: 'name', found, expected: name });
}

class Surveyor {
  readonly slots: Slot[] = [];
  readonly rings: SealedRing[] = [];
  readonly problems: KeyProblem[] = [];
  readonly #place: KeyPlace;

  constructor(place: KeyPlace) {
    this.#place = place;
  }

  async readSlots(names: readonly string[]): Promise<void> {
    const { limits } = this.#place;
    // Slots of other repositories may be among them, hence the factor.
    if (names.length > limits.keySlotsMax * 4) throw new LimitError('keySlotsMax', names.length, limits.keySlotsMax, `'${KEYS_DIRECTORY}'`);
    for (const name of names) await this.#attempt(name, (bytes) => { this.#addSlot(decodeSlot(bytes, name, limits), name); });
    if (this.slots.length > limits.keySlotsMax) throw new LimitError('keySlotsMax', this.slots.length, limits.keySlotsMax, `'${KEYS_DIRECTORY}'`);
  }

  /** From the newest down; unless all are wanted, the first of ours is enough. */
  async readRings(names: readonly string[], all: boolean): Promise<void> {
    if (names.length > RINGS_MAX) throw new LimitError('key rings', names.length, RINGS_MAX, `'${KEYS_DIRECTORY}'`);
    for (const name of [...names].reverse()) {
      await this.#attempt(name, (bytes) => { this.#addRing(decodeRing(bytes, name), name); });
      if (!all && this.rings.length > 0) return;
    }
  }

  #addRing(ring: SealedRing, name: string): void {
    if (ringName(ring.number) !== name) throw mislabelled(name, ringName(ring.number));
    if (ring.repository === this.#place.repository) this.rings.push(ring);
  }

  #addSlot(slot: Slot, name: string): void {
    if (slotName(slot.id) !== name) throw mislabelled(name, slotName(slot.id));
    if (slot.repository === this.#place.repository) this.slots.push(slot);
  }

  /** One bad object must not keep the good ones from opening the repository. */
  async #attempt(name: string, use: (bytes: Uint8Array) => void): Promise<void> {
    try {
      use(await readKeyObject(this.#place, name));
    } catch (error) {
      if (error instanceof NotFoundError) return; // removed since it was listed
      if (!(error instanceof FormatError || error instanceof IntegrityError || error instanceof UnsupportedError || error instanceof LimitError)) throw error;
      this.problems.push({ name, reason: error.message });
    }
  }
}

/** Lists key objects and reads the slots, and of the rings the newest or all. @throws {LimitError} more objects than any repository has. */
export async function surveyKeys(place: KeyPlace, rings: 'newest' | 'all' = 'newest'): Promise<KeySurvey> {
  const slotNames: string[] = [];
  const ringNames: string[] = [];
  for await (const page of place.objects.list(KEYS_DIRECTORY)) {
    for (const { name } of page) {
      if (SLOT_NAME.test(name)) slotNames.push(name);
      else if (RING_NAME.test(name)) ringNames.push(name);
    }
  }
  const surveyor = new Surveyor(place);
  await surveyor.readSlots(slotNames);
  await surveyor.readRings(ringNames, rings === 'all');
  const { slots, problems } = surveyor;
  return { slots, rings: surveyor.rings.reverse(), problems, ringNumberMax: Number(RING_NAME.exec(ringNames.at(-1) ?? '')?.[1] ?? 0) };
}

/** Slots that open the newest ring. */
export function currentSlots({ slots, rings }: KeySurvey): readonly Slot[] {
  const root = rings.at(-1)?.root;
  return slots.filter((slot) => slot.root === root);
}
