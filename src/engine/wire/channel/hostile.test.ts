/** Channels against whoever stands in the middle, and against peers that say anything. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { AbortedError, ProtocolError } from '../../../core/index.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import { CipherState } from '../noise/index.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { HEAD_BYTES, readHead, SEALED_BYTES_MAX, writeHead } from './frame.layout.ts';
import { acceptChannel, channelFault, connectChannel, type Channel } from './index.ts';
import { Inbound } from './inbound.ts';
import { REKEY_BYTES, REKEY_FRAMES, RekeyClock } from './rekey-clock.ts';
import { duplexPair } from './testing/duplex-pair.ts';
import { clients, options, receiveWhole, serverKeys } from './testing/ends.ts';

const flip = (bytes: Uint8Array, bit: number): Uint8Array => bytes.map((byte, i) => i === bit >>> 3 ? byte ^ 1 << (bit & 7) : byte);

/** A connection whose frames to the server are held, for the test to deliver as it likes. */
async function held(): Promise<{ readonly client: Channel; readonly server: Channel; readonly frames: Buffer[]; readonly sent: (count: number) => Promise<void>; readonly deliver: (...frames: readonly Uint8Array[]) => Promise<void> }> {
  const frames: Buffer[] = [];
  let holding = false;
  const [near, far] = duplexPair((chunk) => {
    if (!holding) return [chunk];
    frames.push(chunk);
    return [];
  });
  const [client, server] = await Promise.all([connectChannel(near, clients.site, options()), acceptChannel(far, serverKeys, options())]);
  holding = true;
  const sent = async (count: number): Promise<void> => { while (frames.length < count) await setImmediate(); };
  return { client, server, frames, sent, deliver: async (...pieces) => { for (const piece of pieces) far.push(piece); } };
}

/** The faults of channels, and nothing else. */
async function endsWith(channel: Channel, ...faults: readonly string[]): Promise<void> {
  await assert.rejects(async () => { while (await receiveWhole(channel) !== undefined); }, (error) => faults.includes(channelFault(error) ?? ''));
}

