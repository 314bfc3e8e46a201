/**
 * AES over sectors, as dm-crypt has it: XTS and CBC. Node's own XTS takes one call a sector, and calls cost more than the cipher: here one call of ECB
 * goes over many sectors, and the chaining is done around it (3 times the speed at 512 bytes a sector).
 * Sources: IEEE 1619-2018, section 5; NIST SP 800-38A, section 6.2; Linux Documentation/admin-guide/device-mapper/dm-crypt.rst (IV generators).
 */
import { createCipheriv, createDecipheriv, createHash, type Decipher, getHashes, type Cipher } from 'node:crypto';
import { FormatError, UnsupportedError } from '../../../core/index.ts';

const BLOCK = 16;
/** Bytes that go through the cipher in one call: in and out stay in the processor's cache. */
const SLICE_BYTES = 64 << 10;
/** Numbers of sectors count in these. */
const IV_SECTOR = 512;

/** Decrypts whole sectors in place. Stateless between calls. */
export interface SectorCipher {
  /** `sector` is the number of the first sector in units of 512 bytes. `bytes` are a multiple of the sector size. */
  decrypt(sector: number, bytes: Uint8Array): void;
}

function aes(key: Uint8Array): string {
  if (![16, 24, 32].includes(key.length)) throw new FormatError('Open encrypted volume', { structure: 'cipher', field: 'key bytes', found: key.length, expected: '16, 24 or 32 for AES' });
  return `aes-${key.length * 8}-ecb`;
}

function blockDecryption(key: Uint8Array): Decipher {
  return createDecipheriv(aes(key), key, null).setAutoPadding(false);
}

function blockEncryption(key: Uint8Array): Cipher {
  return createCipheriv(aes(key), key, null).setAutoPadding(false);
}

/** Aligned words of what a cipher gave. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
}

/** The numbers of sectors as blocks: little-endian; `plain` has 32 bits of them. */
function sectorNumbers(first: number, count: number, step: number, plain: boolean): Uint8Array {
  const bytes = new Uint8Array(count * BLOCK);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i += 1) {
    const number = first + i * step;
    view.setUint32(i * BLOCK, number % 2 ** 32, true);
    if (!plain) view.setUint32(i * BLOCK + 4, Math.floor(number / 2 ** 32), true);
  }
  return bytes;
}

/** Gives the IVs of consecutive sectors, one block each. */
type IvGenerator = (first: number, count: number, step: number) => Uint8Array;

function ivGenerator(name: string, key: Uint8Array): IvGenerator {
  if (name === 'plain' || name === 'plain64') return (first, count, step) => sectorNumbers(first, count, step, name === 'plain');
  const hash = /^essiv:(.+)$/.exec(name)?.[1];
  if (hash === undefined || !getHashes().includes(hash)) throw new UnsupportedError(`Open encrypted volume: IV generator '${name}' is not known`);
  const cipher = blockEncryption(createHash(hash).update(key).digest());
  return (first, count, step) => cipher.update(sectorNumbers(first, count, step, false));
}

/** The common part: slices, and words to work on. */
abstract class ChainedCipher implements SectorCipher {
  protected readonly sectorBytes: number;
  readonly #block: Decipher;
  readonly #slice: Uint8Array = new Uint8Array(SLICE_BYTES);

  constructor(key: Uint8Array, sectorBytes: number) {
    this.sectorBytes = sectorBytes;
    this.#block = blockDecryption(key);
  }

  /** What each word is XORed with after the cipher; changes `words` to what the cipher takes. */
  protected abstract prepare(sector: number, words: Uint32Array): Uint32Array;

