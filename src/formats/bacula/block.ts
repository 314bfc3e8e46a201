/**
 * Blocks of a volume: recognising a head, checking and decrypting a whole block.
 * Limits: BB01 (before Bacula 1.27) is recognised; a volume that begins with it is refused by the scan.
 */
import type { IHasher } from 'hash-wasm';
import { equalBytes, type Limits } from '../../core/index.ts';
import { crc32 } from '../crc32.ts';
import { BB03_OPTIONS, bb02Layout, bb03Layout } from './block.layout.ts';
import { decryptBlock, type VolumeKey } from './volume-key.ts';

/** Bytes of the shortest head; a volume cannot hold a block in less. */
export const HEAD_BYTES_MIN: number = bb02Layout.size;
/** Bytes of the longest head. */
export const HEAD_BYTES_MAX: number = bb03Layout.size;

/** A head that can be believed as far as its form goes; only the checksum makes it certain. */
export interface BlockHead {
  readonly version: 'BB02' | 'BB03';
  readonly headBytes: number;
  /** Bytes of the block, head included. */
  readonly size: number;
  /** Counts the blocks of one session, over all its volumes, from 0 (1 for the session that wrote the volume's label). */
  readonly number: number;
  readonly sessionId: number;
  readonly sessionTime: number;
  /** Blocks of this volume are encrypted; this one may not be. */
  readonly volumeEncrypted: boolean;
  readonly encrypted: boolean;
  readonly checksummed: boolean;
}

/** What is wrong with the bytes where a head should be. */
export type HeadFault = 'zeroed-block' | 'bad-block-id' | 'bad-block-length' | 'bad-block-options';

/** The four bytes that name the version, or undefined when they are none that Bacula writes. */
export function blockVersion(bytes: Uint8Array, offset: number): 'BB01' | 'BB02' | 'BB03' | undefined {
  if (bytes[offset + 12] !== 0x42 || bytes[offset + 13] !== 0x42 || bytes[offset + 14] !== 0x30) return undefined;
  switch (bytes[offset + 15]) {
    case 0x31: return 'BB01';
    case 0x32: return 'BB02';
    case 0x33: return 'BB03';
    default: return undefined;
  }
}

/** Reads the head at `offset`; at least {@link HEAD_BYTES_MIN} bytes must be there. */
export function readBlockHead(bytes: Uint8Array, offset: number, limits: Limits): BlockHead | HeadFault {
  const version = blockVersion(bytes, offset);
  if (version === undefined || version === 'BB01') return isZero(bytes, offset, HEAD_BYTES_MIN) ? 'zeroed-block' : 'bad-block-id';
  const headBytes = version === 'BB02' ? bb02Layout.size : bb03Layout.size;
  // Both versions agree on the first 24 bytes but for the meaning of the first four.
  const size = u32(bytes, offset + 4);
  if (size < headBytes || size > limits.baculaBlockBytesMax) return 'bad-block-length';
  const first = u32(bytes, offset);
  if (version === 'BB03' && (first & ~7) !== 0) return 'bad-block-options';
  return {
    version, headBytes, size,
    number: u32(bytes, offset + 8), sessionId: u32(bytes, offset + 16), sessionTime: u32(bytes, offset + 20),
    volumeEncrypted: version === 'BB03' && (first & BB03_OPTIONS.volumeEncrypted) !== 0,
    encrypted: version === 'BB03' && (first & BB03_OPTIONS.blockEncrypted) !== 0,
    checksummed: version === 'BB03' ? (first & BB03_OPTIONS.checksum) !== 0 : first !== 0,
  };
}

/** What makes a whole block unusable. */
export type BlockFault = 'bad-checksum' | 'missing-key';

/** What checking a block needs besides its bytes. */
export interface BlockTools {
  /** XXH3-64 hasher; used without yielding. */
  readonly hasher: IHasher;
  /** Key of the volume, where the caller has one. */
  readonly key?: VolumeKey | undefined;
}

/**
 * Checks the whole block (`block` holds exactly its bytes) and decrypts it in place when it is encrypted.
 * Afterwards the payload is `block.subarray(head.headBytes)`.
 * @returns undefined when the block may be believed; a block without a checksum always may.
 */
export function openBlock(head: BlockHead, block: Uint8Array, tools: BlockTools): BlockFault | undefined {
  if (head.version === 'BB02') {
    return !head.checksummed || crc32(block.subarray(4)) === u32(block, 0) ? undefined : 'bad-checksum';
  }
  if (head.encrypted) {
    if (tools.key === undefined) return 'missing-key';
    decryptBlock(tools.key, block, block.subarray(head.headBytes));
  }
  if (!head.checksummed) return undefined;
  const stored = new Uint8Array(block.subarray(24, 32));
  block.fill(0, 24, 32);
  const computed = tools.hasher.init().update(block).digest('binary');
  block.set(stored, 24);
  return equalBytes(stored, computed) ? undefined : 'bad-checksum';
}

function u32(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
}

/** Whether the range holds only zero bytes. */
export function isZero(bytes: Uint8Array, offset: number, length: number): boolean {
  const end = Math.min(offset + length, bytes.length);
  for (let i = offset; i < end; i += 1) if (bytes[i] !== 0) return false;
  return true;
}
