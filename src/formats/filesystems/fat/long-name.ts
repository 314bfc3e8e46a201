/** Long names: up to 20 entries before the short one, the last part first. Source: fatgen103, "FAT Long Directory Entries". */
import { wtf8 } from '../wtf8.ts';

const LAST = 0x40;
const PARTS_MAX = 20;
const UNITS = 13;
/** Where an entry keeps its units. */
const UNIT_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const CHECKSUM_OFFSET = 13;
/** `DIR_Name` of the short entry. */
const SHORT_BYTES = 11;

/** The checksum of a short name that its long name's entries carry. */
export function shortNameChecksum(view: DataView, at: number): number {
  let sum = 0;
  for (let i = 0; i < SHORT_BYTES; i += 1) sum = ((sum & 1) << 7 | sum >> 1) + view.getUint8(at + i) & 0xff;
  return sum;
}

/** Collects the entries of one long name at a time; anything out of order drops what was collected, and the short name counts. */
export class LongName {
  readonly #units = new Uint16Array(PARTS_MAX * UNITS);
  #parts = 0;
  /** Parts that are missing still. */
  #missing = 0;
  #checksum = 0;

  /** Forgets what was collected. */
  drop(): void {
    this.#parts = 0;
  }

  /** Takes the entry at `at`. */
  add(view: DataView, at: number): void {
    const order = view.getUint8(at);
    const checksum = view.getUint8(at + CHECKSUM_OFFSET);
    const part = order & ~LAST;
    if (order & LAST) {
      this.#parts = part <= PARTS_MAX ? part : 0;
      this.#missing = part;
      this.#checksum = checksum;
    }
    if (this.#parts === 0 || part === 0 || part !== this.#missing || checksum !== this.#checksum) {
      this.drop();
      return;
    }
    this.#missing = part - 1;
    for (let i = 0; i < UNITS; i += 1) this.#units[this.#missing * UNITS + i] = view.getUint16(at + (UNIT_OFFSETS[i] as number), true);
  }

  /** The name for the short entry at `at`, if all its parts were there; then it is forgotten. */
  take(view: DataView, at: number): Uint8Array | undefined {
    const length = this.#parts * UNITS;
    const whole = length > 0 && this.#missing === 0 && shortNameChecksum(view, at) === this.#checksum;
    this.drop();
    if (!whole) return undefined;
    const end = this.#units.subarray(0, length).indexOf(0);
    return end === 0 ? undefined : wtf8(this.#units, end < 0 ? length : end);
  }
}
