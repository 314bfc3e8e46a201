/**
 * A set of volumes read as one: scanned once from front to back, indexed compactly, then served as file trees.
 * Source: Bacula Developer's Guide, "Storage Media Output Format", and volumes of 9.6.7 and 15.0.3.
 *
 * Limits: aligned, cloud and deduplicating volumes are refused by name; see docs/bacula-volumes.md.
 */
import type { IHasher } from 'hash-wasm';
import { type BlockSource, checkLimit, NotFoundError, type OpenContext, UsageError } from '../../core/index.ts';
import { BlockReader } from './block-reader.ts';
import { sharedBlockHasher } from './checksum.ts';
import { type Chain, chainOf } from './chain.ts';
import { type BaculaJob, describeJob, jobIdOf, timeOf } from './job.ts';
import { BaculaTree, type NameResolver } from './job-tree.ts';
import type { VolumeLabel } from './label.ts';
import type { PathTable } from './path-table.ts';
import { Pki } from './pki.ts';
import type { ProblemList, VolumeProblem } from './problem.ts';
import { readRestoreObjects, type RestoreObject } from './restore-object.ts';
import type { SessionIndex } from './session-index.ts';
import { SetScan } from './set-scan.ts';
import { parseVolumeKey, type VolumeKey } from './volume-key.ts';
import { readVolumeHead, type VolumeHead, writtenOrder } from './volume-head.ts';
import { VolumeScanner } from './volume-scan.ts';

/** A volume as the caller gives it: a name for messages, and its bytes. */
export interface VolumeInput {
  readonly name: string;
  readonly source: BlockSource;
}

/** Choices that are not part of the bytes. */
export interface VolumeSetOptions {
  /**
   * `given`: the caller's order is meant, and a wrong one is a problem `volume-order`. `any`: the caller does not know the order
   * (a directory of volumes). Either way the volumes are read in the order they were written. Default `given`.
   */
  readonly order?: 'given' | 'any';
  /** Numeric ids of the names in ACLs on the machine of the backup; without it only numeric names are understood. */
  readonly resolveName?: NameResolver;
}

/** Which job: by its number, or by its session where the number is not unique or lost. */
export type JobSelector = { readonly jobId: number } | { readonly session: { readonly id: number; readonly time: number } };

/** An open set of volumes. It owns the sources; trees and files of it end with it. */
export class BaculaVolumeSet {
  /** In the order the volumes were written; undefined where a label is lost. */
  readonly labels: readonly { readonly name: string; readonly label: VolumeLabel | undefined }[];
  readonly #sessions: readonly SessionIndex[];
  readonly #paths: PathTable;
  readonly #problems: ProblemList;
  readonly #reader: BlockReader;
  readonly #pki: Pki;
  readonly #context: OpenContext;
  readonly #options: VolumeSetOptions;

  /** Called by {@link openVolumeSet}. */
  constructor(heads: readonly VolumeHead[], scan: SetScan, parts: { reader: BlockReader; pki: Pki; context: OpenContext; options: VolumeSetOptions }) {
    this.labels = heads.map(({ name, label }) => ({ name, label }));
    this.#sessions = [...scan.sessions.values()];
    this.#paths = scan.paths;
    this.#problems = scan.problems;
    this.#reader = parts.reader;
    this.#pki = parts.pki;
    this.#context = parts.context;
    this.#options = parts.options;
  }

  /** Jobs in the order in which they began on the volumes. */
  jobs(): readonly BaculaJob[] {
    return this.#sessions.map(describeJob);
  }

  /** All that is wrong with the set as far as it has been read; content is checked by {@link verifyContents}. */
  problems(): readonly VolumeProblem[] {
    return this.#problems.list();
  }

  /**
   * The files of one job, from the root `/`; directories the job did not record are made up.
   * @throws {NotFoundError} no such job. @throws {UsageError} the number stands for several sessions.
   */
  jobTree(selector: JobSelector): BaculaTree {
    return this.#tree({ bases: [], sessions: [this.#find(selector)] });
  }