describe('a connection with someone in the middle', () => {
  it('takes no frame that was repeated, left out or moved', async () => {
    for (const order of [[0, 0], [1], [0, 2], [1, 0], [0, 1, 0]]) {
      const { client, server, frames, sent, deliver } = await held();
      for (const text of ['one', 'two', 'three']) await client.send(Buffer.from(text));
      await sent(3);
      await deliver(...order.map((i) => frames[i] ?? Buffer.alloc(0)));
      await endsWith(server, 'forged');
      client.destroy();
    }
  });

  it('takes no frame of the other direction', async () => {
    const toClient: Buffer[] = [];
    const [near, far] = duplexPair(undefined, (chunk) => { toClient.push(chunk); return [chunk]; });
    const [client, server] = await Promise.all([connectChannel(near, clients.site, options()), acceptChannel(far, serverKeys, options())]);
    await server.send(Buffer.from('to the client'));
    await receiveWhole(client);
    far.push(toClient.at(-1));
    await endsWith(server, 'forged');
    client.destroy();
  });

  it('takes no frame with a bit changed anywhere, of a message or of an end', async () => {
    for (const last of ['message', 'end'] as const) {
      for (let bit = 0, bits = 1; bit < bits; bit += 1) {
        const { client, server, frames, sent, deliver } = await held();
        await (last === 'end' ? client.end() : client.send(Buffer.from('text')));
        await sent(1);
        const [frame = Buffer.alloc(0)] = frames;
        bits = frame.length * 8;
        await deliver(flip(frame, bit));
        client.destroy();
        await endsWith(server, 'forged', 'malformed', ...(bit < HEAD_BYTES * 8 ? ['cut'] : [])).catch((error: unknown) => { throw new Error(`${last}, bit ${bit}`, { cause: error }); });
      }
    }
  });

  it('never takes a connection that was cut for one that was ended, wherever it is cut', async () => {
    const total = 2 * (HEAD_BYTES + 16) + 3;
    for (let length = 0; length <= total; length += 1) {
      const again = await held();
      await again.client.send(Buffer.from('one'));
      await again.client.end();
      await again.sent(2);
      assert.equal(Buffer.concat(again.frames).length, total);
      await again.deliver(Buffer.concat(again.frames).subarray(0, length));
      again.client.destroy();
      if (length < total) {
        await endsWith(again.server, 'cut');
      } else {
        assert.equal((await receiveWhole(again.server))?.length, 3);
        assert.equal(await receiveWhole(again.server), undefined);
      }
      again.server.destroy();
    }
  });

  it('refuses heads of frames that nobody sends, before it has their bytes', async () => {
    for (const head of ['00000011', '04000011', '01000010', '01000000', '01100011', '01ffffff', '02000011', '03000011', '0300000f']) {
      const { client, server, deliver } = await held();
      await deliver(Buffer.from(head, 'hex'));
      await endsWith(server, 'malformed');
      client.destroy();
    }
    const head = new Uint8Array(HEAD_BYTES);
    writeHead(head, 1, SEALED_BYTES_MAX - 16);
    assert.equal(Buffer.from(head).toString('hex'), '01100010');
    assert.deepEqual(readHead(head), { kind: 1, length: 1 << 20 });
  });

  it('spends memory on bytes that came, not on those that were announced', () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 500 }, () => {
      const stream = new PassThrough();
      const inbound = new Inbound(stream);
      stream.write(Buffer.from('01100010aabbcc', 'hex'));
      stream.read();
      return { reader: new FrameReader(new CipherState(new Uint8Array(32))), inbound, stream };
    });
    return setImmediate().then(() => {
      for (const { reader, inbound } of readers) {
        assert.equal(reader.next(inbound), undefined);
        assert.equal(inbound.received, 7);
      }
      const spent = process.memoryUsage().arrayBuffers - before;
      assert.ok(spent < readers.length * (256 << 10), `${spent} bytes for ${readers.length} connections`);
    });
  });

  it('holds little more than a frame, in whatever pieces it comes', async () => {
    const message = seededBytes(1 << 20, 3);
    for (const sizes of [[1, 8192], [100, 8192], [8191, 8192], [8191], [1 << 16]]) {
      const frame = Buffer.concat(new FrameWriter(new CipherState(new Uint8Array(32))).seal(1, [message]));
      const reader = new FrameReader(new CipherState(new Uint8Array(32)));
      const stream = new PassThrough();
      const inbound = new Inbound(stream);
      let read: ReturnType<FrameReader['next']>;
      for (let at = 0, i = 0; read === undefined; i += 1) {
        const size = sizes[i % sizes.length] as number;
        stream.write(frame.subarray(at, at + size));
        at += size;
        await setImmediate();
        read = reader.next(inbound);
      }
      assert.equal(Buffer.compare(Buffer.concat(read.text), message), 0);
      const held = [...new Set(read.text.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);
      assert.ok(held < 1.25 * message.length, `pieces of ${sizes.join(' and ')} bytes: ${held} bytes are held`);
    }
  });
});

