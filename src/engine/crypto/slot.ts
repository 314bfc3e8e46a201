/**
 * A key slot: the root key, sealed under one credential. Layout: `docs/formats/keys.md`.
 *
 * Nonces: each slot has a random salt of 32 bytes, so the key that seals it is its own and seals once; the nonce is zero.
 * Neither cipher commits to its key: one crafted ciphertext can open under many passphrases, and tell a guesser which group of them holds the right one.
 * So half of what is derived from the credential stands in the slot as `commitment` and is compared first.
 */
import { timingSafeEqual } from 'node:crypto';
import { UsageError, utf8, type Limits, type World } from '../../core/index.ts';
import { decodeDocument, encodeDocument, type DocumentKind } from '../objects/index.ts';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES, openInPlace, sealInPlace, type AeadUse } from './aead.ts';
import type { Credential, CredentialKind } from './credential.ts';
import { DocumentFields } from './document-fields.ts';
import { SALT_BYTES, SCRYPT_LOG_N_MIN, checkScryptCost, defaultScryptCost, deriveKey, stretch, type ScryptCost } from './kdf.ts';

const KIND: DocumentKind = { kind: 'keyslot', version: 1 };
/** Bytes of a slot's id. */
export const SLOT_ID_BYTES = 8;
/** Bytes of the name that tells root keys apart. */
export const ROOT_ID_BYTES = 16;
const LABEL_CHARACTERS_MAX = 100;
const ID_BYTES = 32;

/** What stands in the clear in a slot. All of it is authenticated by the seal. */
export interface SlotHead {
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** Repository, 64 hexadecimal digits. */
  readonly repository: string;
  /** Which root key is inside, {@link rootIdOf} in hexadecimal digits. */
  readonly root: string;
  readonly kind: CredentialKind;
  /** For people: whose it is. */
  readonly label: string;
  /** Milliseconds since 1970, by the clock of the maker. */
  readonly created: number;
  /** scrypt's, for passphrases. */
  readonly cost?: ScryptCost;
  /** Hexadecimal digits. */
  readonly salt: string;
}

/** A slot as it is stored. */
export interface Slot extends SlotHead {
  readonly commitment: Uint8Array;
  readonly sealed: Uint8Array;
}

/** What a new slot shall be. */
export interface SlotRequest {
  readonly credential: Credential;
  readonly label?: string;
  /** For passphrases; at least 2^14 · 8 · 1. */
  readonly cost?: ScryptCost;
}

/** The public name of a root key: tells whether two slots hold the same one, and nothing else. */
export function rootIdOf(root: Uint8Array): string {
  return Buffer.from(deriveKey(root, new Uint8Array(0), 'root id', { length: ROOT_ID_BYTES })).toString('hex');
}

/** Fields in their one order: encoded, and authenticated as they are encoded. */
function headOf({ id, repository, root, kind, label, created, cost, salt }: SlotHead): SlotHead {
  return { id, repository, root, kind, label, created, ...(cost === undefined ? {} : { cost: { logN: cost.logN, r: cost.r, p: cost.p } }), salt };
}

async function useOf(head: SlotHead, credential: Credential): Promise<{ readonly use: AeadUse; readonly commitment: Uint8Array }> {
  const salt = Buffer.from(head.salt, 'hex');
  const strong = head.cost === undefined ? undefined : await stretch(credential.secret, salt, head.cost, KEY_BYTES);
  const derived = deriveKey(strong ?? credential.secret, salt, strong === undefined ? 'slot key' : 'slot passphrase', { length: 2 * KEY_BYTES });
  strong?.fill(0);
  const aad = utf8(JSON.stringify(headOf(head)));
  const use: AeadUse = { cipher: 'aes-256-gcm', key: derived.subarray(0, KEY_BYTES), nonce: new Uint8Array(NONCE_BYTES), aad };
  return { use, commitment: derived.subarray(KEY_BYTES) };
}