  /**
   * The files as a chain of Full, Differential and Incremental jobs leaves them: deletions that accurate jobs recorded are applied,
   * a Full begins anew, a Differential replaces what came after the last Full, and Base jobs give what a Full left to them.
   * @throws {NotFoundError} no such job. @throws {UsageError} the jobs are not in the order in which they ran.
   */
  chainTree(jobIds: readonly number[]): BaculaTree {
    if (jobIds.length === 0) throw new UsageError('Open a chain of jobs: no job was named');
    const sessions = jobIds.map((jobId) => this.#find({ jobId }));
    for (const [i, session] of sessions.entries()) {
      const before = sessions[i - 1];
      if (before !== undefined && timeOf(before) > timeOf(session)) {
        throw new UsageError(`Open chain '${jobIds.join('+')}': job '${jobIds[i]}' ran before job '${jobIds[i - 1]}', expected the order in which they ran`);
      }
    }
    return this.#tree(chainOf(sessions, this.#paths.count));
  }

  /** Restore objects (plugin data that belongs to a job, not to a file) of one job. @throws as {@link jobTree}; @throws {FormatError} */
  restoreObjects(selector: JobSelector): Promise<readonly RestoreObject[]> {
    return readRestoreObjects(this.#find(selector), this.#reader, this.#context.limits);
  }

  /** Reads the content of every file of every job and yields what does not match; a whole pass over the volumes. */
  async *verifyContents(signal?: AbortSignal): AsyncGenerator<VolumeProblem> {
    for (const session of this.#sessions) {
      const tree = this.#tree({ bases: [], sessions: [session] });
      for await (const problem of tree.verify(signal)) {
        this.#problems.add(problem);
        yield problem;
      }
    }
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  #tree(chain: Chain): BaculaTree {
    return new BaculaTree(chain, {
      baseJobs: this.#sessions.filter((session) => session.start?.level === 'B').map(jobIdOf),
      paths: this.#paths, reader: this.#reader, pki: this.#pki, limits: this.#context.limits, problems: this.#problems, resolveName: this.#options.resolveName,
    });
  }

  #find(selector: JobSelector): SessionIndex {
    if ('session' in selector) {
      const { id, time } = selector.session;
      const found = this.#sessions.find((session) => session.id === id && session.time === time);
      if (found === undefined) throw new NotFoundError(`Find session '${id}/${time}': the volumes hold ${this.#known()}`, { sessionId: id, sessionTime: time });
      return found;
    }
    const found = this.#sessions.filter((session) => jobIdOf(session) === selector.jobId);
    if (found[0] === undefined) throw new NotFoundError(`Find job '${selector.jobId}': the volumes hold ${this.#known()}`, { jobId: selector.jobId });
    if (found.length > 1) {
      throw new UsageError(`Find job '${selector.jobId}': it stands for sessions ${found.map((s) => `'${s.id}/${s.time}'`).join(', ')}; select one by its session`, { jobId: selector.jobId });
    }
    return found[0];
  }

  #known(): string {
    const names = this.#sessions.slice(0, 20).map((session) => `'${jobIdOf(session)}' (session ${session.id}/${session.time})`);
    return names.length === 0 ? 'no jobs' : `jobs ${names.join(', ')}${this.#sessions.length > 20 ? ' …' : ''}`;
  }
}

function volumeKeys(context: OpenContext): readonly VolumeKey[] {
  return (context.keys ?? []).map(parseVolumeKey).filter((key) => key !== undefined);
}

function keyFor(head: VolumeHead, keys: readonly VolumeKey[]): VolumeKey | undefined {
  return keys.find((key) => key.volumeName !== undefined && key.volumeName === head.label?.volumeName) ?? keys.find((key) => key.volumeName === undefined) ?? keys[0];
}

