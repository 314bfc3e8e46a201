/** Channels over a byte stream: what both ends say first, and the Noise handshake. Bytes: `docs/protocol.md`, section "Handshake". */
import type { Duplex } from 'node:stream';
import { ProtocolError, equalBytes, textOf, utf8 } from '../../../core/index.ts';
import { Handshake, IKpsk2, NNpsk0, messageBytes, type KeyPair } from '../noise/index.ts';
import { faultError, type Channel, type ChannelOptions, type ClientCredentials, type Peer, type ServerCredentials } from './channel.ts';
import { FramedChannel, type Pace } from './framed-channel.ts';
import { Transport } from './transport.ts';

const MAGIC = utf8('HFW1');
const GREETING_BYTES = MAGIC.length + 1;
const patternBytes = { NNpsk0: 1, IKpsk2: 2 } as const;
/** What a server says instead of the pattern when it does not let the client in. It gives no reason to a stranger. */
const REFUSED = 0;

/** A reason, so that none is made: a DOMException costs more than a key agreement. */
const DONE = 'done';

const HANDSHAKE_MS = 10_000;
const KEEP_ALIVE_MS = 15_000;
const SILENCE_MS = 60_000;

function paceOf({ world, keepAliveMs = KEEP_ALIVE_MS, silenceMs = SILENCE_MS }: ChannelOptions): Pace {
  return { world, keepAliveMs, silenceMs };
}

function greeting(pattern: number): Uint8Array {
  return Uint8Array.of(...MAGIC, pattern);
}

function prologue(pattern: number): Uint8Array {
  return Uint8Array.of(...utf8('holdfast wire 1'), pattern);
}

/** Exactly `length` bytes of the handshake. */
async function take(transport: Transport, length: number): Promise<Uint8Array> {
  const taken = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const piece = transport.inbound.take(length - at);
    if (piece !== undefined) {
      taken.set(piece, at);
      at += piece.length;
    } else if (transport.inbound.ended) {
      throw transport.failure ?? faultError('cut', 'Open a channel: the connection was ended during the handshake');
    } else {
      await transport.inbound.wait();
    }
  }
  return taken;
}

async function takeGreeting(transport: Transport): Promise<number> {
  const greeting = await take(transport, GREETING_BYTES);
  if (!equalBytes(greeting.subarray(0, MAGIC.length), MAGIC)) {
    const found = JSON.stringify(textOf(greeting)).slice(1, -1);
    throw faultError('foreign', `Open a channel: the peer began with '${found}', expected '${textOf(MAGIC)}': it speaks another protocol, or another version of this one`);
  }
  return greeting[MAGIC.length] ?? REFUSED;
}

/** Errors of Noise say nothing about whose fault they are; here they mean that the keys differ. */
function refusal(error: unknown): unknown {
  return error instanceof ProtocolError && error.data['fault'] === undefined ? faultError('refused', error.message, error) : error;
}

/** Runs a handshake under its time limit; whatever goes wrong, the stream is destroyed. */
async function withinTime<T>(duplex: Duplex, options: ChannelOptions, work: (transport: Transport) => Promise<T>): Promise<T> {
  const { world, handshakeMs = HANDSHAKE_MS, signal } = options;
  const transport = new Transport(duplex, signal);
  const done = new AbortController();
  const stopListening = transport.onClosed(() => { done.abort(DONE); });
  const limit = async (): Promise<void> => {
    if (!done.signal.aborted) await world.sleep(handshakeMs, done.signal);
    if (!done.signal.aborted) transport.destroy(faultError('silent', `Open a channel: the handshake was not complete after '${handshakeMs}' milliseconds`));
  };
  void limit();
  try {
    return await work(transport);
  } catch (error) {
    const reason = refusal(error) as Error;
    transport.destroy(reason);
    throw reason;
  } finally {
    stopListening();
    done.abort(DONE);
  }
}

/** What a server that refuses may mean by it, who must not tell strangers more. */
const refusals = {
  site: 'it has another site key, or takes enrolled hosts only',
  host: 'this host is not enrolled there or was revoked, its key file is of another server, or the server takes no enrolled hosts',
} as const;

/**
 * Opens a channel as the client. Takes over `duplex`, which must be connected and unread; it is destroyed when this fails.
 * @throws {ProtocolError} with a {@link ChannelFault}. @throws {AbortedError} by `options.signal`.
 */
