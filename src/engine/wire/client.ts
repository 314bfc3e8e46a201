/**
 * The client's end: requests over a connection that may break. A broken connection is made anew for a while; then the session goes on where it was, and
 * what was not answered is asked again, in the same order. A connection that breaks while nobody waits is made anew by the next request. All requests may be repeated: they say what should be, not what to do.
 */
import { NotFoundError, ProtocolError, ToolError, AbortedError, HoldfastError, type World } from '../../core/index.ts';
import { channelFault, type Channel } from './channel/index.ts';
import { bytesField, decodeJson, encodeJson, isObject, numberField, objectField, textField, type JsonObject } from './json-body.ts';
import { ANSWER_BYTES_MAX, MESSAGE, WIRE_VERSION, type RequestName } from './message.layout.ts';
import { MessagePort } from './message-port.ts';
import { decodeFailure } from './wire-failure.ts';

/** What a client works with. */
export interface WireClientParts {
  readonly world: World;
  /** Makes a connection; called again whenever one broke. */
  open(): Promise<Channel>;
  /** Where it goes, for messages. */
  readonly place: string;
  /** Milliseconds for which a broken connection is made anew before all fails. Default 120,000. */
  readonly resumeMs?: number;
  /** Sentences for people. */
  onNote?(text: string): void;
}

/** What the server said first. */
export interface ServerHello {
  /** As it came; the caller checks it. */
  readonly config: JsonObject;
  readonly domain: string;
  readonly idKey?: Uint8Array;
}

const RESUME_MS = 120_000;
/** Milliseconds for the server's goodbye. */
const GOODBYE_MS = 1_000;
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 5_000;
/** Times that keys are refused, which were taken before: a handshake may have been changed on the way. */
const REFUSALS_MAX = 3;
/** Connections that broke before anything was answered, after which nothing is tried any more: the peer does not understand us. */
const FRUITLESS_MAX = 20;

interface Pending {
  readonly kind: number;
  readonly parts: readonly Uint8Array[];
  readonly take: (body: Uint8Array) => void;
  readonly fail: (error: unknown) => void;
}

/** See the file's header. */
export class WireClient {
  readonly hello: ServerHello;
  readonly #parts: WireClientParts;
  readonly #pending = new Map<number, Pending>();
  readonly #past = { sent: 0, received: 0 };
  #channel: Channel;
  #port: MessagePort | undefined;
  #requests = 0;
  #token: string | undefined;
  #failure: unknown;
  #closing = false;
  /** Set while a connection is lost that nobody needs. */
  #idle: { readonly cause: unknown } | undefined;
  #fruitless = 0;
  #reading: Promise<void> = Promise.resolve();
  readonly #stop = new AbortController();

  private constructor(parts: WireClientParts, hello: ServerHello, channel: Channel, port: MessagePort) {
    this.#parts = parts;
    this.hello = hello;
    this.#channel = channel;
    this.#start(port);
  }

  /** Connects and greets; the first connection is tried once. @throws {ToolError} {ProtocolError} {UnsupportedError} */
  static async connect(parts: WireClientParts): Promise<WireClient> {
    const channel = await parts.open();
    try {
      const port = portOf(channel);
      return new WireClient(parts, await greet(port), channel, port);
    } catch (error) {
      channel.destroy();
      throw error;
    }
  }

  /** Bytes on the sockets of all connections so far, framing and handshakes included. */
  get counts(): { readonly sent: number; readonly received: number } {
    const { sent, received } = this.#channel.counts;
    return this.#port === undefined ? { ...this.#past } : { sent: this.#past.sent + sent, received: this.#past.received + received };
  }

