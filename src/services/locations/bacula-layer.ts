/** Bacula volumes as a layer: probing, opening a set, and the steps `job=`, `session=` and `jobs=`. */
import { FormatError, NotFoundError, UsageError, defaultLimits, type BlockSource, type FileTree, type ProbeVerdict, type TreeProblem } from '../../core/index.ts';
import { baculaFormat, openVolumeSet, type BaculaJob, type BaculaTree, type BaculaVolumeSet, type VolumeProblem } from '../../formats/bacula/index.ts';
import { hostAccounts } from './accounts.ts';
import { isKnownKind, keyRemarks, usableKeys } from './key-remarks.ts';
import type { Arrival, LayerInfo, OpenOptions } from './place.ts';

/** A volume under the name that messages use. */
export interface NamedSource {
  readonly name: string;
  readonly source: BlockSource;
}

/** One job, with the step that leads to it. */
export interface JobEntry {
  /** `job=12`; `session=3/1795205879` where the number is lost or not unique. */
  readonly step: string;
  /** The same as a name in a directory, without a slash. */
  readonly name: string;
  readonly timeMs: number;
  readonly job: BaculaJob;
}

/** A job or chain of jobs as a tree, how `info` tells it, and the damage that touches it, known so far. */
export interface OpenJob {
  readonly tree: FileTree;
  readonly layer: LayerInfo;
  problems(): readonly TreeProblem[];
}

/** Damage in volumes, with its place and the job it concerns in parts besides the text. */
export type PlacedProblem = TreeProblem & Omit<VolumeProblem, 'kind'>;

/** Whether bytes are a Bacula volume; reads little and never throws for bad content. */
export function probeVolume(source: BlockSource): Promise<ProbeVerdict> {
  return baculaFormat.probe(source);
}

/** A volume's problem in the shape of every other one: `where` is volume, block and offset. */
export function placedProblem(problem: VolumeProblem): PlacedProblem {
  const parts = [problem.volume === '' ? undefined : `volume '${problem.volume}'`, problem.block === undefined ? undefined : `block ${problem.block}`, problem.offset === undefined ? undefined : `offset ${problem.offset}`];
  return { ...problem, where: parts.filter((part) => part !== undefined).join(', ') };
}

/** An open set of volumes. Closing it closes the volumes; trees of it end with it. */
export class BaculaLayer {
  readonly jobs: readonly JobEntry[];
  readonly volumes: number;
  readonly #set: BaculaVolumeSet;
  readonly #given: string;

  /** `given`: the volumes' names as the user listed them. */
  constructor(set: BaculaVolumeSet, given: string) {
    this.#set = set;
    this.#given = given;
    this.volumes = set.labels.length;
    const jobs = set.jobs();
    this.jobs = jobs.map((job) => {
      const unique = job.jobId !== 0 && jobs.filter((other) => other.jobId === job.jobId).length === 1;
      const session = `${job.session.id}/${job.session.time}`;
      return {
        step: unique ? `job=${job.jobId}` : `session=${session}`,
        name: unique ? `job=${job.jobId}` : `session=${session.replace('/', '-')}`,
        timeMs: (job.started ?? job.session.time) * 1_000,
        job,
      };
    });
  }

  /** Opens what a step names; the tree is the caller's. @throws {UsageError} bad step or chain. @throws {NotFoundError} @throws {FormatError} wrong order. */
  async open(step: string): Promise<OpenJob> {
    this.#checkOrder();
    const single = /^job=(\d{1,10})$/.exec(step);
    if (single !== null) {
      const jobId = Number(single[1]);
      return this.#opened(this.#set.jobTree({ jobId }), 'job', (job) => job.jobId === jobId);
    }
    const session = /^session=(\d{1,10})[/-](\d{1,10})$/.exec(step);
    if (session !== null) {
      const [id, time] = [Number(session[1]), Number(session[2])];
      return this.#opened(this.#set.jobTree({ session: { id, time } }), 'job', (job) => job.session.id === id && job.session.time === time);
    }
    const chain = /^jobs=(\d{1,10}(?:\+\d{1,10})*)$/.exec(step);
    if (chain !== null) {
      const ids = (chain[1] ?? '').split('+').map(Number);
      return this.#opened(this.#set.chainTree(ids), 'chain', (job) => ids.includes(job.jobId));
    }
    throw new UsageError(`Open step '${step}': expected job=NUMBER, session=ID/TIME or jobs=NUMBER+NUMBER…`, { step });
  }

