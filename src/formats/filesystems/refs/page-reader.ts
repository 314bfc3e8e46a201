/** Reads pages of metadata by reference: through the table of containers, verified, and kept within a budget. */
import { checkLimit, FormatError, readRange, textOf, type BlockSource, type Limits } from '../../../core/index.ts';
import { verifySum, type PageReference } from './reference.ts';
import { pageLayout } from './refs.layout.ts';

/** Where containers are: clusters have virtual numbers, which go on when a container moves. */
export interface ContainerMap {
  /** First physical cluster by container. */
  readonly starts: ReadonlyMap<number, number>;
  /** Clusters of a container, a power of two. */
  readonly clusters: number;
}

/** What the reader needs to know of a volume. */
export interface PageGeometry {
  readonly clusterBytes: number;
  readonly pageBytes: number;
}

const KEPT_BYTES_PER_CONTAINER = 64;

/** Pages of one volume. */
export class PageReader {
  readonly geometry: PageGeometry;
  readonly #source: BlockSource;
  readonly #limits: Limits;
  readonly #pagesMax: number;
  /** Verified pages by first physical cluster, the oldest first. */
  readonly #pages = new Map<number, Uint8Array>();
  #containers: ContainerMap | undefined;

  constructor(source: BlockSource, geometry: PageGeometry, limits: Limits) {
    this.#source = source;
    this.geometry = geometry;
    this.#limits = limits;
    this.#pagesMax = Math.max(4, Math.floor(limits.filesystemCacheBytesMax / 2 / geometry.pageBytes));
  }

  /** From now on virtual numbers can be translated. */
  useContainers(containers: ContainerMap): void {
    checkLimit(this.#limits, 'filesystemListBytesMax', containers.starts.size * KEPT_BYTES_PER_CONTAINER, 'ReFS table of containers');
    this.#containers = containers;
  }

  /** A virtual cluster as a physical one, and how many follow it there. @throws {FormatError} when its container is unknown. */
  translate(cluster: number, where: string): { readonly physical: number; readonly count: number } {
    const containers = this.#containers;
    if (containers === undefined) throw new FormatError('Find ReFS cluster', { structure: where, field: 'cluster', found: cluster, expected: 'a table of containers' });
    // The number has one bit more than it needs between container and cluster; it is always zero.
    const within = cluster % (containers.clusters * 2);
    const start = containers.starts.get(Math.floor(cluster / (containers.clusters * 2)));
    if (start === undefined || within >= containers.clusters) throw new FormatError('Find ReFS cluster', { structure: where, field: 'cluster', found: cluster, expected: 'a cluster of a known container' });
    return { physical: start + within, count: containers.clusters - within };
  }

  /** First physical cluster of a page. */
  placeOf({ clusters, where }: PageReference, physical: boolean): number {
    const first = clusters[0] as number;
    return physical ? first : this.translate(first, where).physical;
  }

  /**
   * The page's bytes, which must not be changed. `physical`: the reference is one of the few that are not virtual.
   * @throws {IntegrityError} when the sum does not hold. @throws {FormatError} when it is no page of a tree, or is behind the volume.
   */
  async read(reference: PageReference, physical = false): Promise<Uint8Array> {
    const { clusters, where } = reference;
    const place = this.placeOf(reference, physical);
    const known = this.#pages.get(place);
    if (known !== undefined) {
      this.#keep(place, known);
      return known;
    }
    const { clusterBytes, pageBytes } = this.geometry;
    if (clusters.length * clusterBytes !== pageBytes) throw new FormatError('Read ReFS page', { structure: where, field: 'clusters', found: clusters.length, expected: pageBytes / clusterBytes });
    const page = new Uint8Array(pageBytes);
    for (const [i, cluster] of clusters.entries()) {
      const at = (physical ? cluster : this.translate(cluster, where).physical) * clusterBytes;
      if (at + clusterBytes > this.#source.size) throw new FormatError('Read ReFS page', { structure: where, field: 'cluster', found: cluster, expected: `a place before byte ${this.#source.size}` });
      await this.#source.readInto(at, page.subarray(i * clusterBytes, (i + 1) * clusterBytes));
    }
    verifySum(reference, page);
    this.#check(page, where);
    this.#keep(place, page);
    return page;
  }

  /** A page that a listing has read and verified before: by the place that the listing gave. @throws {FormatError} when there is none. */
  async readAgain(place: number, where: string): Promise<Uint8Array> {
    const known = this.#pages.get(place);
    if (known !== undefined) return known;
    const { clusterBytes, pageBytes } = this.geometry;
    if ((place + 1) * clusterBytes + pageBytes > this.#source.size + clusterBytes) throw new FormatError('Read ReFS page', { structure: where, field: 'cluster', found: place, expected: 'a place on the volume' });
    const page = await readRange(this.#source, place * clusterBytes, pageBytes);
    this.#check(page, where);
    return page;
  }

  #check(page: Uint8Array, where: string): void {
    const signature = textOf(page.subarray(0, 4));
    if (signature !== 'MSB+') throw new FormatError('Read ReFS page', { structure: where, field: pageLayout.name, found: signature, expected: 'MSB+' });
  }

  #keep(place: number, page: Uint8Array): void {
    this.#pages.delete(place);
    this.#pages.set(place, page);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#pagesMax) break;
      this.#pages.delete(oldest);
    }
  }
}
