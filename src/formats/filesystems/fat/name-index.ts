/** Names of directories that were searched lately: a search of each name of a directory would otherwise read it as often. */
import type { DirectoryEntry, NodeId } from '../../../core/index.ts';

const NAMES_MAX = 1 << 16;
const SLASH = 0x2f;
const DOT = 0x2e;

/** Whether a tree may show a name: FileTree forbids some that these filesystems can hold. */
export function isLegalName(name: Uint8Array): boolean {
  const dots = name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
  return name.length > 0 && !dots && !name.includes(SLASH) && !name.includes(0);
}

/** Searches directories that can only be listed. Keeps names of at most 65,536 entries. */
export class NameIndex {
  readonly #list: (directory: NodeId) => AsyncIterable<readonly DirectoryEntry[]>;
  /** In the order of use, the oldest first. */
  readonly #directories = new Map<NodeId, ReadonlyMap<string, NodeId>>();

  constructor(list: (directory: NodeId) => AsyncIterable<readonly DirectoryEntry[]>) {
    this.#list = list;
  }

  /** The entry with this name; errors are those of listing. */
  async find(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const wanted = Buffer.from(name).toString('latin1');
    const known = this.#directories.get(directory);
    if (known !== undefined) return known.get(wanted);
    const names = new Map<string, NodeId>();
    let found: NodeId | undefined;
    for await (const page of this.#list(directory)) {
      for (const entry of page) {
        const key = Buffer.from(entry.name).toString('latin1');
        if (key === wanted) found ??= entry.id;
        if (names.size <= NAMES_MAX && !names.has(key)) names.set(key, entry.id);
      }
      if (names.size > NAMES_MAX && found !== undefined) return found;
    }
    if (names.size <= NAMES_MAX) this.#keep(directory, names);
    return found;
  }

  #keep(directory: NodeId, names: ReadonlyMap<string, NodeId>): void {
    this.#directories.set(directory, names);
    let total = 0;
    for (const one of this.#directories.values()) total += one.size + 1;
    for (const [oldest, { size }] of this.#directories) {
      if (total <= NAMES_MAX) break;
      this.#directories.delete(oldest);
      total -= size + 1;
    }
  }
}
