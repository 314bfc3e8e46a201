/** The header of a qcow2 image and its extensions, checked. Source: QEMU documentation, `docs/interop/qcow2.txt`. */
import { type BlockSource, checkLimit, FormatError, type Limits, readRange, textOf, UnsupportedError } from '../../../core/index.ts';
import { AUTOCLEAR, CRYPT_METHOD, encryptionLayout, EXTENSION, extensionLayout, headerLayout, headerV3Layout, INCOMPATIBLE, QCOW2_MAGIC } from './qcow2.layout.ts';

/** What the header says, after checks: tables lie inside the file. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly size: number;
  readonly clusterBits: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly refcountTable: { readonly offset: number; readonly bytes: number };
  readonly snapshots: { readonly offset: number; readonly count: number };
  readonly backingName: string | undefined;
  readonly backingFormat: string | undefined;
  readonly dataFileName: string | undefined;
  readonly externalData: boolean;
  readonly rawExternalData: boolean;
  readonly extendedL2: boolean;
  readonly compression: 'zlib' | 'zstd';
  readonly dirty: boolean;
  readonly corrupt: boolean;
  /** Where the LUKS header is that the data clusters are encrypted under; bytes. */
  readonly luks: { readonly offset: number; readonly length: number } | undefined;
}

const STRUCTURE = headerLayout.name;
/** Head, version 3's part and the byte that names the compression. */
const HEAD_BYTES_MAX = headerLayout.size + headerV3Layout.size + 8;
/** The specification's own bound. */
const BACKING_NAME_BYTES_MAX = 1023;

function fault(field: string, found: string | number, expected: string, offset?: number): FormatError {
  return new FormatError('Read qcow2 header', { structure: STRUCTURE, field, found, expected, ...(offset === undefined ? {} : { offset }) });
}

/** Whether the file begins as a qcow2 image does. */
export async function hasQcow2Magic(source: BlockSource): Promise<boolean> {
  if (source.size < headerLayout.size) return false;
  return Buffer.from(await readRange(source, 0, 4)).readUInt32BE(0) === QCOW2_MAGIC;
}

interface Features {
  readonly incompatible: number;
  readonly autoclear: number;
  readonly headerBytes: number;
  readonly compression: 'zlib' | 'zstd';
}

function readFeatures(head: Uint8Array): Features {
  const v3 = headerV3Layout.view(head, headerLayout.size, headerLayout.size);
  const known = Object.values(INCOMPATIBLE).reduce((sum: number, bit) => sum | bit, 0);
  const incompatible = v3.incompatible_features;
  if (v3.incompatible_high !== 0 || (incompatible & ~known) !== 0) {
    throw new UnsupportedError(`Open qcow2 image: incompatible features '0x${v3.incompatible_high.toString(16)}:${incompatible.toString(16)}' are not known`);
  }
  if (v3.refcount_order > 6) throw fault('refcount_order', v3.refcount_order, 'at most 6', 96);
  const headerBytes = v3.header_length;
  if (headerBytes < 104 || headerBytes % 8 !== 0) throw fault('header_length', headerBytes, 'at least 104, a multiple of 8', 100);
  const type = headerBytes > 104 ? head[104] ?? 0 : 0;
  if ((type !== 0) !== ((incompatible & INCOMPATIBLE.compressionType) !== 0)) throw fault('compression_type', type, '0 exactly when its feature bit is clear', 104);
  if (type > 1) throw new UnsupportedError(`Open qcow2 image: compression type '${type}' is not known`);
  return { incompatible, autoclear: v3.autoclear_features, headerBytes, compression: type === 1 ? 'zstd' : 'zlib' };
}

/** Extensions by type; they lie in the first cluster, before the backing file's name. */
async function readExtensions(source: BlockSource, start: number, end: number): Promise<ReadonlyMap<number, Uint8Array>> {
  const found = new Map<number, Uint8Array>();
  if (start + extensionLayout.size > end) return found;
  const bytes = await readRange(source, start, end - start);
  for (let at = 0; at + extensionLayout.size <= bytes.length;) {
    const { type, length } = extensionLayout.view(bytes, at, start + at);
    if (type === EXTENSION.end) break;
    const data = at + extensionLayout.size;
    if (data + length > bytes.length) {
      throw new FormatError('Read qcow2 header extension', { structure: extensionLayout.name, field: 'length', offset: start + at + 4, found: length, expected: `at most ${bytes.length - data}` });
    }
    found.set(type, bytes.subarray(data, data + length));
    at = data + Math.ceil(length / 8) * 8;
  }
  return found;
}

function checkTable(name: string, offset: number, bytes: number, source: BlockSource): void {
  if (offset % 8 !== 0 || offset + bytes > source.size) throw fault(name, offset, `aligned, and ${bytes} bytes before the end '${source.size}' of the file`);
}

