/**
 * Numbers of streams: what a record of a file holds. Source: Bacula's public stream numbering (`streams.h` names), Bacula
 * Developer's Guide; 38–41 are new in 15.0.
 */

/** Stream numbers by their Bacula names, without the `STREAM_` prefix. */
export const STREAM = {
  UNIX_ATTRIBUTES: 1, FILE_DATA: 2, MD5_DIGEST: 3, GZIP_DATA: 4, UNIX_ATTRIBUTES_EX: 5, SPARSE_DATA: 6, SPARSE_GZIP_DATA: 7,
  PROGRAM_NAMES: 8, PROGRAM_DATA: 9, SHA1_DIGEST: 10, WIN32_DATA: 11, WIN32_GZIP_DATA: 12, MACOS_FORK_DATA: 13, HFSPLUS_ATTRIBUTES: 14,
  UNIX_ACCESS_ACL: 15, UNIX_DEFAULT_ACL: 16, SHA256_DIGEST: 17, SHA512_DIGEST: 18, SIGNED_DIGEST: 19, ENCRYPTED_FILE_DATA: 20,
  ENCRYPTED_WIN32_DATA: 21, ENCRYPTED_SESSION_DATA: 22, ENCRYPTED_FILE_GZIP_DATA: 23, ENCRYPTED_WIN32_GZIP_DATA: 24,
  ENCRYPTED_MACOS_FORK_DATA: 25, PLUGIN_NAME: 26, PLUGIN_DATA: 27, RESTORE_OBJECT: 28, COMPRESSED_DATA: 29, SPARSE_COMPRESSED_DATA: 30,
  WIN32_COMPRESSED_DATA: 31, ENCRYPTED_FILE_COMPRESSED_DATA: 32, ENCRYPTED_WIN32_COMPRESSED_DATA: 33, PLUGIN_OBJECT: 34,
  PLUGIN_META_BLOB: 35, PLUGIN_META_CATALOG: 36, UNIX_ATTRIBUTES_UPDATE: 37, FILE_EVENT: 38, XXHASH64_DIGEST: 39, XXH3_64_DIGEST: 40,
  XXH3_128_DIGEST: 41, ADATA_BLOCK_HEADER: 200, ADATA_RECORD_HEADER: 201, ACL_LINUX_DEFAULT: 1007, ACL_LINUX_ACCESS: 1008, XATTR_LINUX: 1998,
} as const;

/** Bits of a stream number above its type; the type is `stream & STREAM_TYPE_MASK`. */
export const STREAM_TYPE_MASK = 0x7ff;
const BIT_OFFSETS = 1 << 26;
const BIT_DELTA = 1 << 27;
const BIT_DEDUP = 1 << 24;
/** Bits that change what the data means, in a way this reader does not handle. */
export const STREAM_BITS_UNSUPPORTED: number = BIT_OFFSETS | BIT_DELTA | BIT_DEDUP;

/** How the records of a content stream are packed. */
export interface DataStream {
  readonly packing: 'plain' | 'gzip' | 'compressed';
  /** Each chunk begins with its u64 offset in the file. */
  readonly sparse: boolean;
  /** Chunks are framed and encrypted with the file's session key. */
  readonly encrypted: boolean;
  /** Why the content can not be produced, if so. */
  readonly unsupported?: string;
}

const plain: DataStream = { packing: 'plain', sparse: false, encrypted: false };
const win32: DataStream = { ...plain, unsupported: 'Windows backup data (BackupRead format)' };
const macos: DataStream = { ...plain, unsupported: 'macOS resource fork' };

