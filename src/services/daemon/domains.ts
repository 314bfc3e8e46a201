/** The repositories of a daemon: opened one after the other, looked at now and then for metrics, closed together. */
import { UsageError } from '../../core/index.ts';
import type { Repository, SnapshotStore } from '../../engine/index.ts';
import { readKeys } from '../locations/keys.ts';
import { openDirectRepository } from '../repositories.ts';
import type { DaemonConfig } from './config.ts';
import type { Logger } from './logger.ts';
import type { StoreMetrics } from './metrics/store.ts';

/** After a commit, the repository as a whole is looked at so much later, together with all commits until then. */
const REFRESH_MS = 30_000;

/** What domains are opened with. */
export interface DomainParts {
  readonly log: Logger;
  readonly metrics: StoreMetrics;
}

/** Times lookups of the index. */
function timerFor(metrics: StoreMetrics): (ids: number) => () => void {
  return (ids) => {
    const begun = performance.now();
    return () => { metrics.noteLookup(ids, (performance.now() - begun) / 1_000); };
  };
}

/** See the file's header. */
export class Domains {
  readonly repositories: Map<string, Repository> = new Map<string, Repository>();
  readonly #parts: DomainParts;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(parts: DomainParts) {
    this.#parts = parts;
  }

  /** Opens the repository of a domain for writing, building its index when that is missing. @throws as `openDirectRepository`. */
  async open(domain: string, config: DaemonConfig): Promise<void> {
    const { log, metrics } = this.#parts;
    const { repository: place, keys: files = [] } = config.domains[domain] ?? { repository: '' };
    const begun = performance.now();
    const contents = readKeys(files);
    const repository = await openDirectRepository(place, {
      mode: 'write', workers: config.workers, cacheDirectory: config.cacheDirectory, timeLookup: timerFor(metrics),
      keys: contents.map((bytes, i) => ({ bytes, name: files[i] ?? '' })), onNote: (text) => { log.warn({ domain }, text); },
    }).catch((error: unknown) => {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`Open the repository of 'domains.${domain}', with the files that 'domains.${domain}.keys' lists: ${error.message}`, { root: place });
    });
    this.repositories.set(domain, repository);
    metrics.add(domain, repository);
    log.info({ domain, repository: place, id: repository.id, seconds: (performance.now() - begun) / 1_000 }, 'repository opened');
    await this.refresh(domain);
  }

  /** Looks at the repository as a whole. A failure is logged: metrics end no service. */
  async refresh(domain: string): Promise<void> {
    const { log, metrics } = this.#parts;
    const repository = this.repositories.get(domain);
    if (repository === undefined) return;
    try {
      const { chunks, bytesStored, manifests } = await repository.statistics();
      metrics.noteRepository(domain, { chunks, bytes: bytesStored, snapshots: manifests });
      const snapshots = await repository.snapshots((id, error) => { log.error({ domain, snapshot: id, error: error.message }, 'snapshot can not be used'); });
      for (const snapshot of snapshots) metrics.noteSnapshot(domain, snapshot); // oldest first: the newest stays
    } catch (error) {
      log.error({ domain, error: (error as Error).message }, 'repository can not be looked at');
    }
  }

  /** Looks at the repository soon, once for all who ask until then. */
  refreshSoon(domain: string): void {
    if (this.#timers.has(domain)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(domain);
      void this.refresh(domain);
    }, REFRESH_MS);
    timer.unref();
    this.#timers.set(domain, timer);
  }

  /** A snapshot was committed: its time is known at once. */
  async noteCommit(domain: string, snapshot: string): Promise<void> {
    const { log, metrics } = this.#parts;
    const store: SnapshotStore | undefined = this.repositories.get(domain);
    this.refreshSoon(domain);
    try {
      if (store !== undefined) metrics.noteSnapshot(domain, await store.resolveSnapshot(snapshot));
    } catch (error) {
      log.error({ domain, snapshot, error: (error as Error).message }, 'snapshot can not be read');
    }
  }

  /** Closes all. @throws the first error, after all were closed. */
  async close(): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    const ends = await Promise.allSettled([...this.repositories.values()].map((repository) => repository.close()));
    this.repositories.clear();
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason as Error;
  }
}
