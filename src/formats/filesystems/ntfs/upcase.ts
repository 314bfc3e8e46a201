/**
 * The order of names: by capital letters as the volume's own table has them, then by code units.
 * Source: libfsntfs project, "NTFS format specification", "Uppercase file", and "The index", collation type 1.
 */
import { FormatError } from '../../../core/index.ts';

const TABLE_BYTES = 65_536 * 2;

/** The table: one capital letter for each code unit. */
export class UpcaseTable {
  readonly #capitals: Uint16Array;

  private constructor(capitals: Uint16Array) {
    this.#capitals = capitals;
  }

  /** `bytes`: the content of `$UpCase`. @throws {FormatError} when it is too short. */
  static parse(bytes: Uint8Array): UpcaseTable {
    if (bytes.length < TABLE_BYTES) throw new FormatError('Read $UpCase', { structure: 'NTFS $UpCase', field: 'size', found: bytes.length, expected: TABLE_BYTES });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const capitals = Uint16Array.from({ length: 65_536 }, (_, unit) => view.getUint16(2 * unit, true));
    // The table has no checksum; but all that were ever made agree on ASCII.
    for (let unit = 0; unit < 128; unit += 1) {
      const expected = unit >= 0x61 && unit <= 0x7a ? unit - 32 : unit;
      if (capitals[unit] !== expected) throw new FormatError('Read $UpCase', { structure: 'NTFS $UpCase', field: `letter ${unit}`, offset: 2 * unit, found: capitals[unit] as number, expected });
    }
    return new UpcaseTable(capitals);
  }

  /** What stands in for a damaged table: the capitals of today's Unicode; a few rare letters may be found by listing only. */
  static ofUnicode(): UpcaseTable {
    return new UpcaseTable(Uint16Array.from({ length: 65_536 }, (_, unit) => {
      const capital = String.fromCharCode(unit).toUpperCase();
      return capital.length === 1 ? capital.charCodeAt(0) : unit;
    }));
  }

  /** Negative, zero or positive, as names stand in an index when case does not matter. */
  compareFolded(a: string, b: string): number {
    const length = Math.min(a.length, b.length);
    for (let i = 0; i < length; i += 1) {
      const difference = (this.#capitals[a.charCodeAt(i)] as number) - (this.#capitals[b.charCodeAt(i)] as number);
      if (difference !== 0) return difference;
    }
    return a.length - b.length;
  }

  /** The order of names in an index: none are equal but those with the same units. */
  compare(a: string, b: string): number {
    const folded = this.compareFolded(a, b);
    return folded !== 0 ? folded : a < b ? -1 : a > b ? 1 : 0;
  }
}