  /**
   * Asks, and gives what `take` makes of the answer's body, which is valid only while it runs. `parts` must stay as they are until then.
   * @throws the server's error. @throws {ToolError} the connection is lost and could not be made again; if a session was lost with it, all later requests fail, too.
   */
  request<T>(name: RequestName, parts: readonly Uint8Array[], take: (body: Uint8Array) => T): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closing) return Promise.reject(new AbortedError(`Ask '${this.#parts.place}': the connection was closed`));
    return new Promise<T>((resolve, reject) => {
      this.#requests = (this.#requests + 1) >>> 0;
      const pending: Pending = {
        kind: MESSAGE[name], parts, fail: reject,
        take: (body) => {
          try {
            resolve(take(body));
          } catch (error) {
            reject(error);
          }
        },
      };
      this.#pending.set(this.#requests, pending);
      if (this.#port !== undefined) this.#send(this.#port, this.#requests, pending);
      else if (this.#idle !== undefined) this.#mend(this.#idle.cause);
    });
  }

  /** A request and an answer of JSON. */
  ask(name: RequestName, request?: object): Promise<JsonObject> {
    return this.request(name, request === undefined ? [] : [encodeJson(request)], (body) => decodeJson(body, name));
  }

  /** Begins a session; it goes on over connections that break. @returns its id. */
  async begin(): Promise<string> {
    const token = Buffer.from(this.#parts.world.randomBytes(32)).toString('hex');
    const { session } = await this.ask('begin', { token });
    this.#token = token;
    return String(session);
  }

  /** Nothing of the session is wanted any more on later connections. */
  forgetSession(): void {
    this.#token = undefined;
  }

  /** Says goodbye; what is not answered fails. Never rejects. */
  async close(): Promise<void> {
    if (this.#closing) return this.#reading;
    this.#closing = true;
    this.#stop.abort();
    this.#fail(new AbortedError(`Ask '${this.#parts.place}': the connection was closed`));
    const channel = this.#channel;
    await channel.end();
    // The server says goodbye, too; a connection that is dropped earlier may lose our own end on the way.
    const patience = new AbortController();
    await Promise.race([this.#reading, this.#parts.world.sleep(GOODBYE_MS, patience.signal)]);
    patience.abort();
    channel.destroy();
    await this.#reading;
  }

  #start(port: MessagePort): void {
    this.#port = port;
    for (const [request, pending] of this.#pending) this.#send(port, request, pending);
    this.#reading = this.#read(port).then(
      () => { this.#lost(port, new ProtocolError(`Ask '${this.#parts.place}': the daemon ended the connection`)); },
      (error: unknown) => { this.#lost(port, error); },
    );
  }

  #send(port: MessagePort, request: number, { kind, parts }: Pending): void {
    port.send(kind, request, parts).catch((error: unknown) => { this.#lost(port, error); });
  }

  async #read(port: MessagePort): Promise<void> {
    for (;;) {
      const message = await port.receive();
      if (message === undefined) return;
      const pending = this.#pending.get(message.request);
      if (pending === undefined) throw new ProtocolError(`Ask '${this.#parts.place}': an answer to request '${message.request}' came, which is not open`);
      this.#pending.delete(message.request);
      this.#fruitless = 0;
      if (message.kind === MESSAGE.failure) pending.fail(decodeFailure(message.body));
      else pending.take(message.body);
    }
  }

  /** Once for each connection. */
  #lost(port: MessagePort, error: unknown): void {
    if (this.#port !== port) return;
    this.#port = undefined;
    this.#keepCounts();
    this.#channel.destroy();
    if (this.#closing) return;
    this.#fruitless += 1;
    // Nobody waits, and no session would be lost: the next request connects. A mount may be quiet for days.
    if (this.#pending.size === 0 && this.#token === undefined) this.#idle = { cause: error };
    else this.#mend(error);
  }

  #mend(cause: unknown): void {
    this.#idle = undefined;
    this.#reading = this.#reconnect(cause).catch((failure: unknown) => {
      if (this.#token !== undefined) this.#fail(failure);
      else {
        this.#idle = { cause: failure };
        this.#reject(failure);
      }
    });
  }

  #keepCounts(): void {
    this.#past.sent += this.#channel.counts.sent;
    this.#past.received += this.#channel.counts.received;
  }

  async #reconnect(cause: unknown): Promise<void> {
    const { world, place, resumeMs = RESUME_MS, onNote } = this.#parts;
    const why = (error: unknown): string => (error instanceof Error ? error.message : String(error));
    onNote?.(`the connection to '${place}' broke (${why(cause)}): connecting again`);
    const end = world.now() + resumeMs;
    let last = cause;
    let refusals = 0;
    for (let pause = BACKOFF_MS; this.#fruitless < FRUITLESS_MAX; pause = Math.min(pause * 2, BACKOFF_MS_MAX)) {
      await world.sleep(Math.max(0, Math.min(pause, end - world.now())), this.#stop.signal);
      if (this.#closing) return;
      try {
        await this.#resume();
        return;
      } catch (error) {
        if (channelFault(error) === 'refused') refusals += 1;
        if (refusals === REFUSALS_MAX || isFinal(error)) throw error;
        last = error;
      }
      if (world.now() >= end) break;
    }
    throw new ToolError(`Ask '${place}': the connection is lost, and could not be made again: ${why(last)}`, {}, last);
  }

  /** A new connection to the same repository, with the session attached. */
  async #resume(): Promise<void> {
    const channel = await this.#parts.open();
    try {
      const port = portOf(channel);
      const { config } = await greet(port);
      if (config['id'] !== this.hello.config['id']) throw new NotFoundError(`Ask '${this.#parts.place}': another repository is behind it now`);
      if (this.#token !== undefined) await askFirst(port, 'attach', { token: this.#token });
      if (this.#closing) throw new AbortedError();
      this.#channel = channel;
      this.#start(port);
    } catch (error) {
      this.#past.sent += channel.counts.sent;
      this.#past.received += channel.counts.received;
      channel.destroy();
      throw error;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#reject(error);
  }

  #reject(error: unknown): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { fail } of pending) fail(error);
  }
}

/** Errors that trying again can't mend: the server's own words. */
function isFinal(error: unknown): boolean {
  return error instanceof HoldfastError && !error.retryable && error.code !== 'TOOL' && error.code !== 'PROTOCOL';
}

function portOf(channel: Channel): MessagePort {
  return new MessagePort(channel, (kind) => (kind === MESSAGE.answer || kind === MESSAGE.failure ? ANSWER_BYTES_MAX : -1));
}

/** A request before all others of a connection. */
async function askFirst(port: MessagePort, name: RequestName, body: object): Promise<JsonObject> {
  await port.send(MESSAGE[name], 0, [encodeJson(body)]);
  const message = await port.receive();
  if (message === undefined || message.request !== 0) throw new ProtocolError(`Greet daemon: it did not answer '${name}'`);
  if (message.kind === MESSAGE.failure) throw decodeFailure(message.body);
  return decodeJson(message.body, name);
}

async function greet(port: MessagePort): Promise<ServerHello> {
  const answer = await askFirst(port, 'hello', { versions: [WIRE_VERSION], features: [] });
  if (numberField(answer, 'version') !== WIRE_VERSION || !isObject(answer['config'])) throw new ProtocolError(`Greet daemon: it answered version '${String(answer['version'])}', which was not offered`);
  return { config: objectField(answer, 'config'), domain: textField(answer, 'domain'), ...(answer['idKey'] === undefined ? {} : { idKey: bytesField(answer, 'idKey') }) };
}
