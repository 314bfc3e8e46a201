import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  BusyError, HoldfastError, IntegrityError, NotFoundError, UsageError, defaultLimits, readObject, utf8, type ObjectStore, type ObjectStoreCapabilities,
} from '../../core/index.ts';
import { DiskObjects, encodeDocument } from '../objects/index.ts';
import { memoryWorld } from '../world/index.ts';
import {
  addSlot, createKeys, keyCredential, listSlots, openKeys, passphraseCredential, refreshKeys, removeSlot, rotateKeys, type Credential, type KeyPlace, type Keys,
} from './index.ts';

const cost = { logN: 14, r: 8, p: 1 };
const key = (fill: number, name = `key file '${fill}'`): Credential => keyCredential(new Uint8Array(32).fill(128 + fill), name);
const passphrase = (text: string, name = 'passphrase'): Credential => passphraseCredential(utf8(text), name);

function placeOf(seed = 1): KeyPlace {
  const world = memoryWorld(seed);
  return { objects: new DiskObjects(world, 'test'), world, repository: 'ab'.repeat(32), limits: defaultLimits };
}

/** Passes everything on; a test overrides single calls. */
function storeOver(objects: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return {
    place: objects.place, capabilities: () => objects.capabilities(), put: (name, ...parts) => objects.put(name, ...parts), create: (name) => objects.create(name),
    open: (name) => objects.open(name), list: (directory) => objects.list(directory), settle: (names) => objects.settle(names), remove: (name) => objects.remove(name),
    close: () => objects.close(), ...changes,
  };
}

async function namesOf({ objects }: KeyPlace): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const page of objects.list('keys')) names.push(...page.map(({ name }) => name));
  return names;
}

async function bytesOf({ objects }: KeyPlace, name: string): Promise<Uint8Array> {
  return readObject(objects, name, () => undefined);
}

async function replace({ objects }: KeyPlace, name: string, bytes: Uint8Array): Promise<void> {
  await objects.remove(name);
  await objects.put(name, bytes);
}

const salt = new Uint8Array(32).fill(4);
const firstKey = (keys: Keys): Uint8Array => keys.containerKey(1, salt, utf8('head')).key;