function checkRequest({ label = '', cost, credential }: SlotRequest, limits: Limits): void {
  if (label.length > LABEL_CHARACTERS_MAX || /[\p{Cc}\p{Cf}\p{Cs}]/u.test(label)) {
    throw new UsageError(`Choose a label of at most ${LABEL_CHARACTERS_MAX} printable characters: found ${JSON.stringify(label)}`);
  }
  if (credential.kind === 'key' && credential.secret.length !== KEY_BYTES) throw new UsageError(`Use ${credential.name} as a key: it has not ${KEY_BYTES} bytes`);
  if (cost === undefined) return;
  if (!(cost.logN >= SCRYPT_LOG_N_MIN && cost.r >= 8 && cost.p >= 1)) throw new UsageError(`Choose a cost of scrypt of at least N = 2^${SCRYPT_LOG_N_MIN}, r = 8, p = 1`);
  checkScryptCost(cost, limits, 'the cost asked for');
}

/** Seals a root key into a new slot. @throws {UsageError} a label or cost that is not allowed. @throws {LimitError} a cost that nobody would read. */
export async function sealSlot(root: Uint8Array, request: SlotRequest, of: { readonly world: World; readonly repository: string; readonly limits: Limits }): Promise<Slot> {
  checkRequest(request, of.limits);
  const { credential, label = '', cost = defaultScryptCost } = request;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const head: SlotHead = {
    id: hex(of.world.randomBytes(SLOT_ID_BYTES)), repository: of.repository, root: rootIdOf(root), kind: credential.kind, label, created: of.world.now(),
    ...(credential.kind === 'passphrase' ? { cost } : {}), salt: hex(of.world.randomBytes(SALT_BYTES)),
  };
  const { use, commitment } = await useOf(head, credential);
  const sealed = new Uint8Array(root.length + TAG_BYTES);
  sealed.set(root);
  sealInPlace(use, sealed);
  use.key.fill(0);
  return { ...head, commitment: commitment.slice(), sealed };
}

/** The root key; undefined when the credential does not open this slot, for whatever reason. The caller overwrites it when done. */
export async function openSlot(slot: Slot, credential: Credential): Promise<Uint8Array | undefined> {
  if (slot.kind !== credential.kind) return undefined;
  const { use, commitment } = await useOf(slot, credential);
  const committed = timingSafeEqual(commitment, slot.commitment);
  const root = committed ? openInPlace(use, slot.sealed.slice()) : undefined;
  use.key.fill(0);
  return root?.length === KEY_BYTES ? root : undefined;
}

/** Bytes of the object. */
export function encodeSlot(slot: Slot): Uint8Array {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return encodeDocument(KIND, { ...headOf(slot), commitment: hex(slot.commitment), sealed: hex(slot.sealed) });
}

/**
 * Reads a slot. Its cost is within the limits, so trying it costs bounded time and memory.
 * @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} @throws {LimitError}
 */
export function decodeSlot(bytes: Uint8Array, name: string, limits: Limits): Slot {
  const what = `Read key slot '${name}'`;
  const body = decodeDocument(bytes, KIND, what);
  const fields = new DocumentFields(body, KIND.kind, what);
  const hex = (field: string, length: number): string => Buffer.from(fields.bytes(field, length)).toString('hex');
  const kind = fields.choice('kind', ['passphrase', 'key']);
  const cost = kind === 'key' ? undefined : costOf(new DocumentFields((body['cost'] ?? {}) as Readonly<Record<string, unknown>>, 'keyslot.cost', what));
  if (cost !== undefined) checkScryptCost(cost, limits, `key slot '${name}'`);
  return {
    id: hex('id', SLOT_ID_BYTES), repository: hex('repository', ID_BYTES), root: hex('root', ROOT_ID_BYTES), kind, label: fields.label('label', LABEL_CHARACTERS_MAX),
    created: fields.integer('created', 0, Number.MAX_SAFE_INTEGER), ...(cost === undefined ? {} : { cost }), salt: hex('salt', SALT_BYTES),
    commitment: fields.bytes('commitment', KEY_BYTES), sealed: fields.bytes('sealed', KEY_BYTES + TAG_BYTES),
  };
}

function costOf(fields: DocumentFields): ScryptCost {
  return { logN: fields.integer('logN', 1, 30), r: fields.integer('r', 1, 1024), p: fields.integer('p', 1, 1024) };
}
