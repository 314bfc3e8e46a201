/**
 * Seals one group of chunks: what it holds, how long each chunk is and how well it compressed are inside, padded to few sizes.
 *
 * Layout of the text that is sealed: `docs/formats/keys.md`, "Sealed group".
 *
 * Nonces. The key belongs to one container: HKDF over a data key with 32 random bytes from the container's head, and its number. A container is
 * written once from front to back by one writer, invisible until it is whole, never appended to after a crash; a writer that failed is dead, and
 * another attempt is another container with another salt. Its groups are numbered 0, 1, 2 …, each number is given out once, and the number is the
 * nonce. So a pair of key and nonce returns only if two salts of 32 random bytes are equal.
 */
import assert from 'node:assert';
import { FormatError, IntegrityError, LimitError } from '../../core/errors.ts'; // not the whole of core: each thread loads what this file names
import { layout, type Layout } from '../../core/layout.ts';
import type { Limits } from '../../core/limits.ts';
import { NONCE_BYTES, TAG_BYTES, openInPlace, sealInPlace, type AeadUse, type CipherName } from './aead.ts';
import { padme } from './padme.ts';

/** The least text of a group: below it, sizes would still tell small files apart. */
export const GROUP_PADDED_BYTES_MIN: number = 16 << 10;

/** First bytes of a group's text; u32 length of each chunk, the payload and zeros follow. */
export const groupText: Layout<{ readonly codec: 'u8'; readonly version: 'u8'; readonly reserved: 'u16'; readonly rawLength: 'u32'; readonly payloadLength: 'u32' }>
  = layout('sealed group', 'be', { codec: 'u8', version: 'u8', reserved: 'u16', rawLength: 'u32', payloadLength: 'u32' });

const VERSION = 1;
const LENGTH_BYTES = 4;

/** The key of one container and which of its groups is meant. */
export interface GroupKey {
  readonly cipher: CipherName;
  /** The container's own key, 32 bytes. */
  readonly subkey: Uint8Array;
  /** Number of the group in its container, from 0; given out once. */
  readonly sequence: number;
  /** What stands in the clear beside the group: its table of ids. */
  readonly aad: Uint8Array;
}

/** What a group holds. Buffers are only read, and may be shared with other threads. */
export interface GroupContent {
  /** The container's number of a codec, 0…255. */
  readonly codec: number;
  /** Bytes of all chunks together. */
  readonly rawLength: number;
  /** Bytes of each chunk. */
  readonly lengths: Uint32Array;
  /** The chunks as the codec left them. */
  readonly payload: Uint8Array;
}

function useOf({ cipher, subkey, sequence, aad }: GroupKey): AeadUse {
  assert(Number.isInteger(sequence) && sequence >= 0 && sequence < 2 ** 32, 'a container has fewer than 2^32 groups');
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setUint32(NONCE_BYTES - 4, sequence);
  return { cipher, key: subkey, nonce, aad };
}

function textBytes(count: number, payloadBytes: number): number {
  return groupText.size + count * LENGTH_BYTES + payloadBytes;
}

/** Bytes of a sealed group of `count` chunks whose payload has `payloadBytes`. */
export function sealedGroupBytes(count: number, payloadBytes: number): number {
  return padme(textBytes(count, payloadBytes), GROUP_PADDED_BYTES_MIN) + TAG_BYTES;
}

/** The most that a sealed group of `count` chunks may have: what a reader compares a stored length with before it allocates. */
export function sealedGroupBytesMax(count: number, limits: Limits): number {
  return sealedGroupBytes(count, limits.groupBytesMax);
}

/**
 * Seals a group. Ciphertext and tag are put at the start of `target`, where the payload may be already, or into a new buffer.
 * @returns a view of exactly {@link sealedGroupBytes} bytes.
 */
export function sealGroup(key: GroupKey, content: GroupContent, target?: Uint8Array): Uint8Array {
  const { lengths, payload } = content;
  const text = textBytes(lengths.length, payload.length);
  const size = sealedGroupBytes(lengths.length, payload.length);
  const sealed = target === undefined ? new Uint8Array(size) : target.subarray(0, size);
  sealed.set(payload, text - payload.length); // first, since the head may go where it was
  sealed.set(groupText.encode({ codec: content.codec, version: VERSION, reserved: 0, rawLength: content.rawLength, payloadLength: payload.length }));
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  lengths.forEach((length, i) => { view.setUint32(groupText.size + i * LENGTH_BYTES, length); });
  sealed.fill(0, text);
  sealInPlace(useOf(key), sealed);
  return sealed;
}

/** What a reader expects of a group before it is opened. */
export interface GroupExpectation {
  /** Chunks, as the table of ids says. */
  readonly count: number;
  readonly limits: Limits;
  /** The group's place, for messages: "group record at offset 64 of container '…'". */
  readonly where: string;
}

function lengthsOf(text: Uint8Array, { count, limits, where }: GroupExpectation): { readonly lengths: Uint32Array; readonly total: number } {
  const lengths = new Uint32Array(count);
  const view = new DataView(text.buffer, text.byteOffset, text.byteLength);
  let total = 0;
  for (let i = 0; i < count; i += 1) {
    const length = view.getUint32(groupText.size + i * LENGTH_BYTES);
    if (length > limits.chunkBytesMax) throw new LimitError('chunkBytesMax', length, limits.chunkBytesMax, `${where}, chunk ${i}`);
    lengths[i] = length;
    total += length;
  }
  return { lengths, total };
}

/**
 * Opens a group where it is: afterwards `sealed` holds its text, of which `payload` is a view, or nothing.
 * @throws {LimitError} before anything is decrypted, or when a length inside exceeds its cap. @throws {IntegrityError} it does not authenticate.
 * @throws {FormatError} it was sealed by something that contradicts itself.
 */
export function openGroup(key: GroupKey, sealed: Uint8Array, expected: GroupExpectation): GroupContent {
  const { count, limits, where } = expected;
  if (count > limits.groupChunksMax) throw new LimitError('groupChunksMax', count, limits.groupChunksMax, where);
  const most = sealedGroupBytesMax(count, limits);
  if (sealed.length > most) throw new LimitError('groupBytesMax', sealed.length, most, where);
  const text = openInPlace(useOf(key), sealed);
  if (text === undefined) throw new IntegrityError(`Open ${where}: it is damaged, or belongs elsewhere (its tag does not match)`);
  const fault = (field: string, found: number, allowed: number): FormatError => new FormatError(`Open ${where}`, { structure: groupText.name, field, found, expected: allowed });
  const head = groupText.view(text);
  if (head.version !== VERSION) throw fault('version', head.version, VERSION);
  if (head.reserved !== 0) throw fault('reserved', head.reserved, 0);
  if (head.rawLength > limits.groupBytesMax) throw new LimitError('groupBytesMax', head.rawLength, limits.groupBytesMax, where);
  if (sealedGroupBytes(count, head.payloadLength) !== sealed.length) throw fault('payloadLength', head.payloadLength, sealed.length);
  const { lengths, total } = lengthsOf(text, expected);
  if (total !== head.rawLength) throw fault('rawLength', head.rawLength, total);
  const start = textBytes(count, 0);
  return { codec: head.codec, rawLength: head.rawLength, lengths, payload: text.subarray(start, start + head.payloadLength) };
}
