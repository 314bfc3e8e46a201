/** Whose session it is, and what it may commit: clients here say what ours never would. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IntegrityError, NotFoundError } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { Repository } from '../repository/repository.ts';
import { memoryWorld, nodeWorld } from '../world/index.ts';
import { connectChannel, type ClientCredentials } from './channel/index.ts';
import { WireClient } from './client.ts';
import { generateKeyPair } from './noise/index.ts';
import { WireServer } from './server.ts';
import { memoryPair } from './testing/wire-rig.ts';

const local = { index: 'log', workers: 0 } as const;
const world = nodeWorld('.');
const token = 'cd'.repeat(32);
const root = directoryNode({ a: fileNode(seededBytes(100_000, 1)) });
const identity = generateKeyPair();
const hosts = [{ name: 'one', domain: 'main', keys: generateKeyPair(), psk: new Uint8Array(32).fill(1) }, { name: 'two', domain: 'main', keys: generateKeyPair(), psk: new Uint8Array(32).fill(2) }] as const;
const siteKeys = [{ domain: 'main', key: new Uint8Array(32).fill(3) }, { domain: 'other', key: new Uint8Array(32).fill(4) }] as const;
const [one, two] = hosts.map(({ keys, psk }): ClientCredentials => ({ kind: 'host', identity: keys, psk, serverKey: identity.publicKey })) as [ClientCredentials, ClientCredentials];
const [main, other] = siteKeys.map(({ key }): ClientCredentials => ({ kind: 'site', key })) as [ClientCredentials, ClientCredentials];

/** A server of two domains, with a site key of each and two enrolled hosts of the first. */
async function withServer(run: (connect: (as: ClientCredentials) => Promise<WireClient>, repositories: readonly [Repository, Repository], server: WireServer, hosts: Map<string, string>) => Promise<void>): Promise<void> {
  const enrolled = new Map<string, string>(hosts.map(({ name, domain }) => [name, domain]));
  const repositories = [await Repository.create(memoryWorld(), {}, local), await Repository.create(memoryWorld(), {}, local)] as const;
  const server = new WireServer({
    world, domains: new Map([['main', repositories[0]], ['other', repositories[1]]]), onEvent: () => undefined,
    credentials: {
      siteKeys, identity,
      findHost: (publicKey) => Promise.resolve(hosts.filter(({ name, keys }) => enrolled.has(name) && Buffer.compare(keys.publicKey, publicKey) === 0)
        .map(({ keys, ...host }) => ({ ...host, domain: enrolled.get(host.name) ?? '', publicKey: keys.publicKey }))[0]),
    },
  });
  const clients: WireClient[] = [];
  try {
    await run(async (as) => {
      const client = await WireClient.connect({
        world, place: 'holdfast://session', resumeMs: 0,
        open: () => {
          const [near, far] = memoryPair();
          void server.accept(far);
          return connectChannel(near, as, { world });
        },
      });
      clients.push(client);
      return client;
    }, repositories, server, enrolled);
  } finally {
    for (const client of clients) await client.close();
    await server.drain(0);
    for (const repository of repositories) await repository.close();
  }
}

test('a session is gone on with by the peer that began it, and by no other that learned its token', () => withServer(async (connect) => {
  const [owner, ...strangers] = [await connect(one), await connect(two), await connect(main), await connect(other)] as const;
  const { session } = await owner.ask('begin', { token });
  for (const stranger of strangers) {
    for (const name of ['attach', 'begin'] as const) await assert.rejects(stranger.ask(name, { token }), (error) => error instanceof NotFoundError && /does not know it any more/.test(error.message));
  }
  const again = await connect(one);
  assert.deepEqual(await again.ask('attach', { token }), { session });
}));

test('a session of one domain is none of another, whoever asks', () => withServer(async (connect) => {
  const [owner, stranger] = [await connect(main), await connect(other)];
  const { session } = await owner.ask('begin', { token });
  await assert.rejects(stranger.ask('attach', { token }), NotFoundError);
  assert.deepEqual(await (await connect(main)).ask('attach', { token }), { session });
}));

test('a commit is refused whose root is not stored, and its session can still commit another', () => withServer(async (connect, [repository, elsewhere]) => {
  const { snapshot } = await elsewhere.backup(new MemoryTree(root), { sources: ['/'], host: 'h' });
  const manifest = await (await connect(other)).ask('manifest', { id: snapshot });
  const client = await connect(main);
  await client.ask('begin', { token });
  await assert.rejects(client.ask('commit', manifest), (error) => error instanceof IntegrityError && /Commit snapshot: .*not stored/.test(error.message));
  assert.equal((await repository.snapshots()).length, 0);
  await repository.backup(new MemoryTree(root), { sources: ['/'], host: 'h' });
  await client.ask('commit', manifest);
  assert.equal((await repository.snapshots()).length, 2);
}));

test('a host that is enrolled for a domain which is not served is told so', () => withServer(async (connect, _, __, enrolled) => {
  enrolled.set('one', 'elsewhere');
  await assert.rejects(connect(one), (error) => error instanceof NotFoundError && error.message.includes("'elsewhere', which this daemon does not serve"));
  await (await connect(two)).ask('statistics');
}));

test('a live connection ends when its host is revoked, and no other', () => withServer(async (connect, _, server, enrolled) => {
  const [revoked, kept, site] = [await connect(one), await connect(two), await connect(main)] as const;
  await server.cutRevoked();
  await revoked.ask('statistics');
  enrolled.delete('one');
  await server.cutRevoked();
  await assert.rejects(revoked.ask('statistics'));
  await kept.ask('statistics');
  await site.ask('statistics');
}));
