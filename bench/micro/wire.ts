/**
 * The wire: frames against the cipher that they are made with, handshakes by their parts, and whole connections beside TLS 1.3 with an external
 * pre-shared key and the same cipher and curve.
 *
 * Measured by the CPU time of the process, in which both ends run; ways take turns, and the least of several rounds counts, because whatever else the
 * machine does only adds.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { acceptChannel, connectChannel, type ClientCredentials, type ServerCredentials } from '../../src/engine/wire/channel/index.ts';
import { FrameReader } from '../../src/engine/wire/channel/frame-reader.ts';
import { FrameWriter } from '../../src/engine/wire/channel/frame-writer.ts';
import { Inbound } from '../../src/engine/wire/channel/inbound.ts';
import { CipherState, Handshake, IKpsk2, NNpsk0, generateKeyPair, type Pattern } from '../../src/engine/wire/noise/index.ts';
import { nodeWorld } from '../../src/engine/world/index.ts';
import { randomBytesOf } from './inputs.ts';
import { withRatios, type Row } from './suite.ts';

interface Way {
  readonly group: string;
  readonly name: string;
  /** Bytes or handshakes of a call. */
  readonly amount: number;
  readonly run: () => Promise<void> | void;
}

const key = randomBytesOf(40, 32);
const nonce = randomBytesOf(41, 12);
/** Rounds of which the least counts. */
export const ROUNDS = 12;
const READ_BYTES = 64 << 10;
const options = { authTagLength: 16 } as const;
const cipherName = 'chacha20-poly1305';

function sealPlainly(data: Uint8Array): { readonly text: Uint8Array; readonly tag: Uint8Array } {
  const sealer = createCipheriv(cipherName, key, nonce, options);
  const text = sealer.update(data);
  sealer.final();
  return { text, tag: sealer.getAuthTag() };
}

function openPlainly({ text, tag }: ReturnType<typeof sealPlainly>): void {
  const opener = createDecipheriv(cipherName, key, nonce, options);
  opener.setAuthTag(tag);
  opener.update(text);
  opener.final();
}

/** A reader whose bytes come as a socket gives them, without a socket. */
function frameOpener(): (buffers: readonly Uint8Array[]) => number {
  const socket = Object.assign(new EventEmitter(), { pause: () => undefined, resume: () => undefined, isPaused: () => false });
  const inbound = new Inbound(socket as unknown as Duplex);
  const reader = new FrameReader(new CipherState(Uint8Array.from(key)));
  return (buffers) => {
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += READ_BYTES) socket.emit('data', buffer.subarray(at, at + READ_BYTES));
    }
    return reader.next(inbound)?.text.reduce((sum, { length }) => sum + length, 0) ?? 0;
  };
}

function frameWays(): readonly Way[] {
  return [64, 1024].flatMap((kib): readonly Way[] => {
    const data = randomBytesOf(42, kib << 10);
    const amount = data.length;
    const [sealing, both] = [new FrameWriter(new CipherState(Uint8Array.from(key))), new FrameWriter(new CipherState(Uint8Array.from(key)))];
    const open = frameOpener();
    return [
      { name: 'node:crypto, seal', group: `${kib} KiB out`, amount, run: () => { sealPlainly(data); } },
      { name: 'a frame, sealed', group: `${kib} KiB out`, amount, run: () => { sealing.seal(1, [data]); } },
      { name: 'node:crypto, seal and open', group: `${kib} KiB out and in`, amount, run: () => { openPlainly(sealPlainly(data)); } },
      { name: 'a frame, sealed and opened', group: `${kib} KiB out and in`, amount, run: () => { if (open(both.seal(1, [data])) !== amount) throw new Error('a frame did not come through'); } },
    ];
  });
}

const world = nodeWorld('.');
const [serverPair, hostPair] = [generateKeyPair(), generateKeyPair()];
const credentials: ServerCredentials = {
  siteKeys: [{ domain: 'main', key }], identity: serverPair, findHost: async (publicKey) => ({ name: 'host', domain: 'main', publicKey, psk: key }),
};
const site: ClientCredentials = { kind: 'site', key };
const host: ClientCredentials = { kind: 'host', identity: hostPair, psk: key, serverKey: serverPair.publicKey };

/** Both ends of a handshake, without a connection. */
function shakeHands(pattern: Pattern): void {
  const common = { pattern, prologue: nonce, psk: key };
  const initiator = new Handshake({ ...common, initiator: true, identity: hostPair, remoteKey: serverPair.publicKey });
  const responder = new Handshake({ ...common, initiator: false, identity: serverPair });
  responder.read(initiator.write());
  initiator.read(responder.write());
  initiator.finish();
  responder.finish();
}