  /** All damage known so far. */
  problems(): readonly PlacedProblem[] {
    return this.#set.problems().map(placedProblem);
  }

  /** Reads the content of every file of every job; what doesn't match joins {@link problems} as it is yielded. */
  async *verify(signal?: AbortSignal): AsyncIterable<PlacedProblem> {
    for await (const problem of this.#set.verifyContents(signal)) yield placedProblem(problem);
  }

  /** What `info` tells. */
  describe(): LayerInfo {
    return { layer: 'bacula', volumes: this.#set.labels.map(({ name, label }) => ({ volume: name, ...label })), jobs: this.jobs.map(({ step, job }) => ({ step, ...job })) };
  }

  close(): Promise<void> {
    return this.#set.close();
  }

  /** Volumes listed one by one are meant in that order: reading them in another one needs the user's consent. */
  #checkOrder(): void {
    const wrong = this.#set.problems().find((problem) => problem.kind === 'volume-order');
    if (wrong === undefined) return;
    const written = this.#set.labels.map(({ name }) => name).join(',');
    throw new FormatError('Open volumes in the order in which they were written', { structure: 'volume set', field: 'order', found: this.#given, expected: written });
  }

  #opened(tree: BaculaTree, layer: 'job' | 'chain', match: (job: BaculaJob) => boolean): OpenJob {
    const jobs = this.#set.jobs().filter(match);
    const [first] = jobs;
    return {
      tree,
      layer: layer === 'job' ? { layer, ...first } : { layer, jobs },
      problems: () => [...this.problems().filter((problem) => jobs.some((job) => touches(problem, job))), ...tree.problems()],
    };
  }
}

/**
 * Damage counts for a job when it names the job's session, and all of it does when the job is incomplete: what is lost
 * between good blocks belongs to nobody for sure.
 */
function touches({ session }: PlacedProblem, job: BaculaJob): boolean {
  return !job.complete || (session?.id === job.session.id && session.time === job.session.time);
}

/**
 * Opens volumes as one set, which then owns them; after a failure they are closed.
 * `order`: `given` when the user listed them one by one, `any` for a directory.
 * @throws {FormatError} @throws {UnsupportedError} @throws {NotFoundError} a key is missing.
 */
export async function openVolumes(members: readonly NamedSource[], options: OpenOptions, order: 'given' | 'any'): Promise<Arrival> {
  const { accounts = hostAccounts(), keyNames = [] } = options;
  const keys = (options.keys ?? []).map((bytes, i) => ({ bytes, name: keyNames[i] ?? `number ${i + 1}` }));
  try {
    const set = await openVolumeSet(members, {
      limits: defaultLimits,
      keys: usableKeys(keys),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }, { order, resolveName: (kind, name) => (kind === 'user' ? accounts.user(name) : accounts.group(name)) });
    const name = members.map((member) => member.name).join(',');
    const volumes = new BaculaLayer(set, name);
    for (const remark of keyRemarks(keys.filter(isKnownKind), set.labels.flatMap(({ label }) => label?.volumeName ?? []))) options.onNote?.(remark);
    for (const remark of keyRemarks(keys.filter((key) => !isKnownKind(key)), [])) options.keyUse?.wait(remark);
    return { place: { kind: 'volumes', volumes, name }, layer: volumes.describe(), owned: volumes };
  } catch (error) {
    for (const member of members) await member.source.close();
    const remarks = error instanceof NotFoundError ? keyRemarks(keys, members.map((member) => member.name), true) : [];
    throw remarks.length === 0 ? error : new NotFoundError(`${(error as Error).message}; ${remarks.join('; ')}`, (error as NotFoundError).data, error);
  }
}
