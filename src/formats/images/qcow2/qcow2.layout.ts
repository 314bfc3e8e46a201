/**
 * Structures of qcow2 images; all integers are big-endian.
 * Source: QEMU documentation, `docs/interop/qcow2.txt`, sections "Header", "Header extensions", "Snapshots". 64-bit fields of flags are
 * split in two, the upper half first.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** `QFI` and 0xfb. */
export const QCOW2_MAGIC = 0x514649fb;

/** The head that versions 2 and 3 share. */
export const headerLayout: Layout<{
  readonly magic: 'u32'; readonly version: 'u32'; readonly backing_file_offset: 'u64'; readonly backing_file_size: 'u32';
  readonly cluster_bits: 'u32'; readonly size: 'u64'; readonly crypt_method: 'u32'; readonly l1_size: 'u32'; readonly l1_table_offset: 'u64';
  readonly refcount_table_offset: 'u64'; readonly refcount_table_clusters: 'u32'; readonly nb_snapshots: 'u32'; readonly snapshots_offset: 'u64';
}> = layout('qcow2 header', 'be', {
  magic: 'u32', version: 'u32', backing_file_offset: 'u64', backing_file_size: 'u32', cluster_bits: 'u32', size: 'u64', crypt_method: 'u32',
  l1_size: 'u32', l1_table_offset: 'u64', refcount_table_offset: 'u64', refcount_table_clusters: 'u32', nb_snapshots: 'u32', snapshots_offset: 'u64',
});

/** What version 3 adds at byte 72. */
export const headerV3Layout: Layout<{
  readonly incompatible_high: 'u32'; readonly incompatible_features: 'u32'; readonly compatible_high: 'u32'; readonly compatible_features: 'u32';
  readonly autoclear_high: 'u32'; readonly autoclear_features: 'u32'; readonly refcount_order: 'u32'; readonly header_length: 'u32';
}> = layout('qcow2 header', 'be', {
  incompatible_high: 'u32', incompatible_features: 'u32', compatible_high: 'u32', compatible_features: 'u32',
  autoclear_high: 'u32', autoclear_features: 'u32', refcount_order: 'u32', header_length: 'u32',
});

/** Bits of `incompatible_features`. */
export const INCOMPATIBLE = { dirty: 1, corrupt: 2, externalDataFile: 4, compressionType: 8, extendedL2: 16 } as const;

/** Bits of `autoclear_features`. */
export const AUTOCLEAR = { bitmaps: 1, rawExternalData: 2 } as const;

/** Head of an extension; its data follows, padded to 8 bytes. */
export const extensionLayout: Layout<{ readonly type: 'u32'; readonly length: 'u32' }> = layout('qcow2 header extension', 'be', { type: 'u32', length: 'u32' });

/** Extensions that matter to a reader. */
export const EXTENSION = { end: 0, backingFormat: 0xe2792aca, externalDataFile: 0x44415441, fullDiskEncryption: 0x0537be77 } as const;

/** Values of `crypt_method` that are read. */
export const CRYPT_METHOD = { none: 0, luks: 2 } as const;

/** Data of the extension for full disk encryption: where the LUKS header is. */
export const encryptionLayout: Layout<{ readonly offset: 'u64'; readonly length: 'u64' }> = layout('qcow2 full disk encryption', 'be', { offset: 'u64', length: 'u64' });

/** Head of a snapshot; extra data, id, name and padding to 8 bytes follow. */
export const snapshotLayout: Layout<{
  readonly l1_table_offset: 'u64'; readonly l1_size: 'u32'; readonly id_str_size: 'u16'; readonly name_size: 'u16'; readonly date_sec: 'u32';
  readonly date_nsec: 'u32'; readonly vm_clock_nsec: 'bytes:8'; readonly vm_state_size: 'u32'; readonly extra_data_size: 'u32';
}> = layout('qcow2 snapshot', 'be', {
  l1_table_offset: 'u64', l1_size: 'u32', id_str_size: 'u16', name_size: 'u16', date_sec: 'u32', date_nsec: 'u32', vm_clock_nsec: 'bytes:8',
  vm_state_size: 'u32', extra_data_size: 'u32',
});

/** Extra data of a snapshot, as far as it matters. */
export const snapshotExtraLayout: Layout<{ readonly vm_state_size: 'bytes:8'; readonly virtual_disk_size: 'u64' }> =
  layout('qcow2 snapshot extra data', 'be', { vm_state_size: 'bytes:8', virtual_disk_size: 'u64' });
