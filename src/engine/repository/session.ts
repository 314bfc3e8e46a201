/**
 * One backup under way, as others see it: `sessions/<id>` says which lists of condemned containers it honours. A collector deletes nothing that a session
 * may refer to before the session ended; it ends by its manifest, which has the session's id for a name, or by a fence under the same name.
 * Exactly one of the two can be created, so nobody has to guess whether a writer is alive. Layout: `docs/formats/session.md`.
 */
import { BusyError, FormatError, NotFoundError, UnsupportedError, checkLimit, readObject, type Limits, type ObjectStore, type World } from '../../core/index.ts';
import { decodeDocument, encodeDocument, type DocumentKind } from '../objects/index.ts';
import { writeFence } from '../snapshots/manifest.ts';
import type { CatchUp } from '../store/catch-up.ts';

const SESSION: DocumentKind = { kind: 'session', version: 1 };

/** Who writes. */
export interface Writer {
  /** 16 hexadecimal digits: of the lock `locks/writer-<id>` that ends with its process. */
  readonly id: string;
  /** Where that lock is: '' beside the objects, else the identity of a cache directory. */
  readonly cache: string;
  readonly host: string;
  readonly pid: number;
}

/** A collector commits nothing, so nobody waits for it; it only wants to know the store's clock. */
export type SessionPurpose = 'backup' | 'collect';

/** What a session's object says. */
export interface SessionInfo {
  readonly id: string;
  /** The newest list of condemned containers that it knew when it began. */
  readonly epoch: number;
  /** Milliseconds since 1970 by the writer's clock. */
  readonly started: number;
  readonly purpose: SessionPurpose;
  readonly writer: Writer;
}

/** A session of this process. */
export class Session {
  readonly id: string;
  readonly #world: World;
  readonly #objects: ObjectStore;

  private constructor(world: World, objects: ObjectStore, id: string) {
    this.#world = world;
    this.#objects = objects;
    this.id = id;
  }

  /**
   * Announces a backup. The order is what makes it safe: know the lists, announce, look for lists again. A collector lists sessions after it
   * wrote its list, so either it sees this session or this session sees its list.
   */
  static async begin(world: World, objects: ObjectStore, catchUp: CatchUp, as: { readonly writer: Writer; readonly purpose: SessionPurpose }): Promise<Session> {
    await catchUp.run();
    const session = await Session.announce(world, objects, catchUp.generation, as);
    await catchUp.honour();
    return session;
  }

  /** Announces someone who honours the lists up to `epoch`, and does nothing else. Durable when it resolves. */
  static async announce(world: World, objects: ObjectStore, epoch: number, as: { readonly writer: Writer; readonly purpose: SessionPurpose }): Promise<Session> {
    const id = Buffer.from(world.randomBytes(32)).toString('hex');
    await objects.put(`sessions/${id}`, encodeDocument(SESSION, { id, epoch, started: world.now(), ...as }));
    return new Session(world, objects, id);
  }

  /** Takes the announcement back, after the manifest or without one; where nothing may be removed, a fence says the same. What stays is cleared by a collector. */
  async end(): Promise<void> {
    try {
      await this.#objects.remove(`sessions/${this.id}`);
    } catch (error) {
      // A manifest under that name has said it already; and any other failure leaves it to the collector.
      if (error instanceof UnsupportedError) await writeFence(this.#world, this.#objects, this.id).catch(() => undefined);
    }
  }
}

/** Ids of sessions that are announced. */
export async function listSessions(objects: ObjectStore): Promise<readonly { readonly id: string; readonly modified: number }[]> {
  const found: { id: string; modified: number }[] = [];
  for await (const page of objects.list('sessions')) {
    for (const { name, modified } of page) {
      const match = /^sessions\/([0-9a-f]{64})$/.exec(name);
      if (match !== null) found.push({ id: match[1] ?? '', modified });
    }
  }
  return found;
}

/** Undefined when it ended meanwhile. @throws {IntegrityError} and others: one that can't be read may honour no list at all. */
export async function readSession(objects: ObjectStore, id: string, limits: Limits): Promise<SessionInfo | undefined> {
  const what = `Read session '${id}'`;
  try {
    const bytes = await readObject(objects, `sessions/${id}`, (size) => { checkLimit(limits, 'manifestBytesMax', size, `session '${id}'`); });
    const body = decodeDocument(bytes, SESSION, what);
    const { epoch, started, purpose } = body;
    const writer = body['writer'] as Writer | null | undefined;
    if (body['id'] !== id || !Number.isSafeInteger(epoch) || typeof started !== 'number' || typeof writer?.id !== 'string' || typeof writer.cache !== 'string'
      || (purpose !== 'backup' && purpose !== 'collect')) {
      throw new FormatError(what, { structure: 'session', field: 'body', found: JSON.stringify(body).slice(0, 100), expected: 'id, epoch, started, purpose and writer' });
    }
    return { id, epoch: epoch as number, started, purpose, writer };
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** Ends someone's session, unless it committed. @returns whether it committed. */
export async function fenceSession(world: World, objects: ObjectStore, id: string): Promise<boolean> {
  let committed = false;
  try {
    await writeFence(world, objects, id);
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    committed = true; // or another collector fenced it: either way it ended
  }
  await objects.remove(`sessions/${id}`).catch((error: unknown) => {
    if (!(error instanceof UnsupportedError)) throw error;
  });
  return committed;
}
