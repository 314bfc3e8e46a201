/** Where the records of files are that are kept apart from their names: found by number, in the tree of the directory where the file was made. */
import type { NodeId } from '../../../core/index.ts';
import { ROW } from './refs.layout.ts';
import type { Row } from './node.ts';
import type { Leaf } from './tree.ts';

const KEY_BYTES = 24;
/** Records that are remembered, of all directories together; larger directories are searched each time. */
const RECORDS_MAX = 1 << 18;

/** The number in a record's key, when it is one and belongs to this directory. */
function ordinalOf({ key }: Row, home: number): number | undefined {
  if (key.length < KEY_BYTES) return undefined;
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  if (view.getUint16(0, true) !== ROW.stream || view.getUint32(16, true) + view.getUint32(20, true) * 0x1_0000_0000 !== home) return undefined;
  return view.getUint32(8, true) + view.getUint32(12, true) * 0x1_0000_0000;
}

/** Searches the trees that `leaves` gives; `idOf` names a row, by which it can be found again. */
export class StreamIndex {
  readonly #leaves: (object: number) => AsyncIterable<Leaf>;
  readonly #idOf: (place: number, row: number) => NodeId;
  /** In the order of use, the oldest first. */
  readonly #homes = new Map<number, ReadonlyMap<number, NodeId>>();

  constructor(leaves: (object: number) => AsyncIterable<Leaf>, idOf: (place: number, row: number) => NodeId) {
    this.#leaves = leaves;
    this.#idOf = idOf;
  }

  /** The row with the record; errors are those of walking the tree. */
  async find(home: number, ordinal: number): Promise<NodeId | undefined> {
    const known = this.#homes.get(home);
    if (known !== undefined) return known.get(ordinal);
    const records = new Map<number, NodeId>();
    let found: NodeId | undefined;
    for await (const { node, place } of this.#leaves(home)) {
      for (let i = 0; i < node.count; i += 1) {
        const number = ordinalOf(node.row(i), home);
        if (number === undefined) continue;
        if (number === ordinal) found ??= this.#idOf(place, i);
        if (records.size <= RECORDS_MAX && !records.has(number)) records.set(number, this.#idOf(place, i));
      }
      if (records.size > RECORDS_MAX && found !== undefined) return found;
    }
    if (records.size <= RECORDS_MAX) this.#keep(home, records);
    return found;
  }

  #keep(home: number, records: ReadonlyMap<number, NodeId>): void {
    this.#homes.set(home, records);
    let total = 0;
    for (const one of this.#homes.values()) total += one.size + 1;
    for (const [oldest, { size }] of this.#homes) {
      if (total <= RECORDS_MAX) break;
      this.#homes.delete(oldest);
      total -= size + 1;
    }
  }
}