  decrypt(sector: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      const length = Math.min(SLICE_BYTES, bytes.length - at);
      const slice = this.#slice.subarray(0, length);
      slice.set(bytes.subarray(at, at + length));
      const mask = this.prepare(sector + at / IV_SECTOR, new Uint32Array(this.#slice.buffer, 0, length >>> 2));
      const plain = wordsOf(this.#block.update(slice));
      for (let i = 0; i < plain.length; i += 1) plain[i] = (plain[i] as number) ^ (mask[i] as number);
      bytes.set(new Uint8Array(plain.buffer, plain.byteOffset, length), at);
    }
  }
}

class XtsCipher extends ChainedCipher {
  readonly #ivs: IvGenerator;
  readonly #tweak: Cipher;
  readonly #mask: Uint32Array = new Uint32Array(SLICE_BYTES >>> 2);

  constructor(key: Uint8Array, sectorBytes: number, iv: string) {
    const half = key.length >>> 1;
    super(key.subarray(0, half), sectorBytes);
    this.#tweak = blockEncryption(key.subarray(half));
    this.#ivs = ivGenerator(iv, key);
  }

  protected prepare(sector: number, words: Uint32Array): Uint32Array {
    const perSector = this.sectorBytes >>> 2;
    const sectors = words.length / perSector;
    const tweaks = wordsOf(this.#tweak.update(this.#ivs(sector, sectors, this.sectorBytes / IV_SECTOR)));
    const mask = this.#mask;
    let at = 0;
    for (let s = 0; s < sectors; s += 1) {
      let a = tweaks[s * 4] as number;
      let b = tweaks[s * 4 + 1] as number;
      let c = tweaks[s * 4 + 2] as number;
      let d = tweaks[s * 4 + 3] as number;
      for (const end = at + perSector; at < end; at += 4) {
        mask[at] = a;
        mask[at + 1] = b;
        mask[at + 2] = c;
        mask[at + 3] = d;
        words[at] = (words[at] as number) ^ a;
        words[at + 1] = (words[at + 1] as number) ^ b;
        words[at + 2] = (words[at + 2] as number) ^ c;
        words[at + 3] = (words[at + 3] as number) ^ d;
        // The tweak of the next block: times x in GF(2^128).
        const carry = (d >> 31) & 0x87;
        d = d << 1 | c >>> 31;
        c = c << 1 | b >>> 31;
        b = b << 1 | a >>> 31;
        a = a << 1 ^ carry;
      }
    }
    return mask;
  }
}

class CbcCipher extends ChainedCipher {
  readonly #ivs: IvGenerator;
  readonly #mask: Uint32Array = new Uint32Array(SLICE_BYTES >>> 2);

  constructor(key: Uint8Array, sectorBytes: number, iv: string) {
    super(key, sectorBytes);
    this.#ivs = ivGenerator(iv, key);
  }

  protected prepare(sector: number, words: Uint32Array): Uint32Array {
    const perSector = this.sectorBytes >>> 2;
    const ivs = wordsOf(this.#ivs(sector, words.length / perSector, this.sectorBytes / IV_SECTOR));
    // Each block is XORed with the ciphertext before it, the first of a sector with its IV.
    this.#mask.set(words.subarray(0, words.length - 4), 4);
    for (let at = 0, s = 0; at < words.length; at += perSector, s += 1) this.#mask.set(ivs.subarray(s * 4, s * 4 + 4), at);
    return this.#mask;
  }
}

/**
 * A cipher by dm-crypt's name: `aes-xts-plain64`, `aes-cbc-essiv:sha256` …; the key as a whole.
 * @throws {UnsupportedError} @throws {FormatError} the key does not fit.
 */
export function sectorCipher(encryption: string, key: Uint8Array, sectorBytes: number): SectorCipher {
  const [cipher = '', mode = '', ...rest] = encryption.split('-');
  const iv = rest.join('-');
  if (cipher === 'aes' && mode === 'xts' && key.length % 2 === 0) return new XtsCipher(key, sectorBytes, iv);
  if (cipher === 'aes' && mode === 'cbc') return new CbcCipher(key, sectorBytes, iv === '' ? 'plain' : iv);
  throw new UnsupportedError(`Open encrypted volume: cipher '${encryption}' is not known`, { encryption });
}
