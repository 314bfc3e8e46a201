/**
 * Datasets and snapshots of a pool by name.
 * Source: OpenZFS `include/sys/dsl_dir.h`, `include/sys/dsl_dataset.h` (dsl_dir_phys_t, dsl_dataset_phys_t).
 */
import { checkLimit, FormatError, NotFoundError, textOf, utf8 } from '../../../core/index.ts';
import type { BlockCipher } from './block-reader.ts';
import { objectTypes } from './dnode.ts';
import { ObjectSet } from './object-set.ts';
import type { Pool } from './pool.ts';
import { viewOf, wordAt } from './words.ts';
import { entryNumber, Zap } from './zap.ts';

const DIRECTORY_BYTES = 152;
const DATASET_BYTES = 256;
const POINTER_AT = 128;
const POINTER_BYTES = 128;
const KEY_ENTRY = 'com.datto:crypto_key_obj';

/** Names that begin with it are the pool's own. */
const HIDDEN = 0x24;

/** A node of the tree of datasets. */
interface Directory {
  readonly object: number;
  readonly head: number;
  readonly children: number;
  /** The object with its wrapped keys, when it is encrypted. */
  readonly key?: number;
}

/** What a dataset or snapshot is. */
interface Dataset {
  readonly directory: number;
  readonly snapshots: number;
  /** The block pointer of its object set. */
  readonly pointer: Uint8Array;
}

/** One name in the pool. */
export interface DatasetName {
  readonly kind: 'dataset' | 'snapshot';
  /** `pool/a` or `pool/a@b`. */
  readonly name: string;
  /** Object of the dataset in the meta object set. */
  readonly object: number;
}

/** Makes what opens the blocks of an encrypted dataset from the object of its keys. @throws {UnsupportedError} no key fits. */
export type CipherMaker = (keyObject: number, dataset: string) => Promise<BlockCipher>;

async function bonusOf(pool: Pool, object: number, want: { readonly type: number; readonly bytes: number }): Promise<DataView> {
  const { bonus, bonusType } = await pool.meta.dnode(object);
  if (bonusType !== want.type || bonus.length < want.bytes) throw new FormatError('Read ZFS dataset', { structure: 'dnode_phys', field: `object ${object}.dn_bonustype`, found: bonusType, expected: want.type });
  return viewOf(bonus);
}

async function directoryAt(pool: Pool, object: number): Promise<Directory> {
  const view = await bonusOf(pool, object, { type: objectTypes.dslDirectory, bytes: DIRECTORY_BYTES });
  const word = (at: number, field: string): number => wordAt(view, at, { structure: 'dsl_dir_phys', field });
  const dnode = await pool.meta.dnode(object);
  // Its own entries exist only where the object is a ZAP: in old pools it has no content at all.
  const key = dnode.type === objectTypes.dslDirectory ? undefined : await (await Zap.open(await pool.meta.object(object))).number(KEY_ENTRY);
  return { object, head: word(8, 'dd_head_dataset_obj'), children: word(32, 'dd_child_dir_zapobj'), ...(key === undefined ? {} : { key }) };
}

async function datasetAt(pool: Pool, object: number): Promise<Dataset> {
  const view = await bonusOf(pool, object, { type: objectTypes.dslDataset, bytes: DATASET_BYTES });
  const word = (at: number, field: string): number => wordAt(view, at, { structure: 'dsl_dataset_phys', field });
  return { directory: word(0, 'ds_dir_obj'), snapshots: word(32, 'ds_snapnames_zapobj'), pointer: new Uint8Array(view.buffer, view.byteOffset + POINTER_AT, POINTER_BYTES).slice() };
}

/** The datasets of a pool. */
export class Datasets {
  readonly #pool: Pool;
  readonly #makeCipher: CipherMaker;

  constructor(pool: Pool, makeCipher: CipherMaker) {
    this.#pool = pool;
    this.#makeCipher = makeCipher;
  }

  async #root(): Promise<Directory> {
    return directoryAt(this.#pool, await this.#pool.directory.required('root_dataset'));
  }

  async #zap(object: number): Promise<Zap> {
    return Zap.open(await this.#pool.meta.object(object));
  }