describe('keys of a repository', () => {
  it('open with a key file or passphrase, and give the same keys', async () => {
    const place = placeOf();
    const made = await createKeys(place, { credential: key(1), label: 'office' }, 'aes-256-gcm');
    await addSlot(place, made, { credential: passphrase('correct horse'), cost });
    for (const credential of [key(1), passphrase('correct horse')]) {
      const opened = await openKeys(place, [key(9), credential]);
      assert.deepEqual(opened.idKey, made.idKey);
      assert.deepEqual(firstKey(opened), firstKey(made));
      assert.equal(opened.newest.cipher, 'aes-256-gcm');
    }
    assert.deepEqual((await listSlots(place)).slots.map(({ kind, label, current }) => ({ kind, label, current })).sort((a, b) => (a.kind < b.kind ? -1 : 1)),
      [{ kind: 'key', label: 'office', current: true }, { kind: 'passphrase', label: '', current: true }]);
  });

  it('give each container and object keys of their own', async () => {
    const keys = await createKeys(placeOf(), { credential: key(1) }, 'chacha20-poly1305');
    const hex = ({ key }: { key: Uint8Array }): string => Buffer.from(key).toString('hex');
    const all = [keys.containerKey(1, salt, utf8('a')), keys.containerKey(1, salt, utf8('b')), keys.containerKey(1, new Uint8Array(32), utf8('a')), keys.objectKey(1, salt)].map(hex);
    assert.equal(new Set(all).size, 4);
    assert.throws(() => keys.containerKey(2, salt, utf8('a')), NotFoundError);
  });

  it('say what was tried and which slots there are, and nothing else', async () => {
    const place = placeOf();
    const made = await createKeys(place, { credential: key(1), label: 'office' }, 'aes-256-gcm');
    const [slot] = (await listSlots(place)).slots;
    const message = async (...credentials: readonly Credential[]): Promise<string> => {
      const error: unknown = await openKeys(place, credentials).catch((reason: unknown) => reason);
      assert(error instanceof UsageError);
      return error.message;
    };
    assert.equal(await message(), `Give a key or passphrase: the repository is encrypted; its key slots: '${slot?.id}' (key, "office")`);
    assert.equal(await message(key(2), passphrase('guess')), `Open keys: no slot opens with key file '2', passphrase (no slot is for a passphrase); key slots: '${slot?.id}' (key, "office")`);
    made.close();
  });

  it('bind slots to their repository', async () => {
    const place = placeOf();
    await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    await assert.rejects(openKeys({ ...place, repository: 'cd'.repeat(32) }, [key(1)]), IntegrityError);
    const [ring, slot] = await namesOf(place);
    assert(ring !== undefined && slot !== undefined);
    for (const name of [ring, slot]) { // as a forger would: another repository's id, and a digest that fits
      const body = JSON.parse(Buffer.from(await bytesOf(place, name)).toString().split('\n')[1] ?? '') as object;
      await replace(place, name, encodeDocument({ kind: name === ring ? 'keyring' : 'keyslot', version: 1 }, { ...body, repository: 'cd'.repeat(32) }));
    }
    await assert.rejects(openKeys({ ...place, repository: 'cd'.repeat(32) }, [key(1)]), (error) => error instanceof UsageError && error.message.includes('no slot opens'));
  });

  it('pass over what an init left that never ended', async () => {
    const place = placeOf();
    await createKeys({ ...place, repository: 'cd'.repeat(32) }, { credential: key(1) }, 'aes-256-gcm');
    const made = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    assert.equal(made.ring, 2);
    assert.deepEqual(firstKey(await openKeys(place, [key(1)])), firstKey(made));
    assert.equal((await listSlots(place)).slots.length, 1);
  });

  it('show no secret in JSON, logs or spread copies', async () => {
    const made = await createKeys(placeOf(), { credential: key(1) }, 'aes-256-gcm');
    const shown = `${JSON.stringify(made)} ${inspect(made, { depth: 9, showHidden: true })} ${JSON.stringify({ ...made })} ${String(made)}`;
    for (const secret of [made.idKey, made.root, ...made.content.dataKeys.map(({ key }) => key)]) {
      for (const text of [Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64'), [...secret.subarray(0, 4)].join(',')]) assert(!shown.includes(text));
      assert(!inspect(made).includes(`${secret[0]}, ${secret[1]}, ${secret[2]}`));
    }
  });

  it('are overwritten by close', async () => {
    const made = await createKeys(placeOf(), { credential: key(1) }, 'aes-256-gcm');
    const { root, idKey, content } = made;
    made.close();
    for (const secret of [root, idKey, ...content.dataKeys.map(({ key }) => key)]) assert(secret.every((byte) => byte === 0));
    assert.throws(() => made.idKey, /the keys are open/);
  });
});

describe('slots', () => {
  it('can be removed, but neither the last one nor the one in use', async () => {
    const place = placeOf();
    const first = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    await assert.rejects(removeSlot(place, first, first.slot), (error) => error instanceof UsageError && error.message.includes('last one'));
    const second = await addSlot(place, first, { credential: key(2) });
    await assert.rejects(removeSlot(place, first, first.slot), (error) => error instanceof UsageError && error.message.includes('opened with it'));
    await assert.rejects(removeSlot(place, first, 'ffffffffffffffff'), (error) => error instanceof UsageError && error.message.includes(second.id));
    await place.objects.put(`parity/keys/slot-${first.slot}`, utf8('a copy that would bring the slot back'));
    await removeSlot(place, await openKeys(place, [key(2)]), first.slot);
    await assert.rejects(openKeys(place, [key(1)]), UsageError);
    await assert.rejects(place.objects.open(`parity/keys/slot-${first.slot}`), NotFoundError);
    assert.equal((await openKeys(place, [key(2)])).slot, second.id);
  });

  it('of which two are removed at the same moment by the holders of each other do not both go', async () => {
    const place = placeOf();
    const first = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    await addSlot(place, first, { credential: key(2) });
    const second = await openKeys(place, [key(2)]);
    let raced = false;
    const objects = storeOver(place.objects, {
      remove: async (name) => { // both have looked, and saw the other's slot
        if (!raced) {
          raced = true;
          await removeSlot(place, second, first.slot);
        }
        await place.objects.remove(name);
      },
    });
    await assert.rejects(removeSlot({ ...place, objects }, first, second.slot), (error) => error instanceof BusyError && error.message.includes('put back'));
    assert.equal((await openKeys(place, [key(1), key(2)])).slot, second.slot);
  });

  it('of hostile cost are refused before anything is derived, and do not keep others from opening', async () => {
    const place = placeOf();
    const made = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    const { id } = await addSlot(place, made, { credential: passphrase('x'), cost });
    const name = `keys/slot-${id}`;
    const body = JSON.parse(Buffer.from(await bytesOf(place, name)).toString().split('\n')[1] ?? '') as object;
    for (const hostile of [{ logN: 30, r: 1024, p: 1 }, { logN: 22, r: 8, p: 1 }, { logN: 14, r: 8, p: 1024 }, { logN: 16, r: 0, p: 1 }, { logN: 1e9, r: 8, p: 1 }, { logN: '16', r: 8, p: 1 }, null, 3, undefined]) {
      await replace(place, name, encodeDocument({ kind: 'keyslot', version: 1 }, { ...body, cost: hostile }));
      assert.equal((await listSlots(place)).problems.length, 1);
      await assert.rejects(openKeys(place, [passphrase('x')]), (error) => error instanceof IntegrityError && error.message.includes(name));
      assert.equal((await openKeys(place, [passphrase('x'), key(1)])).slot, made.slot);
    }
    // A cheaper cost than the slot was made with opens nothing either.
    await replace(place, name, encodeDocument({ kind: 'keyslot', version: 1 }, { ...body, cost: { logN: 1, r: 8, p: 1 } }));
    await assert.rejects(openKeys(place, [passphrase('x')]), UsageError);
    await assert.rejects(addSlot(place, made, { credential: passphrase('y'), cost: { logN: 10, r: 8, p: 1 } }), UsageError);
    await assert.rejects(addSlot(place, made, { credential: key(3), label: 'a\u001b[2Jb' }), UsageError);
  });

  it('with any flipped bit or cut end open nothing wrong, and are reported as damaged', async () => {
    const place = placeOf();
    const made = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    const root = Buffer.from(made.root);
    for (const name of await namesOf(place)) {
      const whole = await bytesOf(place, name);
      await fc.assert(fc.asyncProperty(fc.nat(whole.length * 8 - 1), fc.boolean(), async (bit, cut) => {
        const changed = cut ? whole.slice(0, bit >>> 3) : whole.slice();
        if (!cut) changed[bit >>> 3] = (changed[bit >>> 3] as number) ^ 1 << (bit & 7);
        await replace(place, name, changed);
        const result: unknown = await openKeys(place, [key(1)]).catch((error: unknown) => error);
        assert(result instanceof IntegrityError, String(result));
        assert(result.message.includes(name) && !result.message.includes(root.toString('hex')));
      }), { numRuns: 60 });
      await replace(place, name, whole);
    }
  });
});

describe('rotation', () => {
  it('adds a data key for what is written; the earlier ones stay', async () => {
    const place = placeOf();
    const keys = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    const [idKey, before] = [keys.idKey.slice(), firstKey(keys)];
    const other = await openKeys(place, [key(1)]);
    assert.deepEqual(await rotateKeys(place, keys, { cipher: 'chacha20-poly1305' }), { ring: 2, dataKey: 2, removedSlots: [] });
    for (const opened of [keys, await openKeys(place, [key(1)])]) {
      assert.deepEqual(opened.newest, { number: 2, cipher: 'chacha20-poly1305' });
      assert.deepEqual(firstKey(opened), before);
      assert.deepEqual(opened.idKey, idKey);
      assert.notDeepEqual(opened.objectKey(1, salt).key, opened.objectKey(2, salt).key);
    }
    assert.equal(await refreshKeys(place, other), true);
    assert.equal(await refreshKeys(place, other), false);
    assert.deepEqual(other.dataKeys, [1, 2]);
  });

  it('by several at once adds one data key each', async () => {
    const place = placeOf();
    const made = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    const all = await Promise.all([1, 2, 3, 4].map(() => openKeys(place, [key(1)])));
    const reports = await Promise.all(all.map((keys) => rotateKeys(place, keys)));
    assert.deepEqual(reports.map(({ dataKey }) => dataKey).sort(), [2, 3, 4, 5]);
    const opened = await openKeys(place, [key(1)]);
    assert.deepEqual(opened.dataKeys, [1, 2, 3, 4, 5]);
    assert.deepEqual(firstKey(opened), firstKey(made));
  });

  it('whose put arrived although it was reported as taken counts as done', async () => {
    const place = placeOf();
    const keys = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    const retrying = storeOver(place.objects, { put: async (name, ...parts) => { await place.objects.put(name, ...parts); await place.objects.put(name, ...parts); } });
    assert.equal((await rotateKeys({ ...place, objects: retrying }, keys)).dataKey, 2);
    assert.deepEqual((await openKeys(place, [key(1)])).dataKeys, [1, 2]);
  });

  it('to a new root key shuts out earlier credentials and keeps all data keys', async () => {
    const place = placeOf();
    const keys = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    await addSlot(place, keys, { credential: key(2) });
    const before = firstKey(keys);
    const stranger = await openKeys(place, [key(2)]);
    const report = await rotateKeys(place, keys, { newRoot: [{ credential: key(3) }, { credential: key(4), label: 'safe' }] });
    assert.equal(report.removedSlots.length, 2);
    for (const old of [key(1), key(2)]) await assert.rejects(openKeys(place, [old]), UsageError);
    for (const fresh of [key(3), key(4)]) assert.deepEqual(firstKey(await openKeys(place, [fresh])), before);
    assert.equal((await namesOf(place)).length, 3); // two slots, one ring
    assert.deepEqual(keys.dataKeys, [1, 2]);
    for (const late of [addSlot(place, stranger, { credential: key(5) }), rotateKeys(place, stranger), refreshKeys(place, stranger), removeSlot(place, stranger, keys.slot)]) await assert.rejects(late, BusyError);
    assert.equal((await listSlots(place)).slots.length, 2);
  });

  it('to a new root key is refused where nothing can be removed, and without credentials', async () => {
    const place = placeOf();
    const keys = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    const capabilities = async (): Promise<ObjectStoreCapabilities> => ({ ...await place.objects.capabilities(), remove: false });
    await assert.rejects(rotateKeys({ ...place, objects: storeOver(place.objects, { capabilities }) }, keys, { newRoot: [{ credential: key(2) }] }), UsageError);
    await assert.rejects(rotateKeys(place, keys, { newRoot: [] }), UsageError);
    assert.equal((await namesOf(place)).length, 2);
  });

  it('stopped at any step leaves a repository that opens with the earlier or the new credential, and can be rotated', async () => {
    const effects = new Set<string>();
    for (let step = 1, ended = false; !ended; step += 1) {
      const place = placeOf(step);
      const keys = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
      await addSlot(place, keys, { credential: key(2) });
      const [before, rootBefore] = [firstKey(keys), keys.rootId];
      let left = step;
      const stop = (after: boolean): void => {
        if (after) left -= 1;
        if (left <= 0) throw new Error('power cut');
      };
      const objects = storeOver(place.objects, {
        put: async (name, ...parts) => { stop(false); await place.objects.put(name, ...parts); stop(true); },
        remove: async (name) => { stop(false); await place.objects.remove(name); stop(true); },
      });
      const error: unknown = await rotateKeys({ ...place, objects }, keys, { newRoot: [{ credential: key(3) }] }).then(() => undefined, (reason: unknown) => reason);
      ended = error === undefined;
      const opened = await openKeys(place, [key(1), key(3)]);
      assert.deepEqual(firstKey(opened), before, `step ${step}`);
      await rotateKeys(place, opened);
      const again = await openKeys(place, [key(1), key(3)]);
      assert.deepEqual(firstKey(again), before);
      if (opened.rootId !== rootBefore) { // the new root key took effect: the next rotation cleared what was left of the other one
        assert((await listSlots(place)).slots.every(({ current }) => current), `step ${step}`);
        await assert.rejects(openKeys(place, [key(1), key(2)]), UsageError);
        effects.add('new');
      } else {
        assert.equal((await listSlots(place)).slots.filter(({ current }) => current).length, 2);
        effects.add('earlier');
      }
      assert(step < 30);
    }
    assert.equal(effects.size, 2);
  });

  it('that cannot be read is not passed over for an older one', async () => {
    const place = placeOf();
    const keys = await createKeys(place, { credential: key(1) }, 'aes-256-gcm');
    await rotateKeys(place, keys);
    await replace(place, 'keys/ring-00000002', utf8('rot'));
    await assert.rejects(openKeys(place, [key(1)]), (error) => error instanceof IntegrityError && error.message.includes('ring-00000002'));
    await place.objects.remove('keys/ring-00000002');
    await place.objects.remove('keys/ring-00000001');
    await assert.rejects(openKeys(place, [key(1)]), (error) => error instanceof HoldfastError && error.message.includes('are gone'));
  });
});