export function connectChannel(duplex: Duplex, credentials: ClientCredentials, options: ChannelOptions): Promise<Channel> {
  return withinTime(duplex, options, async (transport) => {
    const pattern = credentials.kind === 'site' ? NNpsk0 : IKpsk2;
    const number = credentials.kind === 'site' ? patternBytes.NNpsk0 : patternBytes.IKpsk2;
    const common = { pattern, initiator: true, prologue: prologue(number) };
    const handshake = new Handshake(credentials.kind === 'site'
      ? { ...common, psk: credentials.key }
      : { ...common, psk: credentials.psk, identity: credentials.identity, remoteKey: credentials.serverKey });
    try {
      transport.outbound.write([Buffer.concat([greeting(number), handshake.write()])]);
      const answer = await takeGreeting(transport);
      if (answer !== number) throw faultError('refused', `Open a channel: the server refused: ${refusals[credentials.kind]}`);
      handshake.read(await take(transport, messageBytes(pattern, 1)));
      const channel = new FramedChannel({ kind: 'server' }, transport, handshake.finish(), paceOf(options));
      channel.sendProof();
      void channel.watch();
      return channel;
    } finally {
      handshake.destroy();
    }
  });
}

interface Accepted {
  readonly handshake: Handshake;
  readonly peer: Peer;
}

/** Finds the site key that the client's first message was made with. */
function acceptSite(message: Uint8Array, credentials: ServerCredentials): Accepted {
  for (const { domain, key } of credentials.siteKeys) {
    const handshake = new Handshake({ pattern: NNpsk0, initiator: false, prologue: prologue(patternBytes.NNpsk0), psk: key });
    try {
      handshake.read(message);
      return { handshake, peer: { kind: 'site', domain } };
    } catch (error) {
      handshake.destroy();
      if (!(error instanceof ProtocolError)) throw error;
    }
  }
  throw faultError('refused', 'Accept a channel: the client has none of the site keys');
}

async function acceptHost(message: Uint8Array, credentials: ServerCredentials, identity: KeyPair): Promise<Accepted> {
  const handshake = new Handshake({ pattern: IKpsk2, initiator: false, prologue: prologue(patternBytes.IKpsk2), identity });
  try {
    handshake.read(message);
    const publicKey = handshake.remoteKey ?? new Uint8Array(0);
    const host = await credentials.findHost(publicKey);
    if (host === undefined) {
      throw faultError('refused', `Accept a channel: no host with the public key '${Buffer.from(publicKey).toString('base64')}' is enrolled, or it was revoked`);
    }
    handshake.setPsk(host.psk);
    return { handshake, peer: { kind: 'host', domain: host.domain, name: host.name, publicKey } };
  } catch (error) {
    handshake.destroy();
    throw error;
  }
}

/** Reads the client's first message as the handshake that it asks for. */
async function acceptFirst(transport: Transport, number: number, credentials: ServerCredentials): Promise<Accepted> {
  if (number === patternBytes.NNpsk0 && credentials.siteKeys.length > 0) return acceptSite(await take(transport, messageBytes(NNpsk0, 0)), credentials);
  if (number === patternBytes.IKpsk2 && credentials.identity !== undefined) {
    return acceptHost(await take(transport, messageBytes(IKpsk2, 0)), credentials, credentials.identity);
  }
  throw faultError('refused', `Accept a channel: the client asks for handshake '${number}', which this server does not offer`);
}

/** Never rejects: why the client is refused matters more than whether it hears of it. */
async function sayRefused(transport: Transport): Promise<void> {
  if (transport.failure !== undefined) return;
  transport.outbound.write([greeting(REFUSED)]);
  await transport.end().catch(() => undefined);
}

/**
 * Accepts a channel as the server. Takes over `duplex`, which must be unread; it is destroyed when this fails. Resolves when the client has proven that
 * it has the keys: a repeated recording of another handshake never gets so far.
 * @throws {ProtocolError} with a {@link ChannelFault}. @throws {AbortedError} by `options.signal`. What `findHost` throws is passed on.
 */
export function acceptChannel(duplex: Duplex, credentials: ServerCredentials, options: ChannelOptions): Promise<Channel> {
  return withinTime(duplex, options, async (transport) => {
    const number = await takeGreeting(transport);
    let accepted: Accepted;
    try {
      accepted = await acceptFirst(transport, number, credentials);
    } catch (error) {
      await sayRefused(transport);
      throw error;
    }
    const { handshake, peer } = accepted;
    try {
      transport.outbound.write([Buffer.concat([greeting(number), handshake.write()])]);
      const channel = new FramedChannel(peer, transport, handshake.finish(), paceOf(options));
      await channel.receiveProof();
      void channel.watch();
      return channel;
    } finally {
      handshake.destroy();
    }
  });
}
