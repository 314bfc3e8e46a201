/**
 * A key ring: the key of chunk ids and all data keys, sealed under the root key. The newest ring has all that earlier ones had. Layout: `docs/formats/keys.md`.
 *
 * Nonces: each ring has a random salt of 32 bytes, so the key that seals it is its own and seals once; the nonce is zero.
 */
import { IntegrityError, utf8, type World } from '../../core/index.ts';
import { decodeDocument, encodeDocument, type DocumentKind } from '../objects/index.ts';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES, cipherNames, openInPlace, sealInPlace, type AeadUse, type CipherName } from './aead.ts';
import { DocumentFields } from './document-fields.ts';
import { SALT_BYTES, deriveKey } from './kdf.ts';
import { ROOT_ID_BYTES, rootIdOf } from './slot.ts';

const KIND: DocumentKind = { kind: 'keyring', version: 1 };
const ID_BYTES = 32;
/** A ring's number has 8 digits in its name. */
export const RING_NUMBER_MAX = 99_999_999;

/** A key that data is encrypted with; each is used with one cipher only. */
export interface DataKey {
  /** From 1; containers and sealed objects name it. */
  readonly number: number;
  readonly cipher: CipherName;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly key: Uint8Array;
}

/** What a ring holds. */
export interface RingContent {
  /** Key of chunk ids; the same in all rings, since other ids would store everything again. */
  readonly idKey: Uint8Array;
  /** Ascending by number; the last one is for what is written from now on. */
  readonly dataKeys: readonly DataKey[];
}

/** What stands in the clear in a ring. All of it is authenticated by the seal. */
export interface RingHead {
  readonly number: number;
  /** Repository, 64 hexadecimal digits. */
  readonly repository: string;
  /** The root key that opens it, as in slots. */
  readonly root: string;
  /** Milliseconds since 1970, by the clock of the maker. */
  readonly created: number;
  /** Hexadecimal digits. */
  readonly salt: string;
}

/** A ring as it is stored. */
export interface SealedRing extends RingHead {
  readonly sealed: Uint8Array;
}

/** Fields in their one order: encoded, and authenticated as they are encoded. */
function headOf({ number, repository, root, created, salt }: RingHead): RingHead {
  return { number, repository, root, created, salt };
}

function useOf(head: RingHead, root: Uint8Array): AeadUse {
  const key = deriveKey(root, Buffer.from(head.salt, 'hex'), 'ring');
  return { cipher: 'aes-256-gcm', key, nonce: new Uint8Array(NONCE_BYTES), aad: utf8(JSON.stringify(headOf(head))) };
}

/** u32 number, u8 number of the cipher, u8[3] zero, u64 created, the key. */
const ROW_BYTES = 16 + KEY_BYTES;

function contentBytes({ idKey, dataKeys }: RingContent): Uint8Array {
  const bytes = new Uint8Array(KEY_BYTES + dataKeys.length * ROW_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(idKey);
  dataKeys.forEach(({ number, cipher, created, key }, i) => {
    const at = KEY_BYTES + i * ROW_BYTES;
    view.setUint32(at, number);
    view.setUint8(at + 4, cipherNames.indexOf(cipher));
    view.setBigUint64(at + 8, BigInt(created));
    bytes.set(key, at + 16);
  });
  return bytes;
}

/** Undefined when these bytes were not made by {@link contentBytes}. */
function contentOf(bytes: Uint8Array): RingContent | undefined {
  const count = (bytes.length - KEY_BYTES) / ROW_BYTES;
  if (!Number.isInteger(count) || count < 1) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dataKeys: DataKey[] = [];
  for (let i = 0; i < count; i += 1) {
    const at = KEY_BYTES + i * ROW_BYTES;
    const cipher = cipherNames[view.getUint8(at + 4)];
    const number = view.getUint32(at);
    if (cipher === undefined || cipher === 'none' || number <= (dataKeys.at(-1)?.number ?? 0)) return undefined;
    dataKeys.push({ number, cipher, created: Number(view.getBigUint64(at + 8)), key: bytes.slice(at + 16, at + ROW_BYTES) });
  }
  return { idKey: bytes.slice(0, KEY_BYTES), dataKeys };
}

/** Seals a ring under a root key. */
export function sealRing(root: Uint8Array, content: RingContent, of: { readonly number: number; readonly repository: string; readonly world: World }): SealedRing {
  const head: RingHead = {
    number: of.number, repository: of.repository, root: rootIdOf(root), created: of.world.now(), salt: Buffer.from(of.world.randomBytes(SALT_BYTES)).toString('hex'),
  };
  const text = contentBytes(content);
  const sealed = new Uint8Array(text.length + TAG_BYTES);
  const use = useOf(head, root);
  sealed.set(text);
  sealInPlace(use, sealed);
  text.fill(0);
  use.key.fill(0);
  return { ...head, sealed };
}

/** Opens a ring. @throws {IntegrityError} it does not authenticate, or holds something else. */
export function openRing(ring: SealedRing, root: Uint8Array, name: string): RingContent {
  const use = useOf(ring, root);
  const text = openInPlace(use, ring.sealed.slice());
  use.key.fill(0);
  const content = text === undefined ? undefined : contentOf(text);
  text?.fill(0);
  if (content === undefined) throw new IntegrityError(`Open key ring '${name}': it does not open under the root key that it names`, { object: name });
  return content;
}

/** Bytes of the object. */
export function encodeRing(ring: SealedRing): Uint8Array {
  return encodeDocument(KIND, { ...headOf(ring), sealed: Buffer.from(ring.sealed).toString('hex') });
}

/** Reads a ring; the caller has bounded its bytes. @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} */
export function decodeRing(bytes: Uint8Array, name: string): SealedRing {
  const what = `Read key ring '${name}'`;
  const body = decodeDocument(bytes, KIND, what);
  const fields = new DocumentFields(body, KIND.kind, what);
  const hex = (field: string, length: number): string => Buffer.from(fields.bytes(field, length)).toString('hex');
  const sealed = typeof body['sealed'] === 'string' ? body['sealed'].length >>> 1 : 0;
  return {
    number: fields.integer('number', 1, RING_NUMBER_MAX), repository: hex('repository', ID_BYTES), root: hex('root', ROOT_ID_BYTES),
    created: fields.integer('created', 0, Number.MAX_SAFE_INTEGER), salt: hex('salt', SALT_BYTES), sealed: fields.bytes('sealed', sealed),
  };
}