const dataStreams: ReadonlyMap<number, DataStream> = new Map<number, DataStream>([
  [STREAM.FILE_DATA, plain],
  [STREAM.PLUGIN_DATA, plain],
  [STREAM.GZIP_DATA, { ...plain, packing: 'gzip' }],
  [STREAM.SPARSE_DATA, { ...plain, sparse: true }],
  [STREAM.SPARSE_GZIP_DATA, { ...plain, packing: 'gzip', sparse: true }],
  [STREAM.COMPRESSED_DATA, { ...plain, packing: 'compressed' }],
  [STREAM.SPARSE_COMPRESSED_DATA, { ...plain, packing: 'compressed', sparse: true }],
  [STREAM.ENCRYPTED_FILE_DATA, { ...plain, encrypted: true }],
  [STREAM.ENCRYPTED_FILE_GZIP_DATA, { ...plain, packing: 'gzip', encrypted: true }],
  [STREAM.ENCRYPTED_FILE_COMPRESSED_DATA, { ...plain, packing: 'compressed', encrypted: true }],
  [STREAM.WIN32_DATA, win32], [STREAM.WIN32_GZIP_DATA, win32], [STREAM.WIN32_COMPRESSED_DATA, win32],
  [STREAM.ENCRYPTED_WIN32_DATA, win32], [STREAM.ENCRYPTED_WIN32_GZIP_DATA, win32], [STREAM.ENCRYPTED_WIN32_COMPRESSED_DATA, win32],
  [STREAM.MACOS_FORK_DATA, macos], [STREAM.ENCRYPTED_MACOS_FORK_DATA, macos],
]);

/** How a content stream is packed; undefined for every other stream. */
export function dataStream(type: number): DataStream | undefined {
  return dataStreams.get(type);
}

/** Digest algorithms by stream number. */
export type DigestKind = 'md5' | 'sha1' | 'sha256' | 'sha512' | 'xxh64' | 'xxh3-64' | 'xxh3-128';

const digests: ReadonlyMap<number, DigestKind> = new Map<number, DigestKind>([
  [STREAM.MD5_DIGEST, 'md5'], [STREAM.SHA1_DIGEST, 'sha1'], [STREAM.SHA256_DIGEST, 'sha256'], [STREAM.SHA512_DIGEST, 'sha512'],
  [STREAM.XXHASH64_DIGEST, 'xxh64'], [STREAM.XXH3_64_DIGEST, 'xxh3-64'], [STREAM.XXH3_128_DIGEST, 'xxh3-128'],
]);

/** The algorithm of a digest stream; undefined for every other stream. */
export function digestStream(type: number): DigestKind | undefined {
  return digests.get(type);
}

/** What the index does with a record of this stream. */
export type StreamRole = 'attributes' | 'attributes-update' | 'data' | 'digest' | 'crypto' | 'metadata' | 'object' | 'plugin' | 'not-applied' | 'unknown';

/** `metadata` is an ACL or extended attributes; `not-applied` is known to Bacula but has no place in a file tree here. */
export function streamRole(type: number): StreamRole {
  if (dataStreams.has(type)) return 'data';
  if (digests.has(type)) return 'digest';
  if (type >= 1000 && type <= 1022) return 'metadata';
  if (type >= 1987 && type <= 1999) return 'metadata';
  switch (type) {
    case STREAM.UNIX_ATTRIBUTES: case STREAM.UNIX_ATTRIBUTES_EX: return 'attributes';
    case STREAM.UNIX_ATTRIBUTES_UPDATE: return 'attributes-update';
    case STREAM.SIGNED_DIGEST: case STREAM.ENCRYPTED_SESSION_DATA: return 'crypto';
    case STREAM.UNIX_ACCESS_ACL: case STREAM.UNIX_DEFAULT_ACL: return 'metadata';
    case STREAM.RESTORE_OBJECT: return 'object';
    case STREAM.PLUGIN_NAME: return 'plugin';
    case STREAM.PROGRAM_NAMES: case STREAM.PROGRAM_DATA: case STREAM.HFSPLUS_ATTRIBUTES: case STREAM.PLUGIN_OBJECT: case STREAM.PLUGIN_META_BLOB:
    case STREAM.PLUGIN_META_CATALOG: case STREAM.FILE_EVENT: case STREAM.ADATA_BLOCK_HEADER: case STREAM.ADATA_RECORD_HEADER: return 'not-applied';
    default: return 'unknown';
  }
}

/** Metadata streams that become attributes of a file: POSIX ACLs and Linux extended attributes. */
export function isAppliedMetadata(type: number): boolean {
  return type === STREAM.ACL_LINUX_ACCESS || type === STREAM.ACL_LINUX_DEFAULT || type === STREAM.UNIX_ACCESS_ACL || type === STREAM.UNIX_DEFAULT_ACL
    || type === STREAM.XATTR_LINUX;
}
