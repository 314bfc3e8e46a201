/** The contract of `ObjectStore` as tests: create-once above all, also among creators at the same time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BusyError, NotFoundError } from '../errors.ts';
import { readObject, type ObjectRow, type ObjectStore } from '../object-store.ts';
import { seededBytes } from '../testing/random.ts';

/** Opens stores for the suite. Each `create` starts with a store of its own that is empty. */
export interface ObjectStoreFixture {
  create(): Promise<ObjectStore>;
  /** Opens the same objects once more, as another process would, while `store` stays open; the suite closes it. */
  again(store: ObjectStore): Promise<ObjectStore>;
  /** Removes what `create` made; the suite has closed the store. */
  dispose(store: ObjectStore): Promise<void>;
  /** Lets the store's clock go on; where it is a real one, sleeps. */
  wait(store: ObjectStore, milliseconds: number): Promise<void>;
}

/** How long and how often; the defaults suit a local store. */
export interface ObjectStoreEffort {
  /** Random sequences of calls. */
  readonly runs?: number;
  /** Names that creators race for. */
  readonly rounds?: number;
  /** Creators of each of these names. */
  readonly creators?: number;
}

interface Real { store: ObjectStore; readonly fixture: ObjectStoreFixture }
/** More than a container has. */
const LARGE_BYTES = 40 << 20;

type Model = Map<string, Uint8Array>;
type Command = fc.AsyncCommand<Model, Real>;

const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, '0');

/** Names as repositories have them. */
const sampleNames: readonly string[] = [
  'config', 'keys/slot-3f', 'keys/ring-1', 'containers/ab/00000000000000ab.hfc', 'containers/ab/00000000000001ab.hfc', 'containers/b0/00000000000000b0.hfc',
  `manifests/${hex(10, 64)}`, `manifests/${hex(11, 64)}`, `sessions/${hex(10, 64)}`, `tombstones/${hex(10, 64)}`, 'condemned/00000009', 'condemned/00000010',
  'reprieved/00000009', 'parity/config', `parity/manifests/${hex(10, 64)}`, 'parity/containers/ab/00000000000000ab.hfc', 'quarantine/containers/ab/00000000000001ab.hfc',
];

/** Names whose order tells sorting by name from sorting by directory: '-' and '.' stand before '/', '0' behind it. */
const orderNames: readonly string[] = ['order/a-b', 'order/a.b', 'order/a/b', 'order/a/c/d', 'order/a0', 'order/b', 'order.b/a', 'order0/a', 'ordes'];

async function rowsOf(store: ObjectStore, directory: string): Promise<readonly ObjectRow[]> {
  const rows: ObjectRow[] = [];
  for await (const page of store.list(directory)) {
    assert.ok(page.length > 0, 'a page of a listing is not empty');
    rows.push(...page);
  }
  return rows;
}

async function namesOf(store: ObjectStore, directory: string): Promise<readonly string[]> {
  return (await rowsOf(store, directory)).map((row) => row.name);
}

function read(store: ObjectStore, name: string): Promise<Uint8Array> {
  return readObject(store, name, () => undefined);
}

function assertBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(Buffer.compare(found, expected), 0, `${what}: ${found.length} bytes, expected ${expected.length}`);
}

function assertHolds(found: readonly ObjectRow[], expected: Model, directory: string): void {
  const below = [...expected].filter(([name]) => directory === '' || name.startsWith(`${directory}/`)).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  assert.deepEqual(found.map(({ name, size }) => ({ name, size })), below.map(([name, { length }]) => ({ name, size: length })), `list('${directory}')`);
}

/** Content `number`: from nothing to some 100 KiB. */
function content(number: number): Uint8Array {
  return seededBytes([0, 1, 700, 16_385, 70_000][number % 5] as number, number);
}

function put(name: string, number: number): Command {
  return {
    check: () => true,
    toString: () => `put('${name}', ${number})`,
    async run(model, { store }) {
      const bytes = content(number);
      const half = bytes.length >> 1;
      const done = store.put(name, bytes.subarray(0, half), bytes.subarray(half));
      if (model.has(name)) await assert.rejects(done, BusyError);
      else {
        await done;
        model.set(name, bytes.slice());
        bytes.fill(0xee); // the caller's again
      }
    },
  };
}

