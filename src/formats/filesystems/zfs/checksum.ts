/**
 * Checksums of ZFS blocks, as the 32 bytes that stand in a block pointer.
 * Source: OpenZFS `module/zcommon/zfs_fletcher.c` (description of both sums), `module/zfs/{sha2_zfs,zio_checksum}.c`; FIPS 180-4.
 */
import { createHash } from 'node:crypto';
import { UnsupportedError } from '../../../core/index.ts';
import { fletcher2, fletcher4 } from './fletcher.ts';
import { skein512mac } from './skein.ts';

/** Bytes of a checksum in a block pointer. */
export const CHECKSUM_BYTES = 32;

/** `enum zio_checksum`; those that a block pointer can name. */
export const checksumNames: readonly string[] = [
  'inherit', 'on', 'off', 'label', 'gang_header', 'zilog', 'fletcher2', 'fletcher4', 'sha256', 'zilog2', 'noparity', 'sha512', 'skein', 'edonr', 'blake3',
];

/** Those that say nothing about the bytes. */
const unchecked: ReadonlySet<string> = new Set(['off', 'noparity']);

/** SHA-256 stands in four big-endian words of the digest, each stored in the order of the pool: little-endian. */
export function sha256Words(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest().swap64();
}

/** Whether blocks with this checksum are read without a check, because the pool's owner turned it off. */
export function isUnchecked(checksum: number): boolean {
  return unchecked.has(checksumNames[checksum] ?? '');
}

/** Words that are too weak to be cut: an encrypted block's checksum folds them to make room for its MAC. */
export function isFolded(checksum: number): boolean {
  const name = checksumNames[checksum];
  return name === 'fletcher2' || name === 'fletcher4' || name === 'edonr' || name === 'zilog2' || name === 'zilog';
}

/**
 * The checksum of a block. `salt`: the pool's, for those that are keyed with it.
 * @throws {UnsupportedError} naming a checksum that is not known here: no block is taken without its check.
 */
export function checksumOf(checksum: number, bytes: Uint8Array, salt: Uint8Array | undefined): Uint8Array {
  const name = checksumNames[checksum];
  switch (name) {
    case 'fletcher2': return fletcher2(bytes);
    case 'fletcher4': return fletcher4(bytes);
    case 'sha256': return sha256Words(bytes);
    case 'sha512': return createHash('sha512-256').update(bytes).digest();
    case 'skein':
      if (salt !== undefined) return skein512mac(salt, bytes);
  }
  throw new UnsupportedError(`Check ZFS block: checksum '${name ?? checksum}' is not supported${name === 'skein' ? ' in a pool without a salt' : ''}`, { checksum: name ?? checksum });
}
