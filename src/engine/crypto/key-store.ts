/**
 * Keys of a repository as create-once objects: `keys/slot-<id>` and `keys/ring-<number>`. Who puts a ring first has its number, and whoever comes
 * second looks again; nothing is overwritten, and no lock is needed. Layout and orders: `docs/formats/keys.md`.
 */
import assert from 'node:assert';
import { BusyError, IntegrityError, LimitError, UsageError, equalBytes, type ObjectStore } from '../../core/index.ts';
import { KEY_BYTES, type CipherName } from './aead.ts';
import type { Credential, CredentialKind } from './credential.ts';
import { currentSlots, readKeyObject, ringName, slotName, surveyKeys, type KeyPlace, type KeySurvey } from './key-survey.ts';
import { Keys } from './keys.ts';
import { encodeRing, openRing, sealRing, type DataKey, type RingContent } from './ring.ts';
import { encodeSlot, openSlot, sealSlot, type Slot, type SlotHead, type SlotRequest } from './slot.ts';

/** Rings that others may put between our look and our put before we give up. */
const ATTEMPTS_MAX = 16;

/** A slot of a listing. */
export interface SlotRow {
  readonly id: string;
  readonly kind: CredentialKind;
  readonly label: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Whether it opens the newest ring; another is left of a rotation to a new root key that did not end. */
  readonly current: boolean;
}

/** What rotation did. */
export interface RotationReport {
  readonly ring: number;
  readonly dataKey: number;
  /** Ids of slots that went with an earlier root key. */
  readonly removedSlots: readonly string[];
}

function describe(slots: readonly SlotHead[]): string {
  return slots.map(({ id, kind, label }) => `'${id}' (${kind}${label === '' ? '' : `, "${label}"`})`).join(', ');
}

/** Puts an object; true when it is there as we made it, also if an earlier try of ours had arrived unnoticed; false when the name is another's. */
async function putOwn(place: KeyPlace, name: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await place.objects.put(name, bytes);
    return true;
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    if (!equalBytes(await readKeyObject(place, name), bytes)) return false;
    await place.objects.settle([name]);
    return true;
  }
}

function dataKeyOf({ world }: KeyPlace, number: number, cipher: CipherName): DataKey {
  return { number, cipher, created: world.now(), key: world.randomBytes(KEY_BYTES) };
}

/**
 * Makes the keys of a new repository: a slot, then the first ring. Both are durable on resolve; the caller then writes the config.
 * What an earlier `init` left that never came to its config belongs to another repository id, and is passed over.
 */
export async function createKeys(place: KeyPlace, request: SlotRequest, cipher: CipherName): Promise<Keys> {
  const root = place.world.randomBytes(KEY_BYTES);
  const slot = await sealSlot(root, request, place);
  await place.objects.put(slotName(slot.id), encodeSlot(slot));
  const content: RingContent = { idKey: place.world.randomBytes(KEY_BYTES), dataKeys: [dataKeyOf(place, 1, cipher)] };
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const number = (await surveyKeys(place)).ringNumberMax + 1;
    const ring = sealRing(root, content, { number, ...place });
    if (await putOwn(place, ringName(number), encodeRing(ring))) return new Keys({ repository: place.repository, slot: slot.id, root, ring: number, content });
  }
  throw new BusyError(`Create keys: others made ${ATTEMPTS_MAX} key rings meanwhile`);
}

function newestRing(survey: KeySurvey): NonNullable<ReturnType<KeySurvey['rings']['at']>> {
  const ring = survey.rings.at(-1);
  const worst = survey.problems.filter(({ name }) => name > ringName(ring?.number ?? 0) && name.startsWith('keys/ring-')).at(-1);
  // An older ring would open, and the keys of what was written since would be missing.
  if (worst !== undefined) throw new IntegrityError(`Open keys: the newest key ring cannot be read. ${worst.reason}`, { object: worst.name });
  if (ring === undefined) throw new IntegrityError('Open keys: the repository is encrypted, and its key rings (\'keys/ring-…\') are gone');
  return ring;
}

function nothingOpened(survey: KeySurvey, credentials: readonly Credential[]): UsageError | IntegrityError {
  const current = currentSlots(survey);
  const damaged = survey.problems.filter(({ name }) => name.startsWith('keys/slot-'));
  const others = damaged.map(({ reason }) => `. ${reason}`).join('');
  if (current.length === 0) return new IntegrityError(`Open keys: the repository is encrypted, and has no key slot that could be opened${others}`);
  if (credentials.length === 0) return new UsageError(`Give a key or passphrase: the repository is encrypted; its key slots: ${describe(current)}${others}`);
  const tried = credentials.map(({ name, kind }) => `${name}${current.some((slot) => slot.kind === kind) ? '' : ` (no slot is for a ${kind})`}`).join(', ');
  const message = `Open keys: no slot opens with ${tried}; key slots: ${describe(current)}${others}`;
  return damaged.length === 0 ? new UsageError(message) : new IntegrityError(message);
}

