/** Tree blocks by logical address: verified when they are read, from another copy when one is bad, and kept within a budget. */
import { equalBytes, FormatError, HoldfastError, IntegrityError } from '../../../core/index.ts';
import { headerLayout, OBJECT } from './btrfs.layout.ts';
import type { Checksum } from './checksum.ts';
import type { LogicalSpace } from './logical-space.ts';
import { TreeNode } from './node.ts';
import type { ProblemList } from '../problem-list.ts';

/** What a store needs to know of its filesystem. */
export interface NodeStoreParts {
  readonly space: LogicalSpace;
  readonly checksum: Checksum;
  /** Bytes of a block. */
  readonly nodeBytes: number;
  /** What the heads of blocks must carry. */
  readonly uuid: Uint8Array;
  readonly problems: ProblemList;
  /** Bytes of blocks to keep. */
  readonly budget: number;
}

/** Where a block is, and what is known about it before it is read. */
export interface NodePlace {
  readonly logical: number;
  readonly level: number;
  readonly generation: number;
}

/** Trees of files may share blocks with each other, and with the tree that a balance was moving. */
function mayOwn(tree: number, owner: number): boolean {
  if (tree === owner) return true;
  const ofFiles = (id: number): boolean => id === OBJECT.FS_TREE || (id >= OBJECT.FIRST_FREE) || id === OBJECT.TREE_RELOC;
  return ofFiles(tree) && ofFiles(owner);
}

/** The store. A block that is kept is returned without a promise. */
export class NodeStore {
  readonly #parts: NodeStoreParts;
  readonly #nodesMax: number;
  /** In the order of use, the oldest first. */
  readonly #nodes = new Map<number, TreeNode | Promise<TreeNode>>();

  constructor(parts: NodeStoreParts) {
    this.#parts = parts;
    this.#nodesMax = Math.max(16, Math.floor(parts.budget / parts.nodeBytes));
  }

  /** The block at `place` of tree `tree`. @throws {IntegrityError} @throws {FormatError} */
  get(place: NodePlace, tree: number): TreeNode | Promise<TreeNode> {
    const known = this.#nodes.get(place.logical);
    if (known === undefined) return this.#load(place, tree);
    if (known instanceof Promise) return known.then((node) => this.#fitting(node, place, tree));
    if (this.#nodes.size > this.#nodesMax / 2) {
      this.#nodes.delete(place.logical);
      this.#nodes.set(place.logical, known);
    }
    return this.#fitting(known, place, tree);
  }

  #fitting(node: TreeNode, place: NodePlace, tree: number): TreeNode {
    const wrong = misfit(node, place, tree);
    if (wrong !== undefined) throw wrong;
    return node;
  }

  #load(place: NodePlace, tree: number): Promise<TreeNode> {
    const { logical } = place;
    const loading = this.#read(place, tree);
    this.#nodes.set(logical, loading);
    for (const oldest of this.#nodes.keys()) {
      if (this.#nodes.size <= this.#nodesMax) break;
      this.#nodes.delete(oldest);
    }
    loading.then((node) => {
      if (this.#nodes.get(logical) === loading) this.#nodes.set(logical, node);
    }, () => {
      if (this.#nodes.get(logical) === loading) this.#nodes.delete(logical);
    });
    return loading;
  }

  async #read(place: NodePlace, tree: number): Promise<TreeNode> {
    const { space, nodeBytes, problems } = this.#parts;
    const bytes = new Uint8Array(nodeBytes);
    let node: TreeNode | undefined;
    const accepts = (part: Uint8Array): HoldfastError | undefined => {
      // A block that a stripe ends in is accepted piece by piece and checked as a whole below.
      if (part.length < nodeBytes) return undefined;
      const checked = this.#checked(part, place, tree);
      if (checked instanceof HoldfastError) return checked;
      node = checked;
      return undefined;
    };
    const remark = await space.readAny(place.logical, bytes, accepts);
    const found = node ?? this.#checked(bytes, place, tree);
    if (found instanceof HoldfastError) throw found;
    if (remark !== undefined) problems.add('spare-copy', `tree ${tree}, block ${place.logical}`, `Another copy was read: ${remark}`);
    return found;
  }

  #checked(bytes: Uint8Array, place: NodePlace, tree: number): TreeNode | HoldfastError {
    const { checksum, uuid } = this.#parts;
    const { logical } = place;
    const head = headerLayout.view(bytes, 0, logical);
    if (!checksum.holds(bytes.subarray(32), head.csum, 0)) {
      return new IntegrityError(`Read btrfs tree block at ${logical}: its ${checksum.name} checksum does not hold`, { structure: 'btrfs_header', field: 'csum', offset: logical });
    }
    try {
      if (head.bytenr !== logical) return fault('bytenr', logical, head.bytenr, logical);
      if (!equalBytes(head.fsid, uuid)) return fault('fsid', logical, Buffer.from(head.fsid).toString('hex'), Buffer.from(uuid).toString('hex'));
      const node = new TreeNode(bytes, logical);
      return misfit(node, place, tree) ?? node;
    } catch (error) {
      if (error instanceof HoldfastError) return error;
      throw error;
    }
  }
}

function fault(field: string, logical: number, found: string | number, expected: string | number): FormatError {
  return new FormatError('Read btrfs tree block', { structure: 'btrfs_header', field, offset: logical, found, expected });
}

/** What says that a block is not the one that its parent means. */
function misfit(node: TreeNode, place: NodePlace, tree: number): FormatError | undefined {
  if (node.level !== place.level) return fault('level', place.logical, node.level, place.level);
  if (node.generation !== place.generation) return fault('generation', place.logical, node.generation, place.generation);
  if (!mayOwn(tree, node.owner)) return fault('owner', place.logical, node.owner, tree);
  return undefined;
}