/** Messages of a connection whose throughput is measured. */
const MESSAGES = 64;
const mebibyte = randomBytesOf(43, 1 << 20);
const tlsOptions = { ciphers: 'TLS_CHACHA20_POLY1305_SHA256', minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

async function listen(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

const endWithPeer = (socket: net.Socket): void => {
  socket.on('error', () => undefined);
  socket.on('end', () => { socket.end(); });
  socket.resume();
};

async function ended(socket: net.Socket): Promise<void> {
  socket.end();
  socket.resume();
  await once(socket, 'close');
}

/** Connections over loopback that end as soon as both ends have proven themselves. */
async function connectionWays(): Promise<{ readonly connecting: readonly Way[]; readonly sending: readonly Way[]; readonly close: () => void }> {
  const servers = [
    net.createServer(endWithPeer),
    tls.createServer({ ...tlsOptions, pskCallback: () => key }, endWithPeer),
    net.createServer((socket) => {
      void acceptChannel(socket, credentials, { world }).then(async (channel) => {
        while (await channel.receive() !== undefined);
        await channel.end();
      });
    }),
  ] as const;
  const [plainPort, tlsPort, channelPort] = [await listen(servers[0]), await listen(servers[1]), await listen(servers[2])];
  const at = (port: number): { readonly host: string; readonly port: number } => ({ host: '127.0.0.1', port });
  const overChannel = (client: ClientCredentials, messages: number) => async (): Promise<void> => {
    const socket = net.connect(at(channelPort));
    const closed = once(socket, 'close');
    const channel = await connectChannel(socket, client, { world });
    for (let i = 0; i < messages; i += 1) await channel.send(mebibyte);
    await channel.end();
    await closed;
  };
  const overStream = async (socket: net.Socket, messages: number): Promise<void> => {
    for (let i = 0; i < messages; i += 1) if (!socket.write(mebibyte)) await once(socket, 'drain');
    await ended(socket);
  };
  const overTls = (messages: number) => async (): Promise<void> => {
    const socket = tls.connect({ ...at(tlsPort), ...tlsOptions, pskCallback: () => ({ psk: key, identity: 'site' }), checkServerIdentity: () => undefined });
    await once(socket, 'secureConnect');
    if (socket.getCipher().standardName !== tlsOptions.ciphers) throw new Error(`TLS agreed on '${socket.getCipher().standardName}'`);
    await overStream(socket, messages);
  };
  const plain = (messages: number) => async (): Promise<void> => {
    const socket = net.connect(at(plainPort));
    await once(socket, 'connect');
    await overStream(socket, messages);
  };
  const ways = (messages: number, common: Pick<Way, 'group' | 'amount'>): readonly Way[] => [
    { ...common, name: 'TLS 1.3 with an external PSK', run: overTls(messages) }, { ...common, name: 'channel, site key (NNpsk0)', run: overChannel(site, messages) },
    { ...common, name: 'channel, enrolled host (IKpsk2)', run: overChannel(host, messages) }, { ...common, name: 'TCP alone', run: plain(messages) },
  ];
  return {
    connecting: ways(0, { group: 'connect over loopback, both ends', amount: 1 }),
    sending: ways(MESSAGES, { group: `${MESSAGES} MiB over loopback, both ends`, amount: MESSAGES * mebibyte.length }),
    close: () => { for (const server of servers) server.close(); },
  };
}

async function cpuMicroseconds(way: Way, count: number): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < count; i += 1) await way.run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

/** The least of the rounds for each way; `timeMs` is about what each way gets in all when a call takes a millisecond. */
async function inTurns(ways: readonly Way[], timeMs: number): Promise<readonly Row[]> {
  const count = Math.max(1, Math.ceil(timeMs / ROUNDS));
  const least = new Map<Way, number>();
  for (const way of ways) await cpuMicroseconds(way, count); // warms up
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const way of ways) least.set(way, Math.min(least.get(way) ?? Infinity, await cpuMicroseconds(way, count)));
  }
  return withRatios(ways.map((way) => ({ group: way.group, name: way.name, perSecond: way.amount * 1e6 / (least.get(way) ?? Infinity) })));
}

/** What was found. */
export interface WireRows {
  /** Bytes a second of CPU time. */
  readonly frames: readonly Row[];
  /** Handshakes and connections a second of CPU time. */
  readonly handshakes: readonly Row[];
}

/** Measures the wire. */
export async function wireRows(timeMs: number): Promise<WireRows> {
  const { connecting, sending, close } = await connectionWays();
  const group = 'handshake, both ends, no connection';
  const alone: readonly Way[] = [
    { group, amount: 1, name: 'Noise NNpsk0', run: () => { shakeHands(NNpsk0); } }, { group, amount: 1, name: 'Noise IKpsk2', run: () => { shakeHands(IKpsk2); } },
  ];
  try {
    const frames = [...await inTurns(frameWays(), timeMs), ...await inTurns(sending, timeMs / MESSAGES)];
    return { frames, handshakes: await inTurns([...alone, ...connecting], timeMs) };
  } finally {
    close();
  }
}
