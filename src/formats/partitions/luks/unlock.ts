/**
 * From a passphrase or key file to the volume key: derive, decrypt the split key, merge it, compare with the digest.
 * Sources: "LUKS1 On-Disk Format Specification" 1.2.3, sections 2.4 and 4.4 (anti-forensic splitter, master key recovery); LUKS2 1.1.3, section 3.
 */
import { createHash, getHashes, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { type BlockSource, checkLimit, equalBytes, FormatError, HoldfastError, type Limits, NotFoundError, UnsupportedError } from '../../../core/index.ts';
import { readStructure } from '../parts.ts';
import type { LuksDigest, LuksHeader, LuksKdf, LuksSlot } from './header.ts';
import { sectorCipher } from './sector-cipher.ts';

const derive = promisify(pbkdf2);
const SECTOR = 512;
/** cryptsetup itself reads at most this much of a key file. */
const KEY_FILE_BYTES_MAX = 8 << 20;
/** What an iteration of PBKDF2 counts for: its result of 32 bytes. So 2^25 iterations are allowed by default, some 20 seconds; tools choose 2 seconds' worth. */
const PBKDF2_ITERATION_BYTES = 32;

function checkHash(hash: string): void {
  if (!getHashes().includes(hash)) throw new UnsupportedError(`Open encrypted volume: hash '${hash}' is not known here`, { hash });
}

async function pbkdf2Key(secret: Uint8Array, kdf: Pick<Extract<LuksKdf, { type: 'pbkdf2' }>, 'hash' | 'iterations' | 'salt'>, length: number, limits: Limits): Promise<Uint8Array> {
  checkHash(kdf.hash);
  checkLimit(limits, 'volumeKdfWorkBytesMax', kdf.iterations * PBKDF2_ITERATION_BYTES, 'LUKS PBKDF2 iterations');
  if (kdf.iterations < 1) throw new FormatError('Open encrypted volume', { structure: 'LUKS key slot', field: 'iterations', found: kdf.iterations, expected: 'at least 1' });
  return new Uint8Array(await derive(secret, kdf.salt, kdf.iterations, length, kdf.hash));
}

async function slotKey(secret: Uint8Array, { kdf, area }: LuksSlot, limits: Limits): Promise<Uint8Array> {
  if (kdf.type === 'pbkdf2') return pbkdf2Key(secret, kdf, area.keyBytes, limits);
  const { time, memoryKib, cpus, salt } = kdf;
  checkLimit(limits, 'volumeKdfMemoryBytesMax', memoryKib * 1024, `LUKS2 ${kdf.type} memory`);
  checkLimit(limits, 'volumeKdfWorkBytesMax', memoryKib * 1024 * time, `LUKS2 ${kdf.type} memory × time`);
  if (time < 1 || cpus < 1 || memoryKib < 8 * cpus || salt.length < 8) {
    throw new FormatError('Open encrypted volume', { structure: 'LUKS2 JSON', field: 'kdf', found: `time ${time}, memory ${memoryKib}, cpus ${cpus}, salt of ${salt.length}`, expected: 'parameters that Argon2 takes' });
  }
  const { argon2i, argon2id } = await import('hash-wasm'); // only here: most volumes never need it
  const hash = kdf.type === 'argon2i' ? argon2i : argon2id;
  return hash({ password: secret, salt, iterations: time, parallelism: cpus, memorySize: memoryKib, hashLength: area.keyBytes, outputType: 'binary' });
}

/** The hash over a block, piece by piece, each with its number before it. */
function diffuse(block: Uint8Array, hash: string): void {
  const pieceBytes = createHash(hash).digest().length;
  const number = Buffer.alloc(4);
  for (let at = 0; at < block.length; at += pieceBytes) {
    number.writeUInt32BE(at / pieceBytes);
    const piece = block.subarray(at, at + pieceBytes);
    piece.set(createHash(hash).update(number).update(piece).digest().subarray(0, piece.length));
  }
}

/** Merges what the anti-forensic splitter made of a key. */
function mergeStripes(stripes: Uint8Array, { keyBytes, stripes: count, stripeHash }: LuksSlot): Uint8Array {
  const key = new Uint8Array(keyBytes);
  for (let i = 0; i < count; i += 1) {
    if (i > 0) diffuse(key, stripeHash);
    for (let b = 0; b < keyBytes; b += 1) key[b] = (key[b] as number) ^ (stripes[i * keyBytes + b] as number);
  }
  return key;
}

async function isVolumeKey(key: Uint8Array, digest: LuksDigest, limits: Limits): Promise<boolean> {
  if (digest.digest.length === 0) throw new FormatError('Open encrypted volume', { structure: 'LUKS digest', field: 'digest', found: 0, expected: 'at least 1 byte' });
  return equalBytes(await pbkdf2Key(key, digest, digest.digest.length, limits), digest.digest);
}

/** The volume key that a slot holds, when the secret opens it. */
async function trySlot(disk: BlockSource, slot: LuksSlot, secret: Uint8Array, context: { readonly digest: LuksDigest; readonly limits: Limits }): Promise<Uint8Array | undefined> {
  const { keyBytes, stripes, area, stripeHash } = slot;
  const { limits, digest } = context;
  checkHash(stripeHash);
  if (stripes < 1 || keyBytes < 1 || area.keyBytes < 1 || area.keyBytes > 512 || keyBytes > 512) throw new FormatError('Open encrypted volume', { structure: 'LUKS key slot', field: 'stripes', found: stripes, expected: 'at least 1, of keys from 1 to 512 bytes' });
  const length = Math.ceil(keyBytes * stripes / SECTOR) * SECTOR;
  checkLimit(limits, 'volumeTableBytesMax', length, 'LUKS key slot.stripes');
  const material = await readStructure(disk, area.offset, length, 'LUKS key material');
  sectorCipher(area.encryption, await slotKey(secret, slot, limits), SECTOR).decrypt(0, material);
  const key = mergeStripes(material, slot);
  return await isVolumeKey(key, digest, limits) ? key : undefined;
}

/** What each key may mean: as it is, and without the newline that an editor put behind it. Other formats' keys are left out. */
function secretsOf(keys: readonly Uint8Array[]): readonly Uint8Array[] {
  const secrets: Uint8Array[] = [];
  const add = (secret: Uint8Array): void => {
    if (secret.length > 0 && secret.length <= KEY_FILE_BYTES_MAX && !secrets.some((one) => equalBytes(one, secret))) secrets.push(secret);
  };
  for (const key of keys) {
    if (Buffer.from(key.subarray(0, 11)).toString('latin1') === '-----BEGIN ') continue;
    add(key);
    if (key.at(-1) === 0x0a) add(key.subarray(0, key.at(-2) === 0x0d ? -2 : -1));
  }
  return secrets;
}

/**
 * Finds the volume key.
 * @throws {NotFoundError} no key fits, naming the slots that were tried. @throws {LimitError} a slot that might fit costs more than allowed.
 */
export async function unlock(disk: BlockSource, header: LuksHeader, keys: readonly Uint8Array[], limits: Limits): Promise<Uint8Array> {
  const { slots, digest } = header;
  const secrets = secretsOf(keys);
  const names = slots.map(({ id }) => id).join(', ');
  let failure: HoldfastError | undefined;
  for (const secret of secrets) {
    // A key file may also hold the volume key itself.
    if (slots.some(({ keyBytes }) => keyBytes === secret.length) && await isVolumeKey(secret, digest, limits)) return secret;
    for (const slot of slots) {
      try {
        const key = await trySlot(disk, slot, secret, { digest, limits });
        if (key !== undefined) return key;
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        failure ??= error;
      }
    }
  }
  if (failure !== undefined) throw failure;
  const tried = secrets.length === 0 ? 'no key was given' : `none of '${secrets.length}' keys fits`;
  throw new NotFoundError(`Open encrypted volume: ${tried}; key slots in use: ${names === '' ? 'none' : `number ${names}`}`, { slots: names, uuid: header.uuid });
}
