/** What a wire server does with one repository, for all connections of its domain. */
import {
  HoldfastError, ID_BYTES, NotFoundError, PLACE_BYTES, ProtocolError, decodePlace, idAt, inParallel, type ChunkPlace, type IdBatch, type PutCounts,
} from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { ContainerRecords } from '../store/container-records.ts';
import { chunkOf } from '../store/chunk-of.ts';
import { decodeGroup, encodeGroupHead, tableOf } from '../containers/group.ts';
import { readHistory } from '../repository/history.ts';
import type { Repository } from '../repository/repository.ts';
import type { ServedParts } from '../repository/served.ts';
import { EntryEncoder } from '../snapshots/entry.ts';
import { listManifests, readManifest, type Manifest } from '../snapshots/manifest.ts';
import { isDamage } from '../store/detours.ts';
import type { Group } from '../store/group-cache.ts';
import { IncomingGroups, checkPlace, type StagedGroup } from '../store/incoming-groups.ts';
import { encodeJson, optionalText, textField, textsField, type JsonObject } from './json-body.ts';
import { failureCode } from './wire-failure.ts';
import { IDS_MAX, putCodecs, putHead, putKinds } from './message.layout.ts';
import { IntactPages, checkPages } from './page-check.ts';

/** Bytes of manifests in one answer, about. */
const MANIFESTS_BYTES = 262_144;
const READS_AT_ONCE = 8;
const ID = /^[0-9a-f]{64}$/;

/** A manifest as it goes over the wire. */
export interface WireManifest extends Omit<Manifest, 'root'> {
  /** The root's entry, base64. */
  readonly root: string;
}

function toWire({ root, ...info }: Manifest, limits: ServedParts['limits']): WireManifest {
  return { ...info, root: Buffer.from(new EntryEncoder().encode(root, limits)).toString('base64') };
}

/** Ids of a request. @throws {ProtocolError} */
export function idsIn(body: Uint8Array): IdBatch {
  const count = body.length / ID_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > IDS_MAX) throw new ProtocolError(`Read ids: '${body.length}' bytes are not 1 to ${IDS_MAX} ids`);
  return { bytes: body, count };
}

/** One for each repository that is served. */
export class ServedDomain {
  readonly name: string;
  readonly parts: ServedParts;
  readonly incoming: IncomingGroups;
  readonly #repository: Repository;
  readonly #records: ContainerRecords;
  readonly #intact: IntactPages;

  /** @throws {UsageError} the repository is open for reading only. */
  constructor(name: string, repository: Repository) {
    this.name = name;
    this.#repository = repository;
    this.parts = repository.served();
    this.incoming = new IncomingGroups(this.parts);
    this.#records = new ContainerRecords(this.parts.objects);
    this.#intact = new IntactPages(this.parts);
  }

  /** What a client learns first. */
  hello(): object {
    const { config, idKey } = this.parts;
    return { config, domain: this.name, ...(idKey === undefined ? {} : { idKey: Buffer.from(idKey).toString('base64') }) };
  }

  /** Copies a put out of a message. @throws {ProtocolError} @throws {LimitError} */
  stage(body: Uint8Array): Promise<StagedGroup> {
    if (body.length < putHead.size) throw new ProtocolError(`Put group: '${body.length}' bytes are no head of one`);
    const head = putHead.view(body);
    const [kind, codec] = [putKinds[head.kind], putCodecs[head.codec]];
    const tableEnd = putHead.size + head.count * TABLE_ROW_BYTES;
    if (kind === undefined || codec === undefined || head.zero !== 0 || body.length !== tableEnd + head.storedLength) {
      throw new ProtocolError(`Put group: kind '${head.kind}', codec '${head.codec}', '${head.count}' chunks and '${head.storedLength}' bytes do not make '${body.length}' bytes`);
    }
    return this.incoming.stage({ kind, codec, count: head.count, rawLength: head.rawLength, table: body.subarray(putHead.size, tableEnd), payload: body.subarray(tableEnd) });
  }

  /** Takes a verified group; metadata only if all that it refers to is stored. */
  async put(group: StagedGroup): Promise<PutCounts> {
    if (group.kind === 'metadata') {
      try {
        await checkPages(this.parts.store, this.incoming.chunks(group), group.ids, this.parts.limits);
      } catch (error) {
        this.incoming.drop(group);
        throw error;
      }
    }
    return this.incoming.take(group);
  }

  /**
   * Sends the record at a place, which the client verifies. Of an encrypted repository, the record is opened and verified here and goes without
   * compression. @throws {MissingContainerError} a collector moved it.
   */
  async record(body: Uint8Array, send: (parts: readonly Uint8Array[]) => Promise<void>): Promise<void> {
    const place = this.#placeIn(body);
    const { store, idKey, limits } = this.parts;
    try {
      if (idKey !== undefined) {
        const group = await store.groups.acquire(place);
        try {
          await send(openRecord(group));
        } finally {
          store.groups.release(group);
        }
        return;
      }
      await this.incoming.withRecord(async (target) => {
        const { length } = await this.#records.read(place, target);
        decodeGroup(target.subarray(0, length), place, limits);
        await send([target.subarray(0, length)]);
      });
    } catch (error) {
      await store.hasMoved(error); // so that places are right when the client asks again
      throw error;
    }
  }