/**
 * Opens the keys with the first credential that opens a slot; keys come before passphrases, which cost a derivation for each slot.
 * The ring that it returns survives a crash: data may be written under its newest key.
 * @throws {UsageError} no slot opens, or no credential was given: the message names slots and what was tried.
 * @throws {IntegrityError} nothing could open, since slots or the newest ring are damaged or gone.
 */
export async function openKeys(place: KeyPlace, credentials: readonly Credential[]): Promise<Keys> {
  const survey = await surveyKeys(place);
  const ring = newestRing(survey);
  const name = ringName(ring.number);
  for (const credential of [...credentials.filter(({ kind }) => kind === 'key'), ...credentials.filter(({ kind }) => kind === 'passphrase')]) {
    for (const slot of currentSlots(survey)) {
      const root = await openSlot(slot, credential);
      if (root === undefined) continue;
      const content = openRing(ring, root, name);
      await place.objects.settle([slotName(slot.id), name]);
      return new Keys({ repository: place.repository, slot: slot.id, root, ring: ring.number, content });
    }
  }
  throw nothingOpened(survey, credentials);
}

/** Refuses keys of a root key that was replaced: what they sealed, nobody else could open. */
async function surveyUnder(place: KeyPlace, keys: Keys): Promise<KeySurvey> {
  const survey = await surveyKeys(place);
  if (newestRing(survey).root !== keys.rootId) throw new BusyError('Open the repository again: another process gave it a new root key');
  return survey;
}

/**
 * Takes over the newest ring, after another process rotated keys. @returns whether there was a newer one.
 * @throws {BusyError} the root key was replaced: open again with a credential.
 */
export async function refreshKeys(place: KeyPlace, keys: Keys): Promise<boolean> {
  const ring = newestRing(await surveyUnder(place, keys));
  if (ring.number === keys.ring) return false;
  const content = openRing(ring, keys.root, ringName(ring.number));
  await place.objects.settle([ringName(ring.number)]);
  keys.adopt({ slot: keys.slot, root: keys.root, ring: ring.number, content });
  return true;
}

function rowOf(slot: Slot, current: readonly Slot[]): SlotRow {
  const { id, kind, label, created } = slot;
  return { id, kind, label, created, current: current.includes(slot) };
}

/** Slots as they stand, and objects that can't be read. Needs no key. */
export async function listSlots(place: KeyPlace): Promise<{ readonly slots: readonly SlotRow[]; readonly problems: KeySurvey['problems'] }> {
  const survey = await surveyKeys(place);
  const current = currentSlots(survey);
  return { slots: survey.slots.map((slot) => rowOf(slot, current)), problems: survey.problems };
}

/** Removes an object and its parity first, which would bring it back. */
async function removeKeyObject(objects: ObjectStore, name: string): Promise<void> {
  await objects.remove(`parity/${name}`);
  await objects.remove(name);
}

async function putSlot(place: KeyPlace, root: Uint8Array, request: SlotRequest): Promise<Slot> {
  const slot = await sealSlot(root, request, place);
  await place.objects.put(slotName(slot.id), encodeSlot(slot));
  return slot;
}

/**
 * Adds a slot for another credential. Durable on resolve.
 * @throws {BusyError} the root key was replaced meanwhile; then the slot is gone again.
 */
export async function addSlot(place: KeyPlace, keys: Keys, request: SlotRequest): Promise<SlotRow> {
  const { slots } = await surveyUnder(place, keys);
  if (slots.length >= place.limits.keySlotsMax) throw new LimitError('keySlotsMax', slots.length + 1, place.limits.keySlotsMax, '\'keys\' with the slot to be added');
  const slot = await putSlot(place, keys.root, request);
  if (newestRing(await surveyKeys(place)).root !== slot.root) {
    await removeKeyObject(place.objects, slotName(slot.id));
    throw new BusyError('Add a key slot: another process gave the repository a new root key; open it again');
  }
  return rowOf(slot, [slot]);
}

/**
 * Removes a slot. Its credential opens nothing any more here; a copy of the slot kept elsewhere still holds the root key, so a credential
 * that leaked also wants `rotateKeys` with new slots.
 * @throws {UsageError} no such slot, the last one, or the one that `keys` came from: opening with another shows that the other works.
 * @throws {BusyError} another process removed the others at the same moment; then this one is there again.
 */
