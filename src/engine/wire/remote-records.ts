/** Records of groups from a daemon, or kept on this host: they are checked and decoded here as if they came from a container of this host. */
import { PLACE_BYTES, ProtocolError, encodePlace, type ChunkPlace } from '../../core/index.ts';
import type { ReadRecord, RecordSource } from '../store/container-records.ts';
import type { WireClient } from './client.ts';
import { PageCache } from './page-cache.ts';

/** A `RecordSource` over a client. */
export class RemoteRecords implements RecordSource {
  readonly #client: WireClient;
  readonly #pages: PageCache | undefined;

  constructor(client: WireClient, pages: PageCache | undefined) {
    this.#client = client;
    this.#pages = pages;
  }

  read(place: ChunkPlace, target: Uint8Array): Promise<ReadRecord> {
    if (this.#pages !== undefined && PageCache.holds(place)) return this.#pages.read(place, target);
    const asked = new Uint8Array(PLACE_BYTES);
    encodePlace(asked, 0, place);
    return this.#client.request('record', [asked], (body) => {
      if (body.length > target.length) throw new ProtocolError(`Read record: it has '${body.length}' bytes, at most '${target.length}' are expected`);
      target.set(body);
      return { length: body.length };
    });
  }

  async close(): Promise<void> {}
}
