import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { AbortedError } from '../../../core/index.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import { acceptChannel, channelFault, connectChannel, MESSAGE_BYTES_MAX, type Channel } from './index.ts';
import { duplexPair } from './testing/duplex-pair.ts';
import { clients, connected, connectPair, options, receiveWhole, serverKeys } from './testing/ends.ts';

const text = (message: Uint8Array | undefined): string | undefined => message && Buffer.from(message).toString();
const fault = (wanted: string) => (error: unknown): boolean => channelFault(error) === wanted;

async function overLoopback(use: (client: Channel, server: Channel) => Promise<void>): Promise<void> {
  const listener = net.createServer();
  const accepted = new Promise<net.Socket>((resolve) => { listener.once('connection', resolve); });
  await new Promise<void>((resolve) => { listener.listen(0, '127.0.0.1', resolve); });
  const socket = net.connect((listener.address() as net.AddressInfo).port, '127.0.0.1');
  try {
    const [client, server] = await Promise.all([connectChannel(socket, clients.host, options()), accepted.then((far) => acceptChannel(far, serverKeys, options()))]);
    await use(client, server);
  } finally {
    socket.destroy();
    (await accepted).destroy();
    listener.close();
  }
}

describe('channel', () => {
  for (const kind of ['site', 'host'] as const) {
    it(`carries messages of all sizes both ways, for a client with a ${kind} key`, async () => {
      const [client, server] = await connected({ client: clients[kind] });
      assert.equal(client.peer.kind, 'server');
      assert.ok(server.peer.kind !== 'server');
      assert.deepEqual([server.peer.kind, server.peer.domain], [kind, 'main']);
      for (const length of [1, 2, 4095, 16_384, 16_385, 65_536, 70_000, MESSAGE_BYTES_MAX - 1, MESSAGE_BYTES_MAX]) {
        const message = seededBytes(length, length);
        for (const [from, to] of [[client, server], [server, client]] as const) {
          const [received] = await Promise.all([receiveWhole(to), from.send(message.subarray(0, length >> 1), message.subarray(length >> 1))]);
          assert.equal(Buffer.compare(received ?? new Uint8Array(0), message), 0, `${length} bytes`);
        }
      }
      assert.deepEqual(client.counts, { sent: server.counts.received, received: server.counts.sent });
      await client.end();
      assert.equal(await receiveWhole(server), undefined);
      assert.equal(await receiveWhole(server), undefined, 'an end stays an end');
      await server.end();
      assert.equal(await receiveWhole(client), undefined);
    });
  }

  it('counts every byte on the socket', async () => {
    let bytes = 0;
    const [client, server] = await connected({ toServer: (chunk) => { bytes += chunk.length; return [chunk]; } });
    await client.send(new Uint8Array(100));
    await receiveWhole(server);
    assert.equal(client.counts.sent, bytes);
    assert.equal(bytes, 5 + 48 + 20 + 4 + 100 + 16);
    client.destroy();
  });

  it('keeps the order of many messages that are sent at once, and holds a sender back that its peer does not read', async () => {
    await overLoopback(async (client, server) => {
      let taken = 0;
      const sends = Array.from({ length: 64 }, (_, i) => client.send(Uint8Array.of(i), new Uint8Array(MESSAGE_BYTES_MAX - 1)).then(() => { taken += 1; }));
      await pause(200);
      assert.ok(taken < 48, `${taken} of 64 MiB were taken while nobody read`);
      for (let i = 0; i < 64; i += 1) assert.equal((await receiveWhole(server))?.[0], i);
      await Promise.all(sends);
      assert.equal(taken, 64);
    });
  });

  it('hands out what arrived before the connection was lost, then says that it was cut', async () => {
    await overLoopback(async (client, server) => {
      await client.send(Buffer.from('last words'));
      await pause(20);
      client.destroy();
      await pause(20);
      assert.equal(text(await receiveWhole(server)), 'last words');
      await assert.rejects(receiveWhole(server), fault('cut'));
      await assert.rejects(receiveWhole(server), fault('cut'), 'an error stays');
      await assert.rejects(server.send(Uint8Array.of(1)), fault('cut'));
    });
  });

  it('wakes whoever waits when it is destroyed', async () => {
    const [client, server] = await connected();
    const waiting = receiveWhole(client);
    const full = Array.from({ length: 8 }, () => client.send(new Uint8Array(MESSAGE_BYTES_MAX)));
    const outcomes = Promise.allSettled(full);
    client.destroy(new AbortedError('Stop as the test asked'));
    await assert.rejects(waiting, /Stop as the test asked/);
    assert.ok((await outcomes).some((outcome) => outcome.status === 'rejected'));
    await assert.rejects(client.send(Uint8Array.of(1)), AbortedError);
    await client.end();
    server.destroy();
  });

  it('stops when its signal says so, during the handshake and after', async () => {
    const early = new AbortController();
    const connecting = connectChannel(duplexPair()[0], clients.site, options({ signal: early.signal }));
    early.abort();
    await assert.rejects(connecting, AbortedError);
    await assert.rejects(connectChannel(duplexPair()[0], clients.site, options({ signal: early.signal })), AbortedError);
    const late = new AbortController();
    const [client, server] = await connected({ clientOptions: { signal: late.signal } });
    const waiting = receiveWhole(client);
    late.abort();
    await assert.rejects(waiting, AbortedError);
    await assert.rejects(receiveWhole(server), fault('cut'));
  });

  it('takes no message that is empty or too long, and no second receiver', async () => {
    const [client, server] = await connected();
    await assert.rejects(client.send(), assert.AssertionError);
    await assert.rejects(client.send(new Uint8Array(MESSAGE_BYTES_MAX), Uint8Array.of(1)), assert.AssertionError);
    const waiting = receiveWhole(client);
    await assert.rejects(receiveWhole(client), assert.AssertionError);
    await server.send(Buffer.from('still alive'));
    assert.equal(text(await waiting), 'still alive');
    client.destroy();
  });

  it('keeps a quiet connection alive, and gives up on a peer that is silent while somebody waits for it', async () => {
    const [client, server] = await connected({ clientOptions: { keepAliveMs: 15, silenceMs: 150 }, serverOptions: { keepAliveMs: 15, silenceMs: 150 } });
    const waiting = receiveWhole(client);
    void receiveWhole(server).catch(() => undefined);
    await pause(300);
    await server.send(Buffer.from('after a pause'));
    assert.equal(text(await waiting), 'after a pause');
    assert.ok(client.counts.sent > 5 + 48 + 20 + 5 * 20, 'keep-alives were sent');
    client.destroy();
    const [lonely] = await connected({ clientOptions: { keepAliveMs: 15, silenceMs: 60 }, serverOptions: { keepAliveMs: 10_000 } });
    await pause(150);
    await assert.rejects(receiveWhole(lonely), fault('silent'));
  });

  it('closes after its end although the peer does not', async () => {
    const sleeps: number[] = [];
    const world = { sleep: async (ms: number, signal?: AbortSignal): Promise<void> => { sleeps.push(ms); await pause(ms === 5_000 ? 10 : ms, undefined, { signal }).catch(() => undefined); } };
    const [near, far] = duplexPair();
    far.allowHalfOpen = true;
    const [client, server] = await Promise.all([connectChannel(near, clients.site, options({ world })), acceptChannel(far, serverKeys, options())]);
    await client.end();
    await assert.rejects(receiveWhole(client), fault('silent'));
    assert.ok(sleeps.includes(5_000));
    server.destroy();
  });
});

