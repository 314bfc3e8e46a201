/** Parts of tables in memory, within a budget: the newest stay. */
import { FormatError, type BlockSource } from '../../core/index.ts';

/** A cache of equal parts of one file. A part that is there is returned without a promise. */
export class TableCache {
  readonly #file: BlockSource;
  readonly #partBytes: number;
  readonly #partsMax: number;
  readonly #structure: string;
  /** In the order of use, the oldest first. */
  readonly #parts = new Map<number, DataView | Promise<DataView>>();
  /** Key of the newest part: those who read one entry after the other ask for it again and again. */
  #newest = -1;

  /** `budget` in bytes; two parts are always kept. `structure` names the table in errors. */
  constructor(file: BlockSource, options: { readonly partBytes: number; readonly budget: number; readonly structure: string }) {
    this.#file = file;
    this.#partBytes = options.partBytes;
    this.#partsMax = Math.max(2, Math.floor(options.budget / options.partBytes));
    this.#structure = options.structure;
  }

  /** The part that begins at byte `at` of the file. @throws {FormatError} when the file ends before it begins. */
  get(at: number): DataView | Promise<DataView> {
    const known = this.#parts.get(at);
    if (known !== undefined) {
      if (at !== this.#newest && this.#parts.size > this.#partsMax / 2) {
        this.#parts.delete(at);
        this.#parts.set(at, known);
        this.#newest = at;
      }
      return known;
    }
    const loading = this.#load(at);
    this.#parts.set(at, loading);
    this.#newest = at;
    for (const oldest of this.#parts.keys()) {
      if (this.#parts.size <= this.#partsMax) break;
      this.#parts.delete(oldest);
    }
    loading.then((view) => {
      if (this.#parts.get(at) === loading) this.#parts.set(at, view);
    }, () => {
      if (this.#parts.get(at) === loading) this.#parts.delete(at);
    });
    return loading;
  }

  async #load(at: number): Promise<DataView> {
    // The last table of a file may be cut where its last entry in use ends: what is missing cannot be reached.
    const bytes = new Uint8Array(Math.max(0, Math.min(this.#partBytes, this.#file.size - at)));
    if (bytes.length === 0) {
      throw new FormatError('Read table', { structure: this.#structure, field: 'offset', found: at, expected: `less than ${this.#file.size}: the file ends there` });
    }
    await this.#file.readInto(at, bytes);
    return new DataView(bytes.buffer);
  }
}

/** Reads entry `index` of a part. @throws {FormatError} when the file ended before the entry. */
export function checkEntry(view: DataView, at: number, bytes: number, structure: string): void {
  if (at + bytes > view.byteLength) {
    throw new FormatError('Read table', { structure, field: 'entry', found: at, expected: `less than ${view.byteLength}: the file ends there` });
  }
}
