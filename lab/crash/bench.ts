/**
 * What a workload works with, and what it was promised: the expected state is kept here, outside the store, and grows only when the engine said that
 * something is done.
 */
import assert from 'node:assert/strict';
import type { FileTree } from '../../src/core/index.ts';
import { MemoryTree, type MemoryNode } from '../../src/core/testing/memory-tree.ts';
import { assertSameTree } from '../../src/core/testing/same-tree.ts';
import { seededBytes } from '../../src/core/testing/random.ts';
import { subDisk } from '../../src/engine/world/sub-disk.ts';
import type { CollectOptions, OpenOptions, Repository } from './engine-types.ts';
import type { Machine } from './machine.ts';

/** A promise was broken: never to be taken for an error of the disk. */
export class Violation extends Error {
  constructor(invariant: string, cause: unknown) {
    super(`${invariant}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Runs a check; what it throws is a broken promise. */
export async function promised<T>(invariant: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof Violation ? error : new Violation(invariant, error);
  }
}

/** What is expected of the store. */
export class Ledger {
  /** Snapshots that were acknowledged, and the trees that they are. */
  readonly acknowledged: Map<string, MemoryNode> = new Map();
  /** Snapshots that someone asked to forget: they may be gone. */
  readonly asked: Set<string> = new Set();
  /** Snapshots whose forgetting was acknowledged: they must be gone. */
  readonly forgotten: Set<string> = new Set();
  /** Trees by the tag of their backup, whether it was acknowledged or not. */
  readonly attempts: Map<string, MemoryNode> = new Map();
  /** Snapshots that a copy elsewhere was acknowledged to hold. */
  readonly copied: Set<string> = new Set();
  /** Whether the repository was acknowledged to exist. */
  exists = false;

  clone(): Ledger {
    const copy = new Ledger();
    for (const [id, root] of this.acknowledged) copy.acknowledged.set(id, root);
    for (const id of this.asked) copy.asked.add(id);
    for (const id of this.forgotten) copy.forgotten.add(id);
    for (const [tag, root] of this.attempts) copy.attempts.set(tag, root);
    for (const id of this.copied) copy.copied.add(id);
    copy.exists = this.exists;
    return copy;
  }

  /** Snapshots that must be there. */
  get required(): readonly string[] {
    return [...this.acknowledged.keys()].filter((id) => !this.asked.has(id));
  }
}

/** A backup that waits where its source is opened first. */
export interface HeldBackup {
  /** Resolves when it waits there, or has ended without reading anything. */
  readonly reached: Promise<void>;
  readonly result: Promise<string>;
  release(): void;
}

/** The key of a number; always the same. */
function credentialOf(number: number): { readonly kind: 'key'; readonly name: string; readonly secret: Uint8Array } {
  return { kind: 'key', name: `key ${number}`, secret: seededBytes(32, number) };
}

/** A machine with a repository and what is expected of it. */
export class Bench {
  readonly machine: Machine;
  readonly ledger: Ledger;
  /** Numbers of keys of which at least one opens the repository; none when it is not encrypted. */
  keys: readonly number[] = [];
  readonly #open: { close(): Promise<void> }[] = [];

  constructor(machine: Machine, ledger: Ledger) {
    this.machine = machine;
    this.ledger = ledger;
  }

  /** The same repository on a machine that went through something. */
  on(machine: Machine): Bench {
    const bench = new Bench(machine, this.ledger.clone());
    bench.keys = this.keys;
    return bench;
  }

  get #options(): Omit<OpenOptions, 'mode' | 'credentials'> {
    return { index: 'log', workers: 0, limits: this.machine.engine.limits };
  }

  /** For {@link OpenOptions}, which may be overwritten. */
  get #credentials(): Pick<OpenOptions, 'credentials'> {
    return this.keys.length === 0 ? {} : { credentials: this.keys.map(credentialOf) };
  }

  async create(): Promise<Repository> {
    const { world } = this.machine.start();
    const [key] = this.keys;
    const encryption = key === undefined ? {} : { encryption: { slots: [{ credential: credentialOf(key) }] } };
    const repository = await this.machine.engine.engine.Repository.create(world, { fixedBlockBytes: 4096, compression: 'none', ...encryption }, this.#options) as Repository;
    this.ledger.exists = true;
    this.#open.push(repository);
    return repository;
  }

  /** In a new process. */
  async open(mode: 'read' | 'write' = 'write'): Promise<Repository> {
    const { world } = this.machine.start();
    const repository = await this.machine.engine.engine.Repository.open(world, { ...this.#options, ...this.#credentials, mode }) as Repository;
    this.#open.push(repository);
    return repository;
  }

  /** In a new process: a further data key, or with `root` a new root key that only key `root` opens. */
  async rotate(root?: number): Promise<void> {
    const { world } = this.machine.start();
    const keys = await this.machine.engine.engine.Repository.openKeys(world, { limits: this.machine.engine.limits, ...this.#credentials });
    this.#open.push(keys);
    await keys.rotate(root === undefined ? {} : { newRoot: [{ credential: credentialOf(root) }] });
    await keys.close();
  }

  /** In a new process: copies the repository to a directory of the same disk. */
  async clone(directory: string): Promise<void> {
    const { world } = this.machine.start();
    const promisedIds = this.ledger.required;
    await this.machine.engine.engine.cloneRepository({ world }, { world: { ...world, disk: subDisk(world.disk, directory) } });
    for (const id of promisedIds) this.ledger.copied.add(id);
  }

  /** In a new process, with the index closed. */
  async rebuildIndex(): Promise<void> {
    const { world } = this.machine.start();
    await this.machine.engine.engine.Repository.rebuildIndex(world, this.#options);
  }

  /** Ends what is open as a program does that met an error. */
  async closeAll(): Promise<void> {
    for (const repository of this.#open.splice(0)) await repository.close().catch(() => undefined); // the first error counts
  }

  backUp(repository: Repository, root: MemoryNode, source = '/'): Promise<string> {
    return this.#backUp(repository, { root, source, tree: new MemoryTree(root) });
  }

  async #backUp(repository: Repository, what: { readonly root: MemoryNode; readonly source: string; readonly tree: FileTree }): Promise<string> {
    const tag = `attempt-${this.ledger.attempts.size + 1}`;
    this.ledger.attempts.set(tag, what.root);
    const problems: string[] = [];
    const { snapshot } = await repository.backup(what.tree, {
      sources: [what.source], host: 'h', parent: 'auto', tags: [tag], chunking: 'fixed', onProblem: ({ where }) => { problems.push(where); },
    });
    if (problems.length > 0) throw new Violation('I6 a success that is none', `backup of a sound tree left out '${problems.join("', '")}'`);
    this.ledger.acknowledged.set(snapshot, what.root);
    this.ledger.exists = true;
    return snapshot;
  }

  /** Begins a backup that waits where it opens its `nth` file, and goes on when it is released. */
  hold(repository: Repository, root: MemoryNode, nth = 1): HeldBackup {
    const tree = new MemoryTree(root);
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => { release = resolve; });
    let reach = (): void => undefined;
    const opened = new Promise<void>((resolve) => { reach = resolve; });
    const open = tree.open.bind(tree);
    let opens = 0;
    tree.open = async (id) => {
      opens += 1;
      if (opens < nth) return open(id);
      reach();
      await gate;
      return open(id);
    };
    const result = this.#backUp(repository, { root, source: '/held', tree });
    result.catch(() => undefined); // whoever releases it looks
    return { reached: Promise.race([opened, result.then(() => undefined, () => undefined)]), result, release };
  }

  async forget(repository: Repository, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.ledger.asked.add(id);
    await repository.forget(ids);
    for (const id of ids) this.ledger.forgotten.add(id);
  }

  collect(repository: Repository, options: CollectOptions = {}): ReturnType<Repository['collect']> {
    return repository.collect({ maxUnused: 0, ...options });
  }

  /** All promises about snapshots: there, or gone, and exact. An error of the disk passes through. */
  async verify(repository: Repository): Promise<void> {
    const visible = await repository.snapshots();
    const ids = new Set(visible.map(({ id }) => id));
    const missing = this.ledger.required.filter((id) => !ids.has(id));
    if (missing.length > 0) throw new Violation('I1 a committed snapshot is there', `'${missing.join("', '")}' of '${this.ledger.required.length}' missing`);
    const back = [...this.ledger.forgotten].filter((id) => ids.has(id));
    if (back.length > 0) throw new Violation('I6 a forgotten snapshot stays away', `'${back.join("', '")}' can be seen`);
    for (const { id, tags } of visible) {
      const root = this.ledger.acknowledged.get(id) ?? this.ledger.attempts.get(tags[0] ?? '');
      if (root === undefined) throw new Violation('I1 only what was backed up is there', `snapshot '${id}' of '${tags.join()}'`);
      await this.restore(repository, id, root);
    }
  }

  /** Reads a whole snapshot. @throws {Violation} wrong bytes; an error of the disk passes through. */
  async restore(repository: Repository, id: string, root: MemoryNode): Promise<void> {
    try {
      await assertSameTree(await repository.openSnapshot(id), new MemoryTree(root));
    } catch (error) {
      throw error instanceof assert.AssertionError ? new Violation('I1 a snapshot is exact', error) : error;
    }
  }
}
