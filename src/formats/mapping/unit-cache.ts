/** Units that were unpacked lately, within a budget; one that is being unpacked is waited for by all who want it. */

/** A cache by position in the file. */
export class UnitCache {
  readonly #unitsMax: number;
  readonly #units = new Map<number, Promise<Uint8Array>>();

  /** `budget` and `unitBytes` in bytes; two units are always kept. */
  constructor(unitBytes: number, budget: number) {
    this.#unitsMax = Math.max(2, Math.floor(budget / unitBytes));
  }

  /** The unit at `at`; `load` makes it when it is not here. The bytes must not be changed. */
  get(at: number, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const known = this.#units.get(at);
    if (known !== undefined) return known;
    const loading = load();
    this.#units.set(at, loading);
    for (const oldest of this.#units.keys()) {
      if (this.#units.size <= this.#unitsMax) break;
      this.#units.delete(oldest);
    }
    loading.catch(() => {
      if (this.#units.get(at) === loading) this.#units.delete(at);
    });
    return loading;
  }
}
