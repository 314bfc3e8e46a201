/**
 * Object sets: numbered objects, whose dnodes are the content of an object of their own.
 * Source: OpenZFS `include/sys/dmu_objset.h` (objset_phys_t).
 */
import { FormatError, NotFoundError } from '../../../core/index.ts';
import { BlockPointer } from './block-pointer.ts';
import { Dnode, DNODE_BYTES, objectTypes } from './dnode.ts';
import { type BlockSupply, ZfsObject } from './object.ts';
import { viewOf, wordAt } from './words.ts';

/** `dmu_objset_type`. */
export const objectSetTypes = { meta: 1, filesystem: 2, volume: 3, other: 4 } as const;

/** Bytes of the head of an object set that all versions have. */
const HEAD_BYTES = 1024;
const TYPE_AT = 704;
/** Where the head of the intent log is, and its bytes. */
const LOG_AT = 512;
const LOG_BYTES = 192;

/** One object set. */
export class ObjectSet {
  readonly supply: BlockSupply;
  readonly type: number;
  /** The head of its intent log, as stored. */
  readonly logHead: Uint8Array;
  readonly #dnodes: ZfsObject;

  private constructor(supply: BlockSupply, head: Uint8Array) {
    this.supply = supply;
    this.type = wordAt(viewOf(head), TYPE_AT, { structure: 'objset_phys', field: 'os_type' });
    this.logHead = head.slice(LOG_AT, LOG_AT + LOG_BYTES);
    const dnode = new Dnode(head.slice(0, DNODE_BYTES));
    if (dnode.type !== objectTypes.dnode) throw new FormatError('Read ZFS object set', { structure: 'objset_phys', field: 'os_meta_dnode.dn_type', found: dnode.type, expected: objectTypes.dnode });
    this.#dnodes = new ZfsObject(supply, dnode, 'metadata');
  }

  /** Reads the head that `pointer` (128 bytes) leads to. @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} */
  static async open(supply: BlockSupply, pointer: Uint8Array): Promise<ObjectSet> {
    const root = new BlockPointer(pointer);
    if (root.hole || root.embedded) throw new FormatError('Read ZFS object set', { structure: 'objset_phys', field: 'blkptr', found: root.hole ? 'a hole' : 'embedded data', expected: 'a block' });
    const head = await supply.reader.read(root, 'metadata', supply.cipher);
    if (head.length < HEAD_BYTES) throw new FormatError('Read ZFS object set', { structure: 'objset_phys', field: 'size', found: head.length, expected: `at least ${HEAD_BYTES}` });
    return new ObjectSet(supply, head);
  }

  /** Objects that the set has room for. */
  get capacity(): number {
    return this.#dnodes.size / DNODE_BYTES;
  }

  /** The dnode of an object; undefined when there is none. @throws {FormatError} @throws {IntegrityError} */
  async find(id: number): Promise<Dnode | undefined> {
    if (!Number.isSafeInteger(id) || id < 1 || id >= this.capacity) return undefined;
    const at = id * DNODE_BYTES;
    const block = await this.#dnodes.block(Math.floor(at / this.#dnodes.blockBytes));
    if (block === undefined) return undefined;
    const dnode = new Dnode(block.subarray(at % this.#dnodes.blockBytes));
    return dnode.type === objectTypes.none ? undefined : dnode;
  }

  /** The dnode of an object that must be there. @throws {NotFoundError} and as in `find`. */
  async dnode(id: number): Promise<Dnode> {
    const found = await this.find(id);
    if (found === undefined) throw new NotFoundError(`Read ZFS object '${id}': there is none`, { object: id });
    return found;
  }

  /** The content of an object that must be there. */
  async object(id: number, kind: 'metadata' | 'data' = 'metadata'): Promise<ZfsObject> {
    return new ZfsObject(this.supply, await this.dnode(id), kind);
  }
}
