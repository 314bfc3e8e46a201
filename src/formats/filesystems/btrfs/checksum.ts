/** The four kinds of checksums, of metadata and data alike. Source: btrfs documentation, "Checksumming"; crc32c and xxhash64 are stored little-endian. */
import { createHash } from 'node:crypto';
import { createBLAKE2b, createXXHash64 } from 'hash-wasm';
import { crc32c, UnsupportedError } from '../../../core/index.ts';

/** A checksum of one kind. Calls don't overlap: each is done when it returns. */
export interface Checksum {
  readonly name: string;
  /** Bytes of one stored checksum. */
  readonly bytes: number;
  /** Whether the checksum stored at `at` of `stored` is that of `data`. */
  holds(data: Uint8Array, stored: Uint8Array, at: number): boolean;
  /** The checksum of `data` as it is stored. */
  of(data: Uint8Array): Uint8Array;
}

/** One made of a function that gives the stored bytes. */
function byBytes(name: string, bytes: number, of: (data: Uint8Array) => Uint8Array): Checksum {
  return {
    name, bytes, of,
    holds: (data, stored, at) => Buffer.compare(of(data), stored.subarray(at, at + bytes)) === 0,
  };
}

const crc32cSum: Checksum = {
  name: 'crc32c', bytes: 4,
  holds(data, stored, at) {
    const value = ((stored[at] as number) | (stored[at + 1] as number) << 8 | (stored[at + 2] as number) << 16 | (stored[at + 3] as number) << 24) >>> 0;
    return crc32c(data) === value;
  },
  of(data) {
    const stored = new Uint8Array(4);
    new DataView(stored.buffer).setUint32(0, crc32c(data), true);
    return stored;
  },
};

/** The checksum that `csum_type` of a superblock names. @throws {UnsupportedError} for a type that is not known. */
export async function checksumOf(type: number): Promise<Checksum> {
  switch (type) {
    case 0: return crc32cSum;
    case 1: {
      const hasher = await createXXHash64(0, 0);
      return byBytes('xxhash64', 8, (data) => hasher.init().update(data).digest('binary').reverse());
    }
    case 2: return byBytes('sha256', 32, (data) => createHash('sha256').update(data).digest());
    case 3: {
      const hasher = await createBLAKE2b(256);
      return byBytes('blake2b', 32, (data) => hasher.init().update(data).digest('binary'));
    }
    default: throw new UnsupportedError(`Open btrfs: its checksum type '${type}' is not known`, { csum_type: type });
  }
}