function stream(name: string, numbers: readonly number[], commit: boolean): Command {
  return {
    check: () => true,
    toString: () => `stream('${name}', ${numbers.join(',')}; ${commit ? 'commit' : 'abandon'})`,
    async run(model, { store }) {
      const writer = await store.create(name);
      const parts = numbers.map(content);
      for (const part of parts) await writer.append(part, part);
      assert.equal(writer.size, 2 * parts.reduce((sum, { length }) => sum + length, 0));
      assertHolds(await rowsOf(store, ''), model, '');
      if (commit && model.has(name)) await assert.rejects(writer.commit(), BusyError);
      else if (commit) {
        await writer.commit();
        model.set(name, new Uint8Array(Buffer.concat(parts.flatMap((part) => [part, part]))));
      }
      await writer.abandon();
    },
  };
}

function remove(name: string): Command {
  return {
    check: () => true,
    toString: () => `remove('${name}')`,
    async run(model, { store }) {
      await store.remove(name);
      model.delete(name);
    },
  };
}

function compare(directory: string): Command {
  return {
    check: () => true,
    toString: () => `list('${directory}'), read`,
    async run(model, { store }) {
      const rows = await rowsOf(store, directory);
      assertHolds(rows, model, directory);
      for (const { name } of rows) assertBytes(await read(store, name), model.get(name) ?? new Uint8Array(0), name);
      for (const name of sampleNames) if (!model.has(name)) await assert.rejects(store.open(name), NotFoundError, name);
    },
  };
}

function another(): Command {
  return {
    check: () => true,
    toString: () => 'another opening',
    async run(model, real) {
      const other = await real.fixture.again(real.store);
      try {
        assertHolds(await rowsOf(other, ''), model, '');
        for (const [name, bytes] of model) assertBytes(await read(other, name), bytes, name);
      } finally {
        await other.close();
      }
    },
  };
}

function registerModel(name: string, withStore: WithStore, runs: number): void {
  test(`${name}: behaves like a Map that nothing is overwritten in`, async () => {
    const names = fc.constantFrom(...sampleNames);
    const directories = fc.constantFrom('', 'keys', 'containers', 'containers/ab', 'manifests', 'parity', 'parity/containers', 'absent');
    const commands = fc.commands([
      fc.tuple(names, fc.nat(40)).map(([one, number]) => put(one, number)),
      fc.tuple(names, fc.array(fc.nat(40), { maxLength: 3 }), fc.boolean()).map(([one, numbers, commit]) => stream(one, numbers, commit)),
      names.map(remove), directories.map(compare), fc.constant(another()),
    ], { maxCommands: 20 });
    await fc.assert(fc.asyncProperty(commands, (sequence) => withStore(async (store, fixture) => {
      await fc.asyncModelRun(() => ({ model: new Map<string, Uint8Array>(), real: { store, fixture } }), sequence);
    })), { numRuns: runs });
  });
}

type WithStore = (run: (store: ObjectStore, fixture: ObjectStoreFixture) => Promise<void>) => Promise<void>;

function withStoreOf(fixture: ObjectStoreFixture): WithStore {
  return async (run) => {
    const store = await fixture.create();
    try {
      await run(store, fixture);
    } finally {
      await store.close();
      await fixture.dispose(store);
    }
  };
}

/** Which of several creations won; others must have failed with a BusyError. */
async function winnersOf(attempts: readonly Promise<void>[]): Promise<readonly number[]> {
  const winners: number[] = [];
  for (const [i, outcome] of (await Promise.allSettled(attempts)).entries()) {
    if (outcome.status === 'fulfilled') winners.push(i);
    else assert.ok(outcome.reason instanceof BusyError, `creator ${i} lost with ${String(outcome.reason)}`);
  }
  return winners;
}

