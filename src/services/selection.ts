/** Which entries the patterns of a restore select, kept along the walk. */
import { Patterns } from './trees/glob.ts';
import type { WalkEntry } from './trees/walk.ts';

/** Which entries the patterns select. A directory above a selected entry is made when that entry turns up. */
export class Selection {
  readonly #include: Patterns | undefined;
  readonly #exclude: Patterns;
  /** Directories on the way down; `all`: everything below is selected; `made`: it exists in the target. */
  readonly #stack: { readonly entry: WalkEntry; readonly all: boolean; made: boolean }[] = [];
  readonly #made: Set<WalkEntry> = new Set<WalkEntry>();
  #all = false;

  constructor(options: { readonly include?: readonly string[]; readonly exclude?: readonly string[] }) {
    this.#include = options.include === undefined || options.include.length === 0 ? undefined : new Patterns(options.include);
    this.#exclude = new Patterns(options.exclude ?? []);
  }

  /** From now on everything is selected: the user named it. */
  takeAll(): void {
    this.#all = true;
  }

  /** Patterns that matched nothing; complete when the walk is. */
  unmatched(): readonly string[] {
    if (this.#all) return [];
    return [...(this.#include?.unmatched() ?? []), ...this.#exclude.unmatched()];
  }

  /** Whether an entry of the current directory is selected. */
  takes(entry: WalkEntry): boolean {
    if (this.#exclude.matches(entry.path)) return false;
    // Asked also below a selected directory: a pattern for something in there has matched too.
    const included = this.#include?.matches(entry.path) === true;
    return included || this.#below();
  }

  /** Goes into a directory. @returns false when nothing below it can be selected. */
  into(directory: WalkEntry): boolean {
    if (this.#exclude.matches(directory.path)) return false;
    const all = this.takes(directory);
    this.#stack.push({ entry: directory, all, made: this.#made.delete(directory) });
    return true;
  }

  /** The directory exists in the target now. */
  made(directory: WalkEntry): void {
    this.#made.add(directory);
  }

  /** Directories on the way down that must be made before something in the current one; call `made` for each. */
  *pendingParents(): Iterable<WalkEntry> {
    for (const level of this.#stack) {
      if (level.made) continue;
      yield level.entry;
      level.made = this.#made.delete(level.entry);
    }
  }

  /** Comes out of a directory. @returns whether it exists in the target. */
  leave(directory: WalkEntry): boolean {
    const level = this.#stack.pop();
    return level?.entry === directory && level.made;
  }

  #below(): boolean {
    return this.#all || this.#include === undefined || this.#stack.at(-1)?.all === true;
  }
}
