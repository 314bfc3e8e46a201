/**
 * Which nodes the kernel knows. It counts each lookup, and forgets with the same count; when it knows nothing below a directory any more, a
 * tree may forget its ids there, so that a server of millions of files stays as small as what the kernel keeps.
 */
import type { NodeId } from '../../core/index.ts';

interface Known {
  lookups: number;
  /** Directory it was found in first, unless it has several names. */
  readonly parent: NodeId | undefined;
  /** Nodes known below it, and handles open on it. */
  held: number;
}

/** See the module's comment. The root is never forgotten. */
export class Lookups {
  readonly #nodes = new Map<NodeId, Known>();
  readonly #emptied: (directory: NodeId) => void;

  /** `emptied` is called when nothing below a directory is known any more. */
  constructor(emptied: (directory: NodeId) => void) {
    this.#emptied = emptied;
  }

  /** Nodes that the kernel knows. */
  get size(): number {
    return this.#nodes.size;
  }

  /** The kernel has found `node` in `parent`. */
  add(node: NodeId, parent: NodeId): void {
    const known = this.#nodes.get(node);
    if (known !== undefined) {
      known.lookups += 1;
      return;
    }
    this.#nodes.set(node, { lookups: 1, parent, held: 0 });
    this.hold(parent);
  }

  /** Something needs the ids below `directory`: a known child, an open handle, a lookup that is under way. */
  hold(directory: NodeId): void {
    const known = this.#nodes.get(directory);
    if (known !== undefined) known.held += 1;
  }

  /** The opposite of {@link hold}. */
  drop(directory: NodeId): void {
    const known = this.#nodes.get(directory);
    if (known === undefined) return;
    known.held -= 1;
    this.#check(directory, known);
  }

  /** The kernel takes back so many lookups. */
  forget(node: NodeId, lookups: number): void {
    const known = this.#nodes.get(node);
    if (known === undefined) return;
    known.lookups -= lookups;
    this.#check(node, known);
  }

  #check(node: NodeId, known: Known): void {
    if (known.lookups > 0 || known.held > 0) return;
    this.#nodes.delete(node);
    this.#emptied(node);
    if (known.parent !== undefined) this.drop(known.parent);
  }
}
