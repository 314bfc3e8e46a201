/** Records of groups from a daemon: they are checked and decoded here as if they came from a container of this host. */
import { PLACE_BYTES, ProtocolError, encodePlace, type ChunkPlace } from '../../core/index.ts';
import type { ReadRecord, RecordSource } from '../store/container-records.ts';
import type { WireClient } from './client.ts';

/** A `RecordSource` over a client. */
export class RemoteRecords implements RecordSource {
  readonly #client: WireClient;

  constructor(client: WireClient) {
    this.#client = client;
  }

  read(place: ChunkPlace, target: Uint8Array): Promise<ReadRecord> {
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