function registerRaces(name: string, withStore: WithStore, effort: Required<ObjectStoreEffort>): void {
  test(`${name}: of ${effort.creators} creators of one name exactly one wins, ${effort.rounds} times`, () => withStore(async (store, fixture) => {
    const other = await fixture.again(store);
    try {
      for (let round = 0; round < effort.rounds; round += 1) {
        // Sizes differ, so that bytes of several creators in one object can't go unseen; the last rounds are megabytes.
        const length = round % 5 === 4 ? 5 << 20 : 1_000;
        const bodies = Array.from({ length: effort.creators }, (_, i) => seededBytes(length + i, round * effort.creators + i));
        const object = `manifests/${hex(round, 64)}`;
        const winners = await winnersOf(bodies.map((body, i) => (i % 2 === 0 ? store : other).put(object, body)));
        assert.equal(winners.length, 1, `round ${round}: winners ${winners.join(', ')}`);
        const winner = bodies[winners[0] as number] as Uint8Array;
        assertBytes(await read(other, object), winner, `round ${round}`);
        await assert.rejects(store.put(object, winner), BusyError, 'also for equal bytes');
      }
      assert.equal((await namesOf(store, '')).length, effort.rounds);
    } finally {
      await other.close();
    }
  }));

  test(`${name}: of many open writers of one name exactly one commits`, () => withStore(async (store) => {
    const writers = await Promise.all(Array.from({ length: 8 }, () => store.create('config')));
    await Promise.all(writers.map((writer, i) => writer.append(seededBytes(3_000, i))));
    const winners = await winnersOf(writers.map((writer) => writer.commit()));
    assert.equal(winners.length, 1);
    assertBytes(await read(store, 'config'), seededBytes(3_000, winners[0] as number), 'config');
    await Promise.all(writers.map((writer) => writer.abandon()));
    assertBytes(await read(store, 'config'), seededBytes(3_000, winners[0] as number), 'abandoned after commit');
  }));
}

function registerWriting(name: string, withStore: WithStore): void {
  test(`${name}: nobody sees an object before commit, nor after abandon`, () => withStore(async (store, fixture) => {
    const other = await fixture.again(store);
    const unseen = async (object: string): Promise<void> => {
      for (const one of [store, other]) {
        await assert.rejects(one.open(object), NotFoundError);
        assert.deepEqual(await namesOf(one, ''), []);
      }
    };
    try {
      const writer = await store.create('containers/ab/00000000000000ab.hfc');
      const part = seededBytes(200_000, 1);
      for (let i = 0; i < 10; i += 1) await writer.append(part);
      await unseen('containers/ab/00000000000000ab.hfc');
      await writer.abandon();
      await writer.abandon();
      await unseen('containers/ab/00000000000000ab.hfc');
      await store.put('containers/ab/00000000000000ab.hfc', part);
      assertBytes(await read(other, 'containers/ab/00000000000000ab.hfc'), part, 'the name was never taken');
    } finally {
      await other.close();
    }
  }));

  test(`${name}: objects of no bytes and of ${LARGE_BYTES}`, () => withStore(async (store) => {
    await store.put('keys/none');
    await store.put('keys/empty', new Uint8Array(0));
    for (const object of ['keys/none', 'keys/empty']) {
      const reader = await store.open(object);
      assert.equal(reader.size, 0);
      await reader.readInto(0, new Uint8Array(0));
      await assert.rejects(reader.readInto(0, new Uint8Array(1)), RangeError);
      await reader.close();
    }
    const piece = seededBytes(1 << 20, 4);
    const writer = await store.create('containers/ff/00000000000000ff.hfc');
    for (let left = LARGE_BYTES; left > 0; left -= piece.length) await writer.append(piece.subarray(0, Math.min(left, piece.length)));
    await writer.commit();
    const reader = await store.open('containers/ff/00000000000000ff.hfc');
    assert.equal(reader.size, LARGE_BYTES);
    const target = new Uint8Array(piece.length);
    for (let at = 0; at < LARGE_BYTES; at += piece.length) {
      const part = target.subarray(0, Math.min(piece.length, LARGE_BYTES - at));
      await reader.readInto(at, part);
      assertBytes(part, piece.subarray(0, part.length), `offset ${at}`);
    }
    await reader.close();
    assert.deepEqual((await rowsOf(store, '')).map((row) => row.size), [LARGE_BYTES, 0, 0]);
  }));
}

