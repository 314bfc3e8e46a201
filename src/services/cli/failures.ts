/** Failed entries on stderr: each one, but not a thousand times the same sentence. */

/** Lines with the same message that are printed before the rest is counted. */
const alikeMax = 3;

/** Prints failures as they come; `finish` tells how many more there were. The JSON object lists all of them in any case. */
export class Failures {
  readonly #warn: (line: string) => void;
  readonly #hint: (message: string) => string | undefined;
  readonly #counts: Map<string, number> = new Map<string, number>();

  /** `hint` may know more about a message, once for all entries that have it. */
  constructor(warn: (line: string) => void, hint: (message: string) => string | undefined = () => undefined) {
    this.#warn = warn;
    this.#hint = hint;
  }

  /** Messages that differ are all printed: only what says nothing new is held back. */
  add({ path, message }: { readonly path: string; readonly message: string }): void {
    const count = (this.#counts.get(message) ?? 0) + 1;
    // Bounded: a message of its own for each of a million entries is printed and not remembered.
    if (count > 1 || this.#counts.size < 1_000) this.#counts.set(message, count);
    if (count <= alikeMax) this.#warn(`${path}: ${message}`);
  }

  /** Call it once, behind the last failure. */
  finish(): void {
    for (const [message, count] of this.#counts) {
      if (count > alikeMax) this.#warn(`and ${count - alikeMax} more entries: ${message}`);
    }
    for (const hint of new Set([...this.#counts.keys()].map(this.#hint))) if (hint !== undefined) this.#warn(hint);
  }
}