/** @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} */
export async function readQcow2Header(source: BlockSource, limits: Limits): Promise<Qcow2Header> {
  const head = await readRange(source, 0, Math.min(source.size, HEAD_BYTES_MAX));
  const view = headerLayout.view(head);
  if (view.magic !== QCOW2_MAGIC) throw fault('magic', view.magic, String(QCOW2_MAGIC), 0);
  const { version, cluster_bits: clusterBits, size } = view;
  if (version !== 2 && version !== 3) throw new UnsupportedError(`Open qcow2 image: version '${version}', expected 2 or 3`);
  if (clusterBits < 9 || clusterBits > 21) throw fault('cluster_bits', clusterBits, '9 to 21', 20);
  if (view.crypt_method !== CRYPT_METHOD.none && view.crypt_method !== CRYPT_METHOD.luks) throw new UnsupportedError(`Open qcow2 image: it is encrypted (method '${view.crypt_method}')`);
  const features: Features = version === 3 ? readFeatures(head) : { incompatible: 0, autoclear: 0, headerBytes: headerLayout.size, compression: 'zlib' };
  const has = (bit: number): boolean => (features.incompatible & bit) !== 0;
  const extendedL2 = has(INCOMPATIBLE.extendedL2);
  if (extendedL2 && clusterBits < 14) throw fault('cluster_bits', clusterBits, 'at least 14 with extended L2 entries', 20);
  const clusterBytes = 2 ** clusterBits;

  const { l1_table_offset: l1Offset, l1_size: l1Entries } = view;
  const coverage = clusterBytes * (clusterBytes / (extendedL2 ? 16 : 8));
  if (l1Entries < Math.ceil(size / coverage)) throw fault('l1_size', l1Entries, `at least ${Math.ceil(size / coverage)}`, 36);
  checkLimit(limits, 'imageDirectoryBytesMax', l1Entries * 8, 'qcow2 header.l1_size');
  if (l1Entries > 0) checkTable('l1_table_offset', l1Offset, l1Entries * 8, source);
  checkLimit(limits, 'imageSnapshotsMax', view.nb_snapshots, 'qcow2 header.nb_snapshots');

  const nameOffset = view.backing_file_offset;
  const nameBytes = nameOffset === 0 ? 0 : view.backing_file_size;
  if (nameBytes > BACKING_NAME_BYTES_MAX) throw fault('backing_file_size', nameBytes, `at most ${BACKING_NAME_BYTES_MAX}`, 16);
  if (nameBytes > 0) checkTableless(nameOffset, nameBytes, source, features.headerBytes);
  const extensionsEnd = Math.min(source.size, clusterBytes, nameBytes > 0 ? nameOffset : clusterBytes);
  const extensions = await readExtensions(source, features.headerBytes, extensionsEnd);
  const text = (type: number): string | undefined => {
    const bytes = extensions.get(type);
    return bytes === undefined ? undefined : textOf(bytes);
  };
  return {
    version, size, clusterBits, l1Offset, l1Entries, extendedL2,
    refcountTable: { offset: view.refcount_table_offset, bytes: view.refcount_table_clusters * clusterBytes },
    snapshots: { offset: view.snapshots_offset, count: view.nb_snapshots },
    backingName: nameBytes > 0 ? textOf(await readRange(source, nameOffset, nameBytes)) : undefined,
    backingFormat: text(EXTENSION.backingFormat), dataFileName: text(EXTENSION.externalDataFile),
    externalData: has(INCOMPATIBLE.externalDataFile), rawExternalData: (features.autoclear & AUTOCLEAR.rawExternalData) !== 0,
    compression: features.compression, dirty: has(INCOMPATIBLE.dirty), corrupt: has(INCOMPATIBLE.corrupt),
    luks: view.crypt_method === CRYPT_METHOD.luks ? luksPlace(extensions.get(EXTENSION.fullDiskEncryption), source) : undefined,
  };
}

function luksPlace(extension: Uint8Array | undefined, source: BlockSource): { readonly offset: number; readonly length: number } {
  if (extension === undefined) throw new FormatError('Open qcow2 image', { structure: extensionLayout.name, field: 'full disk encryption', expected: 'the place of a LUKS header' });
  const { offset, length } = encryptionLayout.view(extension);
  if (offset + length > source.size) throw new FormatError('Open qcow2 image', { structure: encryptionLayout.name, field: 'offset', found: offset, expected: `${length} bytes before the end '${source.size}' of the file` });
  return { offset, length };
}

function checkTableless(offset: number, bytes: number, source: BlockSource, headerBytes: number): void {
  if (offset < headerBytes || offset + bytes > source.size) throw fault('backing_file_offset', offset, `behind the header and ${bytes} bytes before the end '${source.size}' of the file`, 8);
}