function registerReading(name: string, withStore: WithStore): void {
  test(`${name}: reads any range, only into the target, several at a time`, () => withStore(async (store) => {
    const bytes = seededBytes(300_001, 5);
    await store.put('containers/ab/00000000000000ab.hfc', bytes);
    const reader = await store.open('containers/ab/00000000000000ab.hfc');
    assert.equal(reader.size, bytes.length);
    const offsets = [0, 1, 4_095, 16_383, 16_384, 65_537, 150_000, 299_999, 300_000];
    const ranges = offsets.flatMap((offset) => [0, 1, 4_096, 65_537, bytes.length].map((length) => [offset, Math.min(length, bytes.length - offset)] as const));
    await Promise.all(ranges.map(async ([offset, length]) => {
      const around = new Uint8Array(length + 16).fill(0xa5);
      await reader.readInto(offset, around.subarray(8, 8 + length));
      const expected = new Uint8Array(length + 16).fill(0xa5);
      expected.set(bytes.subarray(offset, offset + length), 8);
      assertBytes(around, expected, `range ${offset}+${length}`);
    }));
    for (const [offset, length] of [[300_000, 2], [300_001, 1], [300_002, 1], [0, 300_002]] as const) {
      await assert.rejects(reader.readInto(offset, new Uint8Array(length)), RangeError, `range ${offset}+${length}`);
    }
    await reader.close();
    await reader.close();
  }));

  test(`${name}: what is absent is a NotFoundError, also what is only a directory`, () => withStore(async (store) => {
    await store.put('containers/ab/00000000000000ab.hfc', seededBytes(10, 1));
    for (const absent of ['containers', 'containers/ab', 'containers/ab/0', 'container', 'config', 'containers/ab/00000000000000ab.hfc0']) {
      await assert.rejects(store.open(absent), NotFoundError, absent);
    }
  }));

  test(`${name}: a reader of a removed object gives its bytes or a NotFoundError, never others`, () => withStore(async (store) => {
    const bytes = seededBytes(200_000, 6);
    await store.put('config', bytes);
    const reader = await store.open('config');
    await store.remove('config');
    await store.put('config', seededBytes(200_000, 7));
    const target = new Uint8Array(bytes.length);
    const failure = await reader.readInto(0, target).then(() => undefined, (error: unknown) => error);
    if (failure === undefined) assertBytes(target, bytes, 'the object that was opened');
    else assert.ok(failure instanceof NotFoundError, String(failure));
    await reader.close();
  }));
}

