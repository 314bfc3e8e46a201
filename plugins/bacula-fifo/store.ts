/** `store`: each job that the storage daemon writes into its FIFO device becomes a volume of the repository, committed and checked. */
import { IntegrityError } from '../../src/core/index.ts';
import { openStoredVolume, reportVolumes, type ShelfRepository, type ShelfVolume, type VolumeReport, type VolumeShelf } from '../../src/services/volumes/index.ts';
import { FifoReader } from './fifo-reader.ts';

/** Pieces of a pipe are gathered to writes of this many bytes. */
const WRITE_BYTES = 1 << 20;

/** Gathers pieces; writes of 64 KiB each would cost a log entry each. */
class Gatherer {
  readonly #volume: ShelfVolume;
  readonly #buffer: Uint8Array = new Uint8Array(WRITE_BYTES);
  #fill = 0;
  #at = 0;

  constructor(volume: ShelfVolume) {
    this.#volume = volume;
  }

  get bytes(): number {
    return this.#at + this.#fill;
  }

  async take(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const piece = bytes.subarray(done, done + WRITE_BYTES - this.#fill);
      this.#buffer.set(piece, this.#fill);
      this.#fill += piece.length;
      done += piece.length;
      if (this.#fill === WRITE_BYTES) await this.flush();
    }
  }

  async flush(): Promise<void> {
    await this.#volume.write(this.#at, this.#buffer.subarray(0, this.#fill));
    this.#at += this.#fill;
    this.#fill = 0;
  }
}

/** What became of one volume. */
export interface StoredReport {
  readonly volume: string;
  readonly bytes: number;
  readonly jobs: readonly number[];
  /** Reasons not to rely on it; empty when it is whole. */
  readonly faults: readonly string[];
}

/** What is wrong with a stored volume, its name included. */
export function faultsOf(name: string, report: VolumeReport): readonly string[] {
  const [label] = report.names;
  return [...report.faults, ...(label === name ? [] : [`its label says '${label ?? 'nothing'}', expected '${name}'`]), ...(report.jobs.length === 0 ? ['it holds no job'] : [])];
}

/** Stores what the next writer writes as the volume `name`, replacing what it was. Resolves when it is committed and was read back. */
export async function storeNext(reader: FifoReader, shelf: VolumeShelf, name: string): Promise<number> {
  const volume = await shelf.open(name, { create: true });
  try {
    const gatherer = new Gatherer(volume);
    await reader.readWriter(async (bytes) => {
      if (gatherer.bytes === 0) await volume.truncate(0); // the old content goes only when there is a new one
      await gatherer.take(bytes);
    });
    await gatherer.flush();
    await volume.commit();
    return gatherer.bytes;
  } finally {
    await volume.close();
  }
}

/** Stores one volume after another and reports each; stops at the first that is not whole. @throws {IntegrityError} then. */
export async function storeVolumes(fifo: string, names: readonly string[], parts: { readonly shelf: VolumeShelf; readonly repository: ShelfRepository; readonly keys: readonly Uint8Array[]; report(one: StoredReport): void }): Promise<void> {
  const reader = await FifoReader.open(fifo);
  try {
    for (const name of names) {
      const bytes = await storeNext(reader, parts.shelf, name);
      const stored = await openStoredVolume(parts.repository, name, parts.shelf.host);
      const found = await reportVolumes([{ name, source: stored }], parts.keys);
      const faults = faultsOf(name, found);
      parts.report({ volume: name, bytes, jobs: found.jobs.map(({ jobId }) => jobId), faults });
      if (faults.length > 0) throw new IntegrityError(`Store volume '${name}': it is kept as it came, but it is not whole: ${faults.slice(0, 5).join('; ')}`, { volume: name });
    }
  } finally {
    await reader.close();
  }
}
