/**
 * Seals small objects (manifests, lists) under their names. Layout: `docs/formats/keys.md`, "Sealed object".
 *
 * Nonces: each object has a random salt of 32 bytes, so the key that seals it is its own and seals once; the nonce is zero.
 * The name is authenticated: an object that is put under another's name does not open.
 */
import { FormatError, IntegrityError, UnsupportedError, utf8, type World } from '../../core/index.ts';
import { layout, type Layout } from '../../core/layout.ts';
import { NONCE_BYTES, TAG_BYTES, openInPlace, sealInPlace, type AeadUse } from './aead.ts';
import { SALT_BYTES } from './kdf.ts';
import type { Keys } from './keys.ts';
import { padme } from './padme.ts';

/** "HFSO" as a u32. */
export const SEALED_OBJECT_MAGIC = 0x4846_534f;
const VERSION = 1;
/** The least text of an object. */
const PADDED_BYTES_MIN = 512;
const LENGTH_BYTES = 4;

/** First bytes of a sealed object; ciphertext and tag follow. */
export const sealedObjectHeader: Layout<{ readonly magic: 'u32'; readonly version: 'u16'; readonly flags: 'u16'; readonly dataKey: 'u32'; readonly salt: 'bytes:32' }>
  = layout('sealed object', 'be', { magic: 'u32', version: 'u16', flags: 'u16', dataKey: 'u32', salt: 'bytes:32' });

/** Header, then name: the header has a fixed size, so neither can pass for a part of the other. */
function useOf(keys: Keys, head: Uint8Array, name: string): AeadUse {
  const { dataKey, salt } = sealedObjectHeader.view(head);
  return { ...keys.objectKey(dataKey, salt), nonce: new Uint8Array(NONCE_BYTES), aad: Buffer.concat([head, utf8(name)]) };
}

/** Whether bytes begin as a sealed object does. */
export function isSealedObject(bytes: Uint8Array): boolean {
  return bytes.length >= sealedObjectHeader.size && sealedObjectHeader.view(bytes).magic === SEALED_OBJECT_MAGIC;
}

/** Seals `bytes` for the object `name`, under the newest data key; sizes are padded. */
export function sealObject(keys: Keys, name: string, bytes: Uint8Array, world: World): Uint8Array {
  const text = padme(LENGTH_BYTES + bytes.length, PADDED_BYTES_MIN);
  const sealed = new Uint8Array(sealedObjectHeader.size + text + TAG_BYTES);
  const head = sealedObjectHeader.encode({ magic: SEALED_OBJECT_MAGIC, version: VERSION, flags: 0, dataKey: keys.newest.number, salt: world.randomBytes(SALT_BYTES) });
  sealed.set(head);
  new DataView(sealed.buffer).setUint32(head.length, bytes.length);
  sealed.set(bytes, head.length + LENGTH_BYTES);
  const use = useOf(keys, head, name);
  sealInPlace(use, sealed.subarray(head.length));
  use.key.fill(0);
  return sealed;
}

/**
 * The content of the object `name`; the caller has bounded `sealed`.
 * @throws {FormatError} no sealed object. @throws {UnsupportedError} @throws {NotFoundError} a data key that these keys lack.
 * @throws {IntegrityError} damaged, or another object's bytes.
 */
export function openObject(keys: Keys, name: string, sealed: Uint8Array): Uint8Array {
  const view = sealedObjectHeader.view(sealed);
  if (view.magic !== SEALED_OBJECT_MAGIC) throw new FormatError(`Open object '${name}'`, { structure: sealedObjectHeader.name, field: 'magic', offset: 0, found: view.magic, expected: SEALED_OBJECT_MAGIC });
  if (view.version !== VERSION || view.flags !== 0) {
    throw new UnsupportedError(`Open object '${name}': its format is '${view.version}', flags '${view.flags}'; this build knows '${VERSION}', '0'`);
  }
  const head = sealed.subarray(0, sealedObjectHeader.size);
  const use = useOf(keys, head, name);
  const text = openInPlace(use, sealed.slice(head.length));
  use.key.fill(0);
  const length = text === undefined || text.length < LENGTH_BYTES ? -1 : new DataView(text.buffer, text.byteOffset).getUint32(0);
  if (text === undefined || length < 0 || text.length !== padme(LENGTH_BYTES + length, PADDED_BYTES_MIN)) {
    throw new IntegrityError(`Open object '${name}': it is damaged, or belongs under another name (its tag does not match)`, { object: name });
  }
  return text.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
}
