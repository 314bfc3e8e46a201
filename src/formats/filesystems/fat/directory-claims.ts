/** Which clusters are directories': a tree in which no directory is met twice, so that a walk of it ends. */
import { FormatError } from '../../../core/index.ts';
import type { ClusterRuns } from './cluster-runs.ts';

const PAGE_BITS = 1 << 15;

/** Claims of one volume. Costs a bit for each cluster near those of directories, and an entry for each directory that was listed. */
export class DirectoryClaims {
  readonly #listed = new Map<number, number>();
  readonly #pages = new Map<number, Uint8Array>();

  /**
   * Says that these clusters are those of the directory `id`; again and again for the same one.
   * @throws {FormatError} when one of them is another directory's. `entryAt` is the byte of its entry, for errors.
   */
  claim(id: number, first: number, { runs, entryAt }: { readonly runs: ClusterRuns; readonly entryAt: number }): void {
    const owner = this.#listed.get(first);
    if (owner === id) return;
    for (const { cluster, count } of runs) {
      for (let i = cluster; i < cluster + count; i += 1) {
        if (owner !== undefined || this.#has(i)) {
          throw new FormatError('Open directory', { structure: 'directory entry', field: 'first cluster', offset: entryAt, found: first, expected: `clusters of its own: cluster ${i} is another directory's` });
        }
      }
    }
    for (const { cluster, count } of runs) for (let i = cluster; i < cluster + count; i += 1) this.#set(i);
    this.#listed.set(first, id);
  }

  #has(cluster: number): boolean {
    const page = this.#pages.get(Math.floor(cluster / PAGE_BITS));
    return page !== undefined && ((page[cluster % PAGE_BITS >> 3] as number) & 1 << (cluster & 7)) !== 0;
  }

  #set(cluster: number): void {
    const number = Math.floor(cluster / PAGE_BITS);
    const page = this.#pages.get(number) ?? new Uint8Array(PAGE_BITS >> 3);
    this.#pages.set(number, page);
    page[cluster % PAGE_BITS >> 3]! |= 1 << (cluster & 7);
  }
}