  /**
   * Whether the first of `ids`, which a client could not read, can be read at the place that is told from now on; where it is damaged, other containers are searched for it and for
   * the others. The client is not believed: what can be read here costs no search, and searches are bounded as those of local reads are.
   */
  async isElsewhere(ids: IdBatch): Promise<boolean> {
    const { store } = this.parts;
    const id = idAt(ids, 0);
    try {
      const place = decodePlace(await store.locate({ bytes: id, count: 1 }), 0);
      store.groups.release(await store.acquireAt(place, (group) => { chunkOf(group, place.ordinal, id); }));
      return true;
    } catch (error) {
      return store.isElsewhere(error, ids);
    }
  }

  /** For each of `ids` 1 where it is a page of a directory that may be referred to, and of which nothing is surely lost, else 0. */
  async intact(ids: IdBatch): Promise<Uint8Array> {
    const { store, metadata } = this.parts;
    const known = await store.has(ids);
    const answers = new Uint8Array(ids.count);
    for (let i = 0; i < ids.count; i += 1) {
      if (((known[i >> 3] as number) & (1 << (i & 7))) === 0) continue;
      const page = await metadata.get(idAt(ids, i)).catch((error: unknown) => { if (!isDamage(error)) throw error; });
      if (page !== undefined && await this.#intact.isIntact(page)) answers[i] = 1;
    }
    return answers;
  }

  /** Manifests behind an id, in ascending order of ids. */
  async manifests(request: JsonObject): Promise<object> {
    const { objects, limits } = this.parts;
    const after = optionalText(request, 'after', ID) ?? '';
    const ids = (await listManifests(objects)).filter((id) => id > after);
    const snapshots: object[] = [];
    const damaged: object[] = [];
    let bytes = 0;
    let at = 0;
    while (at < ids.length && bytes < MANIFESTS_BYTES) {
      const page = ids.slice(at, at + READS_AT_ONCE);
      const found: (object | undefined)[] = [];
      await inParallel(page, READS_AT_ONCE, async (id, i) => {
        try {
          const { root: _, ...info } = await readManifest(objects, id, limits);
          found[i] = info;
        } catch (error) {
          if (error instanceof NotFoundError) return; // a fence, or forgotten meanwhile
          if (!(error instanceof HoldfastError) || error.code === 'TOOL') throw error;
          damaged.push({ id, code: failureCode(error), message: error.message });
        }
      });
      snapshots.push(...found.filter((one) => one !== undefined));
      bytes = encodeJson({ snapshots, damaged }).length;
      at += page.length;
    }
    return { snapshots, damaged, ...(at < ids.length ? { next: ids[at - 1] } : {}) };
  }

  async manifest(request: JsonObject): Promise<object> {
    return toWire(await readManifest(this.parts.objects, textField(request, 'id', ID), this.parts.limits), this.parts.limits);
  }

  async resolve(request: JsonObject): Promise<object> {
    return this.#repository.resolveSnapshot(textField(request, 'text'));
  }

  /** What earlier snapshots say to the next backup. */
  async history(request: JsonObject): Promise<object> {
    const parent = optionalText(request, 'parent');
    const tuning = optionalText(request, 'tuning', /^(auto|off)$/) as 'auto' | 'off' | undefined;
    const { parent: found, chunking, state } = await readHistory(this.parts, {
      host: textField(request, 'host'), sources: textsField(request, 'sources'), ...(parent === undefined ? {} : { parent }), ...(tuning === undefined ? {} : { tuning }),
    });
    return { state, grains: chunking.grains, ...(found === undefined ? {} : { parent: toWire(found, this.parts.limits) }) };
  }

  statistics(): Promise<object> {
    return this.#repository.statistics();
  }

  /** Whether the store failed for good. */
  async isDead(): Promise<boolean> {
    return this.parts.store.has({ bytes: new Uint8Array(0), count: 0 }).then(() => false, () => true);
  }

  async close(): Promise<void> {
    await this.#records.close();
  }

  #placeIn(body: Uint8Array): ChunkPlace {
    if (body.length !== PLACE_BYTES) throw new ProtocolError(`Read place: it has '${body.length}' bytes, expected '${PLACE_BYTES}'`);
    return checkPlace(decodePlace(body, 0), this.parts.limits);
  }
}

/** A decoded group as a record that is neither sealed nor compressed. */
function openRecord({ place, block, count, ids, offsets }: Group): readonly Uint8Array[] {
  const table = tableOf(ids, offsets);
  const rawLength = offsets[count] ?? 0;
  const payload = block.bytes.subarray(0, rawLength);
  return [encodeGroupHead({ codec: 'none', table, count, rawLength, payload }, place), table, payload];
}