function registerListing(name: string, withStore: WithStore): void {
  test(`${name}: lists every name below a directory once, in ascending order, whatever the depth`, () => withStore(async (store) => {
    const numbered = Array.from({ length: 40 }, (_, i) => `containers/${hex(i % 3, 2)}/${hex(i, 16)}.hfc`);
    const all = [...sampleNames.filter((one) => !one.startsWith('containers/')), ...orderNames, ...numbered];
    await Promise.all(all.map((one) => store.put(one, content(one.length))));
    const sorted = [...all].sort((a, b) => (a < b ? -1 : 1));
    for (const directory of ['', 'order', 'order/a', 'ord', 'containers', 'containers/01', 'parity', 'config', 'absent']) {
      const expected = sorted.filter((one) => directory === '' || one.startsWith(`${directory}/`));
      assert.deepEqual(await namesOf(store, directory), expected, `list('${directory}')`);
    }
    assertHolds(await rowsOf(store, ''), new Map(all.map((one) => [one, content(one.length)])), '');
  }));

  test(`${name}: a listing that is left early, and one that goes on while names come and go`, () => withStore(async (store) => {
    const names = Array.from({ length: 30 }, (_, i) => `sessions/${hex(i * 2, 64)}`);
    await Promise.all(names.map((one) => store.put(one, content(2))));
    for await (const page of store.list('')) if (page.length > 0) break;
    const seen: string[] = [];
    for await (const page of store.list('sessions')) {
      if (seen.length === 0) {
        await store.remove(names[29] as string);
        await store.put(`sessions/${hex(1, 64)}`, content(2));
      }
      seen.push(...page.map((row) => row.name));
    }
    const steady = names.slice(0, 29);
    assert.deepEqual(seen.filter((one) => steady.includes(one)), steady, 'what was there all the time is seen once');
    assert.ok(seen.every((one, i) => i === 0 || (seen[i - 1] as string) < one), 'in ascending order');
  }));

  test(`${name}: times are those of a clock that goes on`, () => withStore(async (store, fixture) => {
    await store.put('condemned/00000001', content(1));
    await fixture.wait(store, 1_100); // some stores count in seconds
    await store.put('condemned/00000002', content(1));
    const [first, second] = await rowsOf(store, 'condemned');
    assert.ok(first !== undefined && second !== undefined);
    for (const { modified } of [first, second]) assert.ok(Number.isFinite(modified) && modified > 1_600_000_000_000 && modified < 10_000_000_000_000, `modified is '${modified}'`);
    assert.ok(first.modified < second.modified, `'${first.modified}' is before '${second.modified}'`);
    assert.deepEqual(await rowsOf(store, 'condemned'), [first, second], 'the times stay');
  }));
}

function registerRemoval(name: string, withStore: WithStore): void {
  test(`${name}: removes what is there and what is not; then the name is free`, () => withStore(async (store) => {
    await Promise.all([store.remove('config'), store.remove('containers/ab/00000000000000ab.hfc'), store.remove('absent/a/b')]);
    await store.put('keys/slot-1', content(1));
    await store.put('keys/slot-10', content(2));
    await store.remove('keys/slot-1');
    await store.remove('keys/slot-1');
    await assert.rejects(store.open('keys/slot-1'), NotFoundError);
    assert.deepEqual(await namesOf(store, 'keys'), ['keys/slot-10'], 'and nothing else');
    await store.put('keys/slot-1', content(3));
    assertBytes(await read(store, 'keys/slot-1'), content(3), 'the new object');
  }));

  test(`${name}: settles what was created, and what is gone meanwhile`, () => withStore(async (store) => {
    await store.put('sessions/a', content(1));
    await store.settle(['sessions/a']);
    await store.settle([]);
    assertBytes(await read(store, 'sessions/a'), content(1), 'settling changes nothing');
  }));

  test(`${name}: tries its promises out and leaves nothing behind`, () => withStore(async (store, fixture) => {
    await store.put('config', content(2));
    const found = await store.capabilities();
    assert.equal(found.putIfAbsent, true, 'put-if-absent');
    assert.equal(found.listAfterPut, true, 'list-after-put');
    assert.equal(found.remove, true, 'remove');
    assert.deepEqual(await store.capabilities(), found, 'the same when asked again');
    assert.deepEqual(await namesOf(store, ''), ['config']);
    const other = await fixture.again(store);
    const [here, there] = await Promise.all([store.capabilities(), other.capabilities()]);
    assert.deepEqual(here, there, 'two at a time do not disturb each other');
    await other.close();
    assert.deepEqual(await namesOf(store, ''), ['config']);
  }));
}

/** Registers the suite with `node:test`. The store must be one that can be written and removed from. */
export function objectStoreSuite(name: string, fixture: ObjectStoreFixture, effort: ObjectStoreEffort = {}): void {
  const withStore = withStoreOf(fixture);
  registerModel(name, withStore, effort.runs ?? 20);
  registerRaces(name, withStore, { runs: 0, rounds: effort.rounds ?? 10, creators: effort.creators ?? 16 });
  registerWriting(name, withStore);
  registerReading(name, withStore);
  registerListing(name, withStore);
  registerRemoval(name, withStore);
}
