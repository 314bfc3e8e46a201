/** A backup of a client, at the server: it outlives a broken connection for a while, and ends by a manifest or by nothing. */
import { FormatError, ID_BYTES, IntegrityError, ProtocolError, checkLimit, equalBytes, type PutCounts } from '../../core/index.ts';
import { Session } from '../repository/session.ts';
import { decodeEntries } from '../snapshots/entry.ts';
import { writeManifest, type SnapshotCounts, type SnapshotInfo } from '../snapshots/manifest.ts';
import { REF_BYTES, isHole, refId } from '../snapshots/refs.ts';
import type { StagedGroup } from '../store/incoming-groups.ts';
import type { Peer } from './channel/index.ts';
import { bytesField, numberField, objectField, optionalText, parametersField, textField, textsField, type JsonObject } from './json-body.ts';
import { checkKnown } from './page-check.ts';
import type { ServedDomain } from './served-domain.ts';

const ID = /^[0-9a-f]{64}$/;
const countNames = ['files', 'directories', 'others', 'bytes', 'bytesNew', 'bytesStored', 'chunks', 'chunksNew', 'problems'] as const;

/** What was committed. */
export interface Committed {
  readonly snapshot: string;
  readonly counts: SnapshotCounts;
}

/** Whether two peers are the same. */
export function isSamePeer(a: Peer, b: Peer): boolean {
  return a.kind === b.kind && (a.kind !== 'host' || (b.kind === 'host' && equalBytes(a.publicKey, b.publicKey)));
}

/** One session. Its puts are stored in the order in which they came, so that metadata comes after what it refers to. */
export class ServerSession {
  readonly token: string;
  readonly domain: ServedDomain;
  readonly peer: Peer;
  readonly id: string;
  readonly begun: number;
  /** Number of the connection that has it; undefined while there is none. */
  connection: number | undefined;
  #puts: Promise<unknown> = Promise.resolve();
  readonly #session: Session;
  #committing: Promise<Committed> | undefined;
  #isCommitted = false;
  #ended: Promise<void> | undefined;

  private constructor(token: string, domain: ServedDomain, peer: Peer, session: Session) {
    this.token = token;
    this.domain = domain;
    this.peer = peer;
    this.id = session.id;
    this.begun = domain.parts.world.now();
    this.#session = session;
  }

  /** Announces a backup. `token` is a secret of the client, by which it comes back. */
  static async begin(token: string, domain: ServedDomain, peer: Peer): Promise<ServerSession> {
    const { world, objects, catchUp, writer, store } = domain.parts;
    const session = await Session.begin(world, objects, catchUp, { writer, purpose: 'backup' });
    const begun = new ServerSession(token, domain, peer, session);
    try {
      await store.flush(); // as a local backup does: nothing counts as under way that began before this session
      return begun;
    } catch (error) {
      await begun.end();
      throw error;
    }
  }

  /** Whether a manifest was written; then there is nothing to abandon. */
  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  /** Whether nothing more can be put. */
  get isOver(): boolean {
    return this.#isCommitted || this.#ended !== undefined;
  }

  /** Stores a group that was staged and is being verified, after those before it. The group's blocks are given back in any case. */
  put(group: StagedGroup, verified: Promise<void>): Promise<PutCounts> {
    const { incoming } = this.domain;
    const put = this.#puts.then(async () => {
      try {
        await verified;
        this.#assertOpen();
      } catch (error) {
        incoming.drop(group);
        throw error;
      }
      return this.domain.put(group);
    });
    this.#puts = put.catch(() => undefined);
    return put;
  }

  /** After it resolves, all that was put is durable. */
  async flush(): Promise<void> {
    await this.#puts;
    this.#assertOpen();
    await this.domain.parts.store.flush();
  }

  /**
   * Writes the manifest; a second call gives the result of the first, which the client may have missed.
   * @throws {IntegrityError} its root refers to what is not stored. @throws {BusyError} a collector ended this session.
   */
  commit(request: JsonObject): Promise<Committed> {
    this.#committing ??= this.#commit(request).catch((error: unknown) => {
      this.#committing = undefined;
      throw error;
    });
    return this.#committing;
  }

  /** Takes the announcement back, after a commit that is under way. */
  end(): Promise<void> {
    this.#ended ??= Promise.allSettled([this.#puts, this.#committing]).then(async () => {
      if (!this.#isCommitted) await this.#session.end();
    });
    return this.#ended;
  }

  async #commit(request: JsonObject): Promise<Committed> {
    this.#assertOpen();
    const { info, root } = this.#parse(request);
    const { store, objects } = this.domain.parts;
    await this.#puts;
    await this.#checkRoot(root);
    await store.flush();
    await writeManifest(objects, info, root);
    this.#isCommitted = true;
    await this.#session.end();
    return { snapshot: this.id, counts: info.counts };
  }

  #parse(request: JsonObject): { readonly info: SnapshotInfo; readonly root: Uint8Array } {
    const counts = objectField(request, 'counts');
    const parent = optionalText(request, 'parent', ID);
    const info = {
      id: this.id, time: numberField(request, 'time'), host: textField(request, 'host'), sources: textsField(request, 'sources'), tags: textsField(request, 'tags'),
      counts: Object.fromEntries(countNames.map((name) => [name, numberField(counts, name)])) as unknown as SnapshotCounts,
      parameters: parametersField(request, 'parameters'), ...(parent === undefined ? {} : { parent }),
    };
    return { info, root: bytesField(request, 'root') };
  }

  async #checkRoot(root: Uint8Array): Promise<void> {
    const { limits, store } = this.domain.parts;
    checkLimit(limits, 'entryBytesMax', root.length, 'root of a snapshot to be committed');
    const [entry, ...more] = decodeEntries(root, limits);
    if (entry === undefined || more.length > 0 || entry.stat.type !== 'directory') {
      throw new FormatError('Commit snapshot', { structure: 'manifest', field: 'root', found: `${more.length + 1} entries`, expected: 'one directory' });
    }
    const { refs } = entry.content;
    const count = refs.length / REF_BYTES;
    const ids = new Uint8Array(count * ID_BYTES);
    for (let i = 0; i < count; i += 1) {
      if (isHole(refs, i)) throw new IntegrityError('Commit snapshot: its root has a hole where a page of entries is expected');
      ids.set(refId(refs, i), i * ID_BYTES);
    }
    await checkKnown(store, { bytes: ids, count }, 'Commit snapshot');
  }

  #assertOpen(): void {
    if (this.isOver) throw new ProtocolError(`Use session '${this.id.slice(0, 12)}': it is over`);
  }
}