describe('handshake of a channel', () => {
  const other = new Uint8Array(32).fill(9);

  it('refuses other keys, unknown and revoked hosts, and tells the client no more than that', async () => {
    const unknown = { ...serverKeys, findHost: async () => undefined };
    const otherPsk = { ...serverKeys, findHost: async (publicKey: Uint8Array) => ({ name: 'web-1', domain: 'main', publicKey, psk: other }) };
    const { host } = clients;
    assert.ok(host.kind === 'host');
    for (const [name, changes] of Object.entries({
      'another site key': { client: { kind: 'site', key: other } as const },
      'no enrolled host': { client: host, server: unknown },
      'another pre-shared key': { client: host, server: otherPsk },
      'another server': { client: { ...host, serverKey: connectedKey() } },
    })) {
      const [client, server] = await Promise.allSettled(connectPair(changes));
      assert.ok(client.status === 'rejected' && server.status === 'rejected', name);
      assert.equal(channelFault(client.reason), 'refused', name);
      assert.equal(channelFault(server.reason), name === 'another pre-shared key' ? 'cut' : 'refused', name);
      assert.ok(!/Q0N|UVFR|CQkJ/.test(`${String(client.reason)}${String(server.reason)}`), 'no key in a message');
    }
  });

  it('refuses handshakes that the server does not offer, saying so', async () => {
    const [client, server] = await Promise.allSettled(connectPair({ server: { ...serverKeys, siteKeys: [] } }));
    assert.match(String(client.status === 'rejected' && client.reason), /the server refused: it has another site key, or takes enrolled hosts only/);
    assert.match(String(server.status === 'rejected' && server.reason), /asks for handshake '1', which this server does not offer/);
    const [host] = await Promise.allSettled(connectPair({ client: clients.host, server: { ...serverKeys, identity: undefined } }));
    assert.match(String(host.status === 'rejected' && host.reason), /the server refused: this host is not enrolled there or was revoked/);
  });

  it('names a peer that speaks something else', async () => {
    for (const [speech, expected] of [['HTTP/1.1 400 Bad Request\r\n', 'HTTP/'], ['HFW2\u0001', 'HFW2'], ['\u001b[2J\n', 'u001b[2J']] as const) {
      const [near, far] = duplexPair();
      far.write(speech);
      await assert.rejects(connectChannel(near, clients.site, options()), (error: Error) => channelFault(error) === 'foreign' && error.message.includes(expected));
      const [client, server] = duplexPair();
      client.write(speech);
      await assert.rejects(acceptChannel(server, serverKeys, options()), fault('foreign'));
    }
  });

  it('ends a handshake that does not go on', async () => {
    await assert.rejects(connectChannel(duplexPair()[0], clients.site, options({ handshakeMs: 30 })), fault('silent'));
    const [client, server] = duplexPair();
    client.write('HFW1');
    await assert.rejects(acceptChannel(server, serverKeys, options({ handshakeMs: 30 })), fault('silent'));
    assert.ok(server.destroyed);
  });

  it('lets nobody in who repeats a recorded handshake', async () => {
    for (const kind of ['site', 'host'] as const) {
      const said: Buffer[] = [];
      const [client] = await connected({ client: clients[kind], toServer: (chunk) => { said.push(chunk); return [chunk]; } });
      client.destroy();
      const [near, far] = duplexPair();
      for (const chunk of said) near.write(chunk);
      await assert.rejects(acceptChannel(far, serverKeys, options()), fault('forged'));
    }
  });

  it('passes on what the list of hosts throws', async () => {
    const findHost = async (): Promise<never> => { throw new Error('the list is damaged'); };
    const [client, server] = await Promise.allSettled(connectPair({ client: clients.host, server: { ...serverKeys, findHost } }));
    assert.equal(channelFault(client.status === 'rejected' && client.reason), 'refused');
    assert.match(String(server.status === 'rejected' && server.reason), /the list is damaged/);
  });
});

function connectedKey(): Uint8Array {
  return clients.host.kind === 'host' ? clients.host.identity.publicKey : new Uint8Array(0);
}