function checkOrder(heads: readonly VolumeHead[], order: readonly number[], scan: SetScan, options: VolumeSetOptions): void {
  if ((options.order ?? 'given') === 'any' || order.every((place, i) => place === i)) return;
  const wrong = order.findIndex((place, i) => place !== i);
  const given = heads.map((head) => `'${head.name}'`).join(', ');
  const written = order.map((place) => `'${heads[place]?.name ?? ''}'`).join(', ');
  scan.problems.add({ kind: 'volume-order', volume: heads[wrong]?.name ?? '', message: `Open volumes ${given}: they were written in the order ${written}, in which they are read` });
}

async function scanVolume(head: VolumeHead, scan: SetScan, context: OpenContext, hasher: IHasher): Promise<void> {
  if (head.fault !== undefined) {
    scan.problems.add({ kind: 'bad-label', volume: head.name, block: 0, offset: 0, message: `Read volume '${head.name}': ${head.fault}` });
  }
  await new VolumeScanner({ name: head.name, source: head.source, key: keyFor(head, volumeKeys(context)) }, context, hasher, scan).run();
  scan.finishVolume();
  if (scan.dataBlocks === 0) {
    scan.problems.add({ kind: 'no-jobs', volume: head.name, offset: head.source.size, message: `Read volume '${head.name}': it holds a label and no job; it is new, or was cut short` });
  }
}

/** Volumes given twice: the same label written at the same time. */
function dropCopies(heads: readonly VolumeHead[], scan: SetScan): readonly VolumeHead[] {
  const seen = new Map<string, string>();
  return heads.filter((head) => {
    if (head.label === undefined) return true;
    const key = `${head.label.volumeName}/${head.label.writeTime}/${head.label.labelTime}`;
    const first = seen.get(key);
    seen.set(key, first ?? head.name);
    if (first !== undefined) scan.problems.add({ kind: 'duplicate-volume', volume: head.name, message: `Open volume '${head.name}': it is volume '${head.label.volumeName}' again, as '${first}'; it is left out` });
    return first === undefined;
  });
}

/**
 * Reads all volumes once, checks every block, and indexes every job. Damage is collected in `problems()`; only what makes a
 * source no volume at all, or unreadable as a whole, throws. The set owns the sources.
 *
 * Memory: the file's name and about 20 bytes a file, 8 bytes more while scanning; windows of 4 MiB; content is never held.
 * @throws {FormatError} a source is not a Bacula volume. @throws {UnsupportedError} BB01, aligned, cloud or deduplicating volume.
 * @throws {NotFoundError} the key of an encrypted volume is missing or does not fit. @throws {LimitError} more than {@link OpenContext.limits} allows.
 * @throws {UsageError} no volume was given.
 */
export async function openVolumeSet(sources: readonly VolumeInput[], context: OpenContext, options: VolumeSetOptions = {}): Promise<BaculaVolumeSet> {
  if (sources.length === 0) throw new UsageError('Open volumes: none was given');
  checkLimit(context.limits, 'baculaVolumesMax', sources.length, 'volume set');
  const scan = new SetScan(context);
  const given: VolumeHead[] = [];
  for (const { name, source } of sources) given.push(await readVolumeHead(name, source, context.limits));
  const order = writtenOrder(given);
  checkOrder(given, order, scan, options);
  const heads = dropCopies(order.map((place) => given[place] as VolumeHead), scan);
  const hasher = await sharedBlockHasher();
  for (const [volume, head] of heads.entries()) {
    scan.begin(volume, head.name);
    await scanVolume(head, scan, context, hasher);
  }
  const keys = volumeKeys(context);
  const reader = new BlockReader(heads.map((head) => ({ name: head.name, source: head.source, key: keyFor(head, keys) })), scan.table, context.limits, hasher);
  await scan.reorder(reader);
  scan.finish(heads.at(-1)?.name ?? '');
  return new BaculaVolumeSet(heads, scan, { reader, pki: new Pki(context.keys ?? []), context, options });
}
