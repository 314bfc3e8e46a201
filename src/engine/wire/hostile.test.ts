/** Messages that nobody of ours sends, to either end: a documented error or a closed connection, and whoever comes next is served. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoldfastError, PLACE_BYTES, utf8 } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { RemoteRepository } from '../repository/remote-repository.ts';
import { Repository } from '../repository/repository.ts';
import { memoryWorld, nodeWorld } from '../world/index.ts';
import { acceptChannel, connectChannel, type Channel } from './channel/index.ts';
import { encodeJson } from './json-body.ts';
import { MESSAGE, MORE, messageHead, putHead } from './message.layout.ts';
import { MessagePort } from './message-port.ts';
import { WireRig, memoryPair } from './testing/wire-rig.ts';
import { decodeFailure, encodeFailure } from './wire-failure.ts';

const local = { index: 'log', workers: 0 } as const;
const world = nodeWorld('.');
const token = 'ab'.repeat(32);

interface Raw { readonly kind: number; readonly flags: number; readonly zero: number; readonly request: number; readonly body: Uint8Array }

const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: PLACE_BYTES, maxLength: PLACE_BYTES }), fc.json().map(utf8),
  fc.constantFrom(encodeJson({ token }), encodeJson({ versions: [1] }), encodeJson({}), encodeJson({ text: 'latest' }), encodeJson({ host: 'h', sources: [] })),
  fc.nat(2_000).map((length) => seededBytes(length * 32, length)),
  fc.record({ kind: fc.nat(2), codec: fc.nat(2), zero: fc.constant(0), count: fc.nat(3), rawLength: fc.nat(300), storedLength: fc.nat(300) })
    .map((head) => Buffer.concat([putHead.encode(head), seededBytes(head.count * 36 + head.storedLength, 1)])),
);
const raw: fc.Arbitrary<Raw> = fc.record({
  kind: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 2, max: 17 }) }, fc.nat(255)), flags: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.constantFrom(MORE, 2, 255)),
  zero: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat(65_535)), request: fc.nat(5), body,
});

function frameOf({ body: content, ...head }: Raw): Uint8Array {
  return Buffer.concat([messageHead.encode(head), content]);
}

test('a server answers or closes, whatever it is sent, and serves the next client', async () => {
  const repository = await Repository.create(memoryWorld(), {}, local);
  const rig = new WireRig(repository, { workers: 0 });
  const hello = frameOf({ kind: MESSAGE.hello, flags: 0, zero: 0, request: 1, body: encodeJson({ versions: [1] }) });
  const begin = frameOf({ kind: MESSAGE.begin, flags: 0, zero: 0, request: 2, body: encodeJson({ token }) });
  await fc.assert(fc.asyncProperty(fc.boolean(), fc.array(raw, { minLength: 1, maxLength: 8 }), async (begins, messages) => {
    const channel = await connectChannel(rig.duplex(), { kind: 'site', key: rig.key }, { world });
    await channel.send(hello);
    if (begins) await channel.send(begin);
    for (const message of messages) await channel.send(frameOf(message)).catch(() => undefined); // closed on us
    await channel.end();
    while (await channel.receive().catch(() => undefined) !== undefined);
    channel.destroy();
  }), { numRuns: 120 });
  const remote = await rig.connect();
  assert.equal((await remote.backup(new MemoryTree(directoryNode({ a: fileNode(seededBytes(100_000, 1)) })), { sources: ['/'] })).files, 1);
  await remote.close();
  await rig.close();
  assert.equal((await repository.snapshots()).length, 1, 'only what a real client committed');
  assert.equal(rig.events.some((event) => event.kind === 'request' && event.code === 'INTERNAL' && event.request !== 'record'), false, 'each refusal is a documented error');
  await repository.close();
});

/** A server that says hello with `greeting`, and answers everything else with `answer`. */
async function speak(channel: Channel, greeting: Uint8Array, { kind, body: answer }: { readonly kind: number; readonly body: Uint8Array }): Promise<void> {
  const port = new MessagePort(channel, () => 1 << 20);
  for (let message = await port.receive(); message !== undefined; message = await port.receive()) {
    const isHello = message.kind === MESSAGE.hello;
    await port.send(isHello ? MESSAGE.answer : kind, message.request, [isHello ? greeting : answer]);
  }
}

test('a client takes no nonsense from a server', async () => {
  const repository = await Repository.create(memoryWorld(), {}, local);
  const { config } = repository;
  await repository.close();
  const key = new Uint8Array(32).fill(1);
  const good = { version: 1, features: [], config, domain: 'd' };
  const fields = Object.keys(config).filter((name) => name !== 'created' && name !== 'compression');
  const greeting = fc.oneof({ weight: 3, arbitrary: fc.constant<object>(good) }, fc.tuple(fc.constantFrom(...fields), fc.jsonValue()).map(([name, value]) => ({ ...good, config: { ...config, [name]: value } })), fc.constant<object>({ version: 2 }));
  await fc.assert(fc.asyncProperty(greeting, fc.record({ kind: fc.constantFrom<number>(MESSAGE.answer, MESSAGE.answer, MESSAGE.failure, 7), body }), async (hello, answer) => {
    const open = async (): Promise<Channel> => {
      const [client, server] = memoryPair();
      void acceptChannel(server, { siteKeys: [{ domain: 'd', key }], identity: undefined, findHost: () => Promise.resolve(undefined) }, { world }).then((channel) => speak(channel, encodeJson(hello), answer)).catch(() => undefined);
      return connectChannel(client, { kind: 'site', key }, { world });
    };
    const work = async (): Promise<void> => {
      const remote = await RemoteRepository.open({ world, open, place: 'holdfast://hostile', workers: 0, resumeMs: 0 });
      try {
        const tries = [remote.snapshots(), remote.resolveSnapshot('latest'), remote.openSnapshot('0'.repeat(64)), remote.statistics(), remote.store.has({ bytes: new Uint8Array(64), count: 2 }), remote.store.locate({ bytes: new Uint8Array(32), count: 1 }),
          remote.backup(new MemoryTree(directoryNode({ a: fileNode(seededBytes(1_000, 1)) })), { sources: ['/'] })];
        for (const end of await Promise.allSettled(tries)) if (end.status === 'rejected' && !(end.reason instanceof HoldfastError)) throw end.reason;
      } finally {
        await remote.close();
      }
    };
    await work().catch((error: unknown) => { if (!(error instanceof HoldfastError)) throw error; });
  }), { numRuns: 25 });
});

test('failures keep their class and code over the wire, and any bytes are one', () => {
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.json().map(utf8)), (bytes) => { assert.ok(decodeFailure(bytes) instanceof HoldfastError); }));
  assert.match(decodeFailure(encodeFailure(new TypeError('x'))).message, /The daemon failed: x/);
});
