/** The content of a file by its fork. */
import type { BlockSource } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import type { Mapping } from './extent.ts';
import type { XfsGeometry } from './geometry.ts';

/** Maps blocks of a file. */
export interface BlockFinder {
  find(block: number): Mapping | Promise<Mapping>;
}

/** What was allocated and never written reads as zeroes. */
export class FileMap implements BlockMap {
  readonly #finder: BlockFinder;
  readonly #geometry: XfsGeometry;
  readonly #device: BlockSource;

  constructor(finder: BlockFinder, geometry: XfsGeometry, device: BlockSource) {
    this.#finder = finder;
    this.#geometry = geometry;
    this.#device = device;
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const { blockBytes } = this.#geometry.facts;
    const skip = offset % blockBytes;
    const found = this.#finder.find((offset - skip) / blockBytes);
    return found instanceof Promise ? found.then((mapping) => this.#run(mapping, skip, lengthMax)) : this.#run(found, skip, lengthMax);
  }

  #run({ count, block, unwritten }: Mapping, skip: number, lengthMax: number): Run {
    const length = Math.min(lengthMax, count * this.#geometry.facts.blockBytes - skip);
    if (block === undefined) return { kind: 'hole', length };
    if (unwritten) return { kind: 'zero', length };
    return { kind: 'data', length, file: this.#device, at: this.#geometry.blockAt(block) + skip };
  }
}