export async function removeSlot(place: KeyPlace, keys: Keys, id: string): Promise<void> {
  const survey = await surveyUnder(place, keys);
  const name = slotName(id);
  const damaged = survey.problems.some((problem) => problem.name === name);
  const slot = survey.slots.find((one) => one.id === id);
  if (slot === undefined && !damaged) throw new UsageError(`Remove key slot '${id}': there is none; key slots: ${describe(survey.slots)}`);
  const others = currentSlots(survey).filter((one) => one.id !== id);
  if (others.length === 0) throw new UsageError(`Keep key slot '${id}': it is the last one, and without it nothing could be read; add another first`);
  if (id === keys.slot) throw new UsageError(`Keep key slot '${id}': the repository was opened with it; open it with another one to remove this one`);
  await removeKeyObject(place.objects, name);
  if (slot === undefined || currentSlots(await surveyKeys(place)).length > 0) return;
  await place.objects.put(name, encodeSlot(slot));
  throw new BusyError(`Remove key slot '${id}': another process removed the other ones at the same moment; it was put back`);
}

/** Slots and rings of root keys that were replaced; slots first, since the rings tell which they are. */
async function removeReplaced(place: KeyPlace): Promise<readonly string[]> {
  const survey = await surveyKeys(place, 'all');
  const newest = newestRing(survey);
  const replaced = survey.rings.filter((ring) => ring.root !== newest.root);
  const slots = survey.slots.filter((slot) => replaced.some((ring) => ring.root === slot.root));
  for (const { id } of slots) await removeKeyObject(place.objects, slotName(id));
  for (const { number } of replaced) await removeKeyObject(place.objects, ringName(number));
  return slots.map(({ id }) => id);
}

/** What a rotation shall change. */
export interface RotationOptions {
  /** Cipher of the new data key; that of the last one by default. */
  readonly cipher?: CipherName;
  /** Credentials of a new root key: all other slots, and the rings they open, are removed. Without them the root key stays. */
  readonly newRoot?: readonly SlotRequest[];
}

/** Puts a ring with a further data key under `root`, however many others do so at the same time. */
async function putNextRing(place: KeyPlace, keys: Keys, { root, cipher }: { readonly root: Uint8Array; readonly cipher: CipherName | undefined }): Promise<{ readonly ring: number; readonly content: RingContent }> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const survey = await surveyUnder(place, keys);
    const newest = newestRing(survey);
    const before = openRing(newest, keys.root, ringName(newest.number));
    const last = before.dataKeys.at(-1);
    assert(last !== undefined, 'a ring has data keys');
    const content: RingContent = { ...before, dataKeys: [...before.dataKeys, dataKeyOf(place, last.number + 1, cipher ?? last.cipher)] };
    const number = survey.ringNumberMax + 1;
    const bytes = encodeRing(sealRing(root, content, { number, ...place }));
    if (bytes.length > place.limits.keyObjectBytesMax) throw new LimitError('keyObjectBytesMax', bytes.length, place.limits.keyObjectBytesMax, 'key ring to be written');
    if (await putOwn(place, ringName(number), bytes)) return { ring: number, content };
  }
  throw new BusyError(`Rotate keys: others did so ${ATTEMPTS_MAX} times meanwhile`);
}

/**
 * Adds a data key for what is written from now on; earlier data stays readable, and no byte of it is rewritten. `keys` hold the new ring afterwards.
 * With `newRoot` everything is sealed under a new root key, new slots first, then the ring, then earlier slots and rings are removed: at each moment
 * either the earlier credentials open the repository or the new ones.
 * @throws {BusyError} the root key was replaced by another process meanwhile; slots that were made for this one open nothing, and can be removed.
 */
export async function rotateKeys(place: KeyPlace, keys: Keys, { cipher, newRoot }: RotationOptions = {}): Promise<RotationReport> {
  if (newRoot?.length === 0) throw new UsageError('Give the credentials of the new root key: without a slot nothing could be read');
  if (newRoot !== undefined && !(await place.objects.capabilities()).remove) {
    throw new UsageError('Rotate without a new root key: this store removes nothing, so that earlier slots would go on opening');
  }
  await surveyUnder(place, keys);
  const root = newRoot === undefined ? keys.root : place.world.randomBytes(KEY_BYTES);
  const slots: Slot[] = [];
  for (const request of newRoot ?? []) slots.push(await putSlot(place, root, request));
  // If the ring's put fails without saying so the ring may be there: the new slots stay, whatever happens.
  const { ring, content } = await putNextRing(place, keys, { root, cipher });
  keys.adopt({ slot: slots[0]?.id ?? keys.slot, root, ring, content });
  const removedSlots = await removeReplaced(place);
  return { ring, dataKey: keys.newest.number, removedSlots };
}