  /** All names, each dataset before its snapshots and those before the datasets below it. `problem` is told of what cannot be read. */
  async list(problem: (where: string, error: unknown) => void): Promise<readonly DatasetName[]> {
    const found: DatasetName[] = [];
    const { limits } = this.#pool.reader;
    const seen = new Set<number>();
    const queue: { readonly name: string; readonly directory: () => Promise<Directory>; readonly depth: number }[] = [{ name: this.#pool.label.name, directory: () => this.#root(), depth: 1 }];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const { name, depth } = next;
      checkLimit(limits, 'treeDepthMax', depth, `ZFS dataset '${name}'`);
      try {
        const directory = await next.directory();
        if (seen.has(directory.object) || directory.head === 0) continue;
        seen.add(directory.object);
        found.push({ kind: 'dataset', name, object: directory.head });
        found.push(...await this.#snapshotsOf(name, directory.head));
        checkLimit(limits, 'filesystemVolumesMax', found.length, 'datasets of a ZFS pool');
        const below = await this.#childrenOf(directory);
        for (const child of below.toReversed()) queue.push({ name: `${name}/${child.name}`, directory: () => directoryAt(this.#pool, child.object), depth: depth + 1 });
        checkLimit(limits, 'filesystemVolumesMax', queue.length, 'datasets of a ZFS pool');
      } catch (error) {
        problem(name, error);
      }
    }
    return found;
  }

  async #childrenOf({ children }: Directory): Promise<readonly { readonly name: string; readonly object: number }[]> {
    if (children === 0) return [];
    const found = [];
    for await (const page of (await this.#zap(children)).entries()) {
      for (const entry of page) if (entry.name[0] !== HIDDEN) found.push({ name: textOf(entry.name), object: entryNumber(entry) });
      checkLimit(this.#pool.reader.limits, 'filesystemVolumesMax', found.length, 'datasets of a ZFS pool');
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async #snapshotsOf(name: string, head: number): Promise<readonly DatasetName[]> {
    const { snapshots } = await datasetAt(this.#pool, head);
    if (snapshots === 0) return [];
    const found: DatasetName[] = [];
    for await (const page of (await this.#zap(snapshots)).entries()) {
      for (const entry of page) found.push({ kind: 'snapshot', name: `${name}@${textOf(entry.name)}`, object: entryNumber(entry) });
      checkLimit(this.#pool.reader.limits, 'filesystemVolumesMax', found.length, 'snapshots of a ZFS dataset');
    }
    return found.sort((a, b) => a.object - b.object);
  }

  /** The dataset or snapshot of a name; undefined when there is none. */
  async find(name: string): Promise<DatasetName | undefined> {
    const [path = '', snapshot, ...more] = name.split('@');
    const [pool, ...parts] = path.split('/');
    if (pool !== this.#pool.label.name || more.length > 0) return undefined;
    let directory = await this.#root();
    for (const part of parts) {
      const object = directory.children === 0 || part.startsWith('$') ? undefined : await (await this.#zap(directory.children)).number(part);
      if (object === undefined) return undefined;
      directory = await directoryAt(this.#pool, object);
    }
    if (snapshot === undefined) return { kind: 'dataset', name, object: directory.head };
    const { snapshots } = await datasetAt(this.#pool, directory.head);
    const entry = snapshots === 0 ? undefined : await (await this.#zap(snapshots)).find(utf8(snapshot));
    return entry === undefined ? undefined : { kind: 'snapshot', name, object: entryNumber(entry) };
  }

  /** The pool's own dataset. @throws {NotFoundError} */
  async root(): Promise<DatasetName> {
    const { head } = await this.#root();
    if (head === 0) throw new NotFoundError(`Open ZFS pool '${this.#pool.label.name}': it has no root dataset`);
    return { kind: 'dataset', name: this.#pool.label.name, object: head };
  }

  /**
   * Opens a dataset's objects.
   * @throws {UnsupportedError} when it is encrypted and no key fits. @throws {FormatError} @throws {IntegrityError}
   */
  async open({ name, object }: DatasetName): Promise<ObjectSet> {
    const { directory, pointer } = await datasetAt(this.#pool, object);
    const { key } = await directoryAt(this.#pool, directory);
    const { reader } = this.#pool;
    return ObjectSet.open(key === undefined ? { reader } : { reader, cipher: await this.#makeCipher(key, name) }, pointer);
  }
}
