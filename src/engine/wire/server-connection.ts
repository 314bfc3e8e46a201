/** One connection at the server: reads requests, works on several at a time, answers each. Bounded: it reads no further while enough is under way. */
import { ProtocolError, UnsupportedError, type PutCounts, type World } from '../../core/index.ts';
import type { Channel, Peer } from './channel/index.ts';
import type { WireEvent } from './events.ts';
import { decodeJson, encodeJson, textField } from './json-body.ts';
import { MESSAGE, WIRE_VERSION, bodyBytesMax, putAnswer, type RequestName } from './message.layout.ts';
import { MessagePort, type Message } from './message-port.ts';
import { idsIn, type ServedDomain } from './served-domain.ts';
import type { SessionTable } from './server.ts';
import type { ServerSession } from './server-session.ts';
import { encodeFailure, failureCode } from './wire-failure.ts';

/** Requests of one connection under way at a time. */
const REQUESTS_MAX = 16;
const TOKEN = /^[0-9a-f]{64}$/;

const names = new Map<number, RequestName>(Object.entries(MESSAGE).filter(([, kind]) => kind < MESSAGE.answer).map(([name, kind]) => [kind, name as RequestName]));

/** What it works with. */
export interface ServerConnectionParts {
  readonly number: number;
  readonly channel: Channel;
  readonly domain: ServedDomain;
  readonly sessions: SessionTable;
  readonly world: World;
  /** Of the peer's socket, for events. */
  readonly address?: string;
  onEvent(event: WireEvent): void;
}

/** What a request came to, for its event. */
interface Account {
  ids: number;
  known: number;
  bytes: number;
  bytesNew: number;
}

/** The parts of an answer. */
type Answer = readonly Uint8Array[];

/** Serves one channel. */
export class ServerConnection {
  readonly number: number;
  readonly peer: Peer;
  readonly #parts: ServerConnectionParts;
  readonly #port: MessagePort;
  readonly #running = new Set<Promise<void>>();
  #session: ServerSession | undefined;
  #greeted = false;
  #reported = { sent: 0, received: 0 };