describe('peers that say anything', () => {
  const speech = fc.array(fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.constantFrom('HFW1', 'HFW1\u0001', 'HFW1\u0002', '\u0001\u0000\u0000\u0020').map((text) => new Uint8Array(Buffer.from(text, 'latin1'))),
    fc.nat(100_000).map((length) => seededBytes(length, length)),
  ), { maxLength: 6 });

  /** The work ends in time, with an error of the documented classes or none. */
  async function settles(work: Promise<unknown>, allowed: (error: unknown) => boolean): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new Error('it hangs')); }, 2_000); });
    try {
      await Promise.race([work, late]);
    } catch (error) {
      if (!allowed(error)) throw error;
    } finally {
      clearTimeout(timer);
    }
  }
  const ofChannels = (error: unknown): boolean => error instanceof AbortedError || error instanceof ProtocolError && channelFault(error) !== undefined;

  it('get errors of channels from a server and from a client, in time', async () => {
    await fc.assert(fc.asyncProperty(speech, fc.boolean(), async (pieces, asServer) => {
      const [liar, honest] = duplexPair();
      liar.on('error', () => undefined);
      liar.resume();
      const opened = asServer ? acceptChannel(honest, serverKeys, options()) : connectChannel(honest, clients.host, options());
      for (const piece of pieces) liar.write(piece);
      liar.end();
      await settles(opened.then(() => { throw new Error('it was let in'); }), ofChannels);
      assert.ok(honest.destroyed);
    }), { numRuns: 150 });
  });

  it('get errors of channels for streams of which they changed anything, in time', async () => {
    const change = fc.record({ at: fc.nat(3_000), kind: fc.constantFrom('flip', 'cut', 'insert', 'drop', 'double'), length: fc.integer({ min: 1, max: 40 }), bit: fc.nat(7) });
    const changed = (bytes: Uint8Array, at: number, { kind, length, bit }: { readonly kind: string; readonly length: number; readonly bit: number }): readonly Uint8Array[] => {
      const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
      switch (kind) {
        case 'flip': return [before, flip(after, bit)];
        case 'insert': return [before, seededBytes(length, length), after];
        case 'drop': return [before, after.subarray(length)];
        case 'double': return [before, after.subarray(0, length), after];
        default: return [before];
      }
    };
    await fc.assert(fc.asyncProperty(fc.boolean(), change, async (toServer, one) => {
      let passed = 0;
      const tamper = (chunk: Buffer): readonly Uint8Array[] => {
        const at = one.at - passed;
        passed += chunk.length;
        return at >= 0 && at < chunk.length ? changed(chunk, at, one) : [chunk];
      };
      const [near, far] = toServer ? duplexPair(tamper) : duplexPair(undefined, tamper);
      const messages = [1, 700, 1_500].map((length) => Buffer.from(seededBytes(length, length)));
      const talk = async (opening: Promise<Channel>): Promise<void> => {
        const channel = await opening;
        void Promise.all(messages.map((message) => channel.send(message))).then(() => channel.end()).catch(() => undefined);
        for (const message of messages) assert.deepEqual(Buffer.from(await receiveWhole(channel) ?? []), message);
        assert.equal(await receiveWhole(channel), undefined);
      };
      const soon = options({ handshakeMs: 200, keepAliveMs: 50, silenceMs: 200 });
      const ends = [talk(connectChannel(near, clients.site, soon)), talk(acceptChannel(far, serverKeys, soon))];
      await Promise.all(ends.map((end) => settles(end, ofChannels)));
    }), { numRuns: 120 });
  });
});

describe('rekeying', () => {
  const sealOpens = (left: CipherState, right: CipherState): boolean => right.open(new Uint8Array(0), left.seal(new Uint8Array(0), Uint8Array.of(7))) !== undefined;

  it('comes at the same byte and at the same frame on both ends', () => {
    const [left, right] = [new CipherState(new Uint8Array(32)), new CipherState(new Uint8Array(32))];
    const [sending, receiving] = [new RekeyClock(left), new RekeyClock(right)];
    sending.tick(REKEY_BYTES - 1);
    receiving.tick(REKEY_BYTES - 1);
    assert.ok(sealOpens(left, right));
    sending.tick(1);
    assert.ok(!sealOpens(left, right));
    receiving.tick(1);
    assert.ok(sealOpens(left, right));
    for (let i = 1; i < REKEY_FRAMES; i += 1) sending.tick(1);
    assert.ok(sealOpens(left, right));
    sending.tick(1);
    assert.ok(!sealOpens(left, right));
  });

  it('is done by writers and readers of frames', async () => {
    const writer = new FrameWriter(new CipherState(new Uint8Array(32)));
    const reader = new FrameReader(new CipherState(new Uint8Array(32)));
    const stream = new PassThrough();
    const inbound = new Inbound(stream);
    const message = new Uint8Array(1 << 20).fill(5);
    const old = new CipherState(new Uint8Array(32));
    for (let i = 0; i <= REKEY_BYTES / message.length; i += 1) {
      const frame = writer.seal(1, [message]);
      if (i === REKEY_BYTES / message.length) assert.equal(old.open(frame[0] ?? message, Buffer.concat(frame.slice(1))), undefined);
      else old.sealer(new Uint8Array(0)); // its nonce goes along
      for (const piece of frame) stream.write(piece);
      let read = reader.next(inbound);
      for (; read === undefined; read = reader.next(inbound)) await setImmediate();
      assert.equal(Buffer.concat(read.text).length, message.length);
    }
  });
});
