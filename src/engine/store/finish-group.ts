/** The last steps of a group before it is written: compressed, then sealed if its container is. */
import { ID_BYTES, type ObjectStore, type World } from '../../core/index.ts';
import { TABLE_ROW_BYTES, type ContainerKind } from '../containers/container.layout.ts';
import { containerNumber, numberBytes } from '../containers/container.ts';
import { ContainerWriter } from '../containers/container-writer.ts';
import type { GroupParts } from '../containers/group.ts';
import type { Vault } from '../crypto/index.ts';
import type { Block, BlockPool } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';

/** A block with the compressed group at its start; `storedLength` 0: it does not pay, and the block is free for other use. */
export interface Compressed {
  readonly target: Block;
  readonly storedLength: number;
}

/** A whole group: its bytes at the start of the block, and its table of ids and lengths. */
export interface BuiltGroup {
  readonly block: Block;
  readonly table: Uint8Array;
  readonly length: number;
  readonly count: number;
}

/** Compresses a group into a block of `targets`, which is free again when that fails. */
export async function compressGroup(pool: WorkerPool, targets: BlockPool, { block, length }: Pick<BuiltGroup, 'block' | 'length'>, level: number): Promise<Compressed> {
  const target = await targets.acquire();
  try {
    const { storedLength = 0 } = await pool.run({ kind: 'compress', source: block.offset, length, target: target.offset, level });
    return { target, storedLength };
  } catch (error) {
    targets.release(target);
    throw error;
  }
}

/** What containers are made with. */
export interface ContainerParts {
  readonly world: World;
  readonly objects: ObjectStore;
  /** First 8 bytes of the repository's id. */
  readonly repository: Uint8Array;
  /** Of an encrypted repository: its containers are sealed. */
  readonly vault?: Vault;
}

/** Begins a container with a number, and a key if need be, of its own. */
export function createContainer({ world, objects, repository, vault }: ContainerParts, kind: ContainerKind): Promise<ContainerWriter> {
  const number = containerNumber(world.randomBytes(8));
  return ContainerWriter.create(objects, { number, kind, repository, ...(vault === undefined ? {} : { seal: vault.newContainerKey(numberBytes(number)) }) });
}

/** A copy of a group's table with lengths of 0. */
function withoutLengths(table: Uint8Array): Uint8Array {
  const copy = table.slice();
  for (let row = 0; row < copy.length; row += TABLE_ROW_BYTES) copy.fill(0, row + ID_BYTES, row + TABLE_ROW_BYTES);
  return copy;
}

/** The group as it goes into this container next. Its payload is in the builder's block or the target's. */
export async function finishGroup(pool: WorkerPool, writer: ContainerWriter, builder: BuiltGroup, { target, storedLength }: Compressed): Promise<GroupParts> {
  const { table, count, length: rawLength } = builder;
  const [source, length] = storedLength > 0 ? [target, storedLength] : [builder.block, rawLength];
  const codec = storedLength > 0 ? 'zstd' : 'none';
  const seal = writer.nextSeal();
  if (seal === undefined) return { codec, table, count, rawLength, payload: source.bytes.subarray(0, length) };
  const { key: subkey, cipher, sequence } = seal;
  const result = await pool.run({
    kind: 'seal', source: source.offset, length, target: target.offset, targetLength: target.bytes.length, codec, rawLength, table: table.slice(), key: { subkey, cipher, sequence },
  });
  return { codec: 'sealed', table: withoutLengths(table), count, rawLength: sequence, payload: target.bytes.subarray(0, result.storedLength) };
}