  constructor(parts: ServerConnectionParts) {
    this.#parts = parts;
    this.number = parts.number;
    this.peer = parts.channel.peer;
    this.#port = new MessagePort(parts.channel, (kind) => {
      const name = names.get(kind);
      return name === undefined ? -1 : bodyBytesMax[name];
    });
  }

  /** Whether a request is under way. */
  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** Ends it from this side. */
  cut(): void {
    this.#parts.channel.destroy();
  }

  /** Serves until the client ends or the connection breaks. Never rejects. */
  async run(): Promise<void> {
    const { channel, domain, world, onEvent } = this.#parts;
    const begun = world.now();
    const where = { connection: this.number, domain: domain.name, peer: this.peer };
    const { address } = this.#parts;
    onEvent({ kind: 'connected', ...where, ...(address === undefined ? {} : { address }) });
    let failure: string | undefined;
    try {
      while (await this.#next()) { /* one request after another */ }
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      channel.destroy();
    }
    await Promise.all(this.#running);
    const session = this.#session;
    if (failure === undefined) {
      // The client said goodbye: it will not come back for a backup that it did not commit.
      if (session !== undefined && session.connection === this.number) await this.#parts.sessions.abandon(session, 'client');
      await channel.end();
    }
    this.#reportTraffic();
    onEvent({ kind: 'closed', ...where, clean: failure === undefined, ...(failure === undefined ? {} : { message: failure }), seconds: (world.now() - begun) / 1000, ...channel.counts });
  }

  /** @returns false at the client's end. @throws what is wrong with the connection: then it is over. */
  async #next(): Promise<boolean> {
    if (this.#running.size >= REQUESTS_MAX) await Promise.race(this.#running);
    const message = await this.#port.receive();
    if (message === undefined) return false;
    const name = names.get(message.kind) as RequestName; // the port lets no other kind through
    // One that is greeted in vain may not go on.
    if (this.#greeted === (name === 'hello')) throw new ProtocolError(`Serve client: message '${name}' comes ${this.#greeted ? 'again' : 'before hello'}`);
    const { task } = await this.#start(name, message);
    this.#running.add(task);
    void task.finally(() => { this.#running.delete(task); });
    return true;
  }

  /** Resolves when the body was taken out of the message; the task never rejects. */
  async #start(name: RequestName, { request, body }: Message): Promise<{ readonly task: Promise<void> }> {
    const account: Account = { ids: 0, known: 0, bytes: 0, bytesNew: 0 };
    const begun = this.#parts.world.now();
    const { work } = name === 'put' ? await this.#stage(body, account) : { work: this.#answer(name, { request, body: body.slice() }, account) };
    const finish = async (): Promise<void> => {
      let code: string | undefined;
      try {
        const answer = await work;
        if (answer !== undefined) await this.#port.send(MESSAGE.answer, request, answer);
      } catch (error) {
        code = failureCode(error);
        await this.#port.send(MESSAGE.failure, request, [encodeFailure(error)]).catch(() => undefined); // the reading side learns of a lost connection
      }
      const { world, domain, onEvent } = this.#parts;
      onEvent({ kind: 'request', connection: this.number, domain: domain.name, request: name, seconds: (world.now() - begun) / 1000, ...account, ...(code === undefined ? {} : { code }) });
      this.#reportTraffic();
    };
    return { task: finish() };
  }

  /** Takes a group out of the message, waiting for room; then `work` verifies and stores it. */
  async #stage(body: Uint8Array, account: Account): Promise<{ readonly work: Promise<Answer> }> {
    try {
      const session = this.#openSession('put');
      const { domain } = this.#parts;
      const group = await domain.stage(body);
      const verified = domain.incoming.verify(group);
      verified.catch(() => undefined); // the session awaits it in its turn
      return { work: this.#put(session.put(group, verified), account) };
    } catch (error) {
      const work = Promise.reject(error);
      work.catch(() => undefined);
      return { work };
    }
  }

  async #put(put: Promise<PutCounts>, account: Account): Promise<Answer> {
    const { chunks, chunksNew, bytes, bytesNew } = await put;
    Object.assign(account, { ids: chunks, known: chunks - chunksNew, bytes, bytesNew });
    return [putAnswer.encode({ chunksNew, bytesNew })];
  }

  async #answer(name: Exclude<RequestName, 'put'>, { request, body }: Pick<Message, 'request' | 'body'>, account: Account): Promise<Answer | undefined> {
    const { domain } = this.#parts;
    const { store } = domain.parts;
    switch (name) {
      case 'hello': return this.#greet(body);
      case 'begin': case 'attach': return this.#enter(name, textField(decodeJson(body, name), 'token', TOKEN));
      case 'has': {
        const ids = idsIn(body);
        const found = await store.has(ids);
        Object.assign(account, { ids: ids.count, known: countBits(found) });
        return [found];
      }
      case 'locate': {
        const ids = idsIn(body);
        account.ids = ids.count;
        return [await store.locate(ids)];
      }
      case 'record':
        await domain.record(body, (parts) => this.#port.send(MESSAGE.answer, request, parts));
        return undefined;
      case 'intact': {
        const ids = idsIn(body);
        account.ids = ids.count;
        return [await domain.intact(ids)];
      }
      case 'elsewhere': {
        const ids = idsIn(body);
        account.ids = ids.count;
        return [Uint8Array.of(await domain.isElsewhere(ids) ? 1 : 0)];
      }
      case 'flush':
        await this.#openSession(name).flush();
        return [];
      case 'commit': return this.#commit(body);
      case 'abandon':
        await this.#parts.sessions.abandon(this.#openSession(name), 'client');
        return [];
      case 'manifests': case 'manifest': case 'resolve': case 'history': return [encodeJson(await domain[name](decodeJson(body, name)))];
      case 'statistics': return [encodeJson(await domain.statistics())];
    }
  }

  #greet(body: Uint8Array): Answer {
    const { versions } = decodeJson(body, 'hello');
    if (!Array.isArray(versions) || !versions.includes(WIRE_VERSION)) {
      throw new UnsupportedError(`Greet client: it speaks version '${String(versions)}' of the messages, this daemon speaks '${WIRE_VERSION}'`);
    }
    this.#greeted = true;
    return [encodeJson({ version: WIRE_VERSION, features: [], ...this.#parts.domain.hello() })];
  }

  async #enter(name: 'begin' | 'attach', token: string): Promise<Answer> {
    if (this.#session !== undefined && !this.#session.isOver && this.#session.token !== token) throw new ProtocolError(`Serve client: '${name}' of a second session on one connection`);
    const before = this.#session;
    this.#session = await this.#parts.sessions[name](token, this.#parts.domain, this);
    // Who begins anew has had the answer to the last commit.
    if (before !== undefined && before !== this.#session) await this.#parts.sessions.abandon(before, 'client');
    return [encodeJson({ session: this.#session.id })];
  }

  async #commit(body: Uint8Array): Promise<Answer> {
    const session = this.#openSession('commit');
    const isFirst = !session.isCommitted;
    const { snapshot, counts: { files, bytes, bytesNew } } = await session.commit(decodeJson(body, 'commit'));
    const { domain, world, onEvent } = this.#parts;
    if (isFirst) onEvent({ kind: 'committed', domain: domain.name, peer: this.peer, session: session.id, seconds: (world.now() - session.begun) / 1000, files, bytes, bytesNew });
    return [encodeJson({ snapshot })];
  }

  #openSession(name: RequestName): ServerSession {
    if (this.#session === undefined) throw new ProtocolError(`Serve client: '${name}' comes before a session began`);
    return this.#session;
  }

  #reportTraffic(): void {
    const { channel, domain, onEvent } = this.#parts;
    const { sent, received } = channel.counts;
    onEvent({ kind: 'traffic', connection: this.number, domain: domain.name, sent: sent - this.#reported.sent, received: received - this.#reported.received });
    this.#reported = { sent, received };
  }
}

/** Answers the greeting of a client that can't be served, so that it learns why; then the connection ends. @throws what is wrong with the connection. */
export async function turnAway(channel: Channel, why: Error): Promise<void> {
  const port = new MessagePort(channel, (kind) => (kind === MESSAGE.hello ? bodyBytesMax.hello : -1));
  const message = await port.receive();
  if (message !== undefined) await port.send(MESSAGE.failure, message.request, [encodeFailure(why)]);
  await channel.end();
}

function countBits(bitmap: Uint8Array): number {
  let count = 0;
  for (const byte of bitmap) for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
