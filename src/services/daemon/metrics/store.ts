/** Metrics of what is stored: chunks, bytes, the filter, the index, snapshots. Most are read from the stores when they are scraped. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Repository, SnapshotInfo } from '../../../engine/index.ts';
import { addCounter, addDomainGauge, addGauge } from './scraped.ts';

/** Seconds; an id that is found in memory takes some microseconds, one that a disk is read for milliseconds. */
const lookupBuckets = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1];
/** Names of hosts and sources come from clients: more than so many series are only counted. */
const SERIES_MAX = 1_000;
const LABEL_CHARACTERS_MAX = 200;

/** What is known of a repository as a whole; reading it takes a listing, so it is refreshed only now and then. */
export interface RepositoryFacts {
  readonly chunks: number;
  readonly bytes: number;
  readonly snapshots: number;
}

interface Domain {
  readonly repository: Repository;
  failed: boolean;
}

/** Sums of a store since it was opened. */
interface Totals {
  readonly chunks: number;
  readonly stored: number;
}

function totalsOf({ store: { totals } }: Repository): Totals {
  return { chunks: totals.chunks.data + totals.chunks.metadata, stored: totals.storedBytes.data + totals.storedBytes.metadata };
}

/** See the file's header. */
export class StoreMetrics {
  readonly #domains = new Map<string, Domain>();
  readonly #series = new Set<string>();
  readonly #duplicate = new Map<string, number>();
  readonly #bytesIn = new Map<string, number>();
  readonly #lookups: Histogram;
  readonly #snapshotTime: Gauge;
  readonly #hidden: Counter;
  readonly #chunks: Gauge;
  readonly #bytes: Gauge;
  readonly #snapshots: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#lookups = new Histogram({ name: 'gdd_rocksdb_get_seconds', help: 'Seconds for one id in a lookup of a batch of ids in the chunk index, whichever index is in use', buckets: lookupBuckets, registers });
    this.#snapshotTime = new Gauge({ name: 'gdd_last_snapshot_timestamp_seconds', help: 'When the newest snapshot of these sources was begun', labelNames: ['domain', 'host', 'source'], registers });
    this.#hidden = new Counter({ name: 'gdd_last_snapshot_series_dropped_total', help: `Snapshots of hosts and sources beyond the first ${SERIES_MAX}, which have no series`, registers });
    this.#chunks = new Gauge({ name: 'gdd_repository_chunks', help: 'Chunks in the index of the repository, of all times', labelNames: ['domain'], registers });
    this.#bytes = new Gauge({ name: 'gdd_repository_bytes', help: 'Bytes of all containers of the repository', labelNames: ['domain'], registers });
    this.#snapshots = new Gauge({ name: 'gdd_repository_snapshots', help: 'Snapshots in the repository', labelNames: ['domain'], registers });
    this.#addSums(registry);
    this.#addDomainSums(registry);
    this.#addFilter(registry);
  }

  /** Adds a repository that was opened. */
  add(domain: string, repository: Repository): void {
    this.#domains.set(domain, { repository, failed: false });
  }

  /** A repository that can't be written any more. */
  fail(domain: string): void {
    const found = this.#domains.get(domain);
    if (found !== undefined) found.failed = true;
  }

  /** A lookup of so many ids in the index took so long. */
  noteLookup(ids: number, seconds: number): void {
    this.#lookups.observe(seconds / ids);
  }

  /** Chunks that a client had and that were stored already. */
  noteDuplicates(domain: string, chunks: number): void {
    this.#duplicate.set(domain, (this.#duplicate.get(domain) ?? 0) + chunks);
  }

  /** A client committed a snapshot of so many bytes of content. */
  noteContent(domain: string, bytes: number): void {
    this.#bytesIn.set(domain, (this.#bytesIn.get(domain) ?? 0) + bytes);
  }

  /** A snapshot that is there, in any order. */
  noteSnapshot(domain: string, { host, sources, time }: Pick<SnapshotInfo, 'host' | 'sources' | 'time'>): void {
    const labels = { domain, host: host.slice(0, LABEL_CHARACTERS_MAX), source: sources.join(' ').slice(0, LABEL_CHARACTERS_MAX) };
    const key = JSON.stringify(labels);
    if (!this.#series.has(key) && this.#series.size >= SERIES_MAX) {
      this.#hidden.inc();
      return;
    }
    this.#series.add(key);
    this.#snapshotTime.set(labels, time / 1_000);
  }

  /** What the repository of a domain holds now. */
  noteRepository(domain: string, { chunks, bytes, snapshots }: RepositoryFacts): void {
    this.#chunks.set({ domain }, chunks);
    this.#bytes.set({ domain }, bytes);
    this.#snapshots.set({ domain }, snapshots);
  }

  #sum(of: (repository: Repository) => number): number {
    return sumOf([...this.#domains.values()].map(({ repository }) => of(repository)));
  }

  /** A value of each domain. */
  *#each(of: (name: string, domain: Domain) => number): Iterable<readonly [string, number]> {
    for (const [name, domain] of this.#domains) yield [name, of(name, domain)];
  }

  /** The names that existing dashboards know; over all domains, without labels. */
  #addSums(registry: Registry): void {
    const unique = (): number => this.#sum((repository) => totalsOf(repository).chunks);
    const duplicate = (): number => sumOf(this.#duplicate.values());
    addCounter(registry, { name: 'gdd_chunks_total', help: 'Chunks that clients had: unique and duplicate ones' }, () => unique() + duplicate());
    addGauge(registry, { name: 'gdd_chunks_unique', help: 'Chunks that were new and stored' }, unique);
    addGauge(registry, { name: 'gdd_chunks_duplicate', help: 'Chunks that were stored already' }, duplicate);
    addGauge(registry, { name: 'gdd_bytes_in', help: 'Bytes of content of committed snapshots, as clients count them' }, () => sumOf(this.#bytesIn.values()));
    addGauge(registry, { name: 'gdd_bytes_stored', help: 'Bytes that new chunks take in containers, compressed' }, () => this.#sum((repository) => totalsOf(repository).stored));
  }

  #addDomainSums(registry: Registry): void {
    addDomainGauge(registry, { name: 'gdd_domain_bytes_in', help: 'gdd_bytes_in of one domain' }, () => this.#each((name) => this.#bytesIn.get(name) ?? 0));
    addDomainGauge(registry, { name: 'gdd_domain_bytes_stored', help: 'gdd_bytes_stored of one domain' }, () => this.#each((_, { repository }) => totalsOf(repository).stored));
    addDomainGauge(registry, { name: 'gdd_domain_writable', help: '0 after a write of the domain failed: it answers errors until the daemon is restarted' }, () => this.#each((_, { failed }) => (failed ? 0 : 1)));
  }

  #addFilter(registry: Registry): void {
    type State = Repository['store']['filterState'];
    const all = (of: (state: State) => number) => (): number => this.#sum(({ store }) => of(store.filterState));
    const each = (of: (state: State) => number) => (): Iterable<readonly [string, number]> => this.#each((_, { repository }) => of(repository.store.filterState));
    addGauge(registry, { name: 'gdd_bloom_hits', help: 'Ids of which the filter said "maybe stored", so that the index was asked' }, all(({ asked, denied }) => asked - denied));
    addGauge(registry, { name: 'gdd_bloom_false_positives', help: 'Of these, ids that the index did not have' }, all(({ falsePositivesCold, falsePositivesHot, blind }) => falsePositivesCold + falsePositivesHot + blind));
    addCounter(registry, { name: 'gdd_bloom_denied_total', help: 'Ids of which the filter said "surely new": lookups of the index that were saved' }, all(({ denied }) => denied));
    addDomainGauge(registry, { name: 'gdd_filter_bytes', help: 'Memory of the filter' }, each(({ bytes }) => bytes));
    addDomainGauge(registry, { name: 'gdd_filter_ids', help: 'Ids in the filter' }, each(({ ids }) => ids));
    addDomainGauge(registry, { name: 'gdd_filter_building', help: '1 while the filter is built: until then it says "maybe" of more ids' }, each(({ isBuilding }) => (isBuilding ? 1 : 0)));
  }
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
