/**
 * GUID partition tables; all integers are little-endian. Source: UEFI specification 2.10, section 5.3, tables 5.5 and 5.6.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Value of `Signature`. */
export const GPT_SIGNATURE = 'EFI PART';

/** The header; the rest of its sector is reserved. */
export const headerLayout: Layout<{
  readonly Signature: 'bytes:8'; readonly Revision: 'u32'; readonly HeaderSize: 'u32'; readonly HeaderCRC32: 'u32'; readonly Reserved: 'u32';
  readonly MyLBA: 'u64'; readonly AlternateLBA: 'u64'; readonly FirstUsableLBA: 'u64'; readonly LastUsableLBA: 'u64'; readonly DiskGUID: 'bytes:16';
  readonly PartitionEntryLBA: 'u64'; readonly NumberOfPartitionEntries: 'u32'; readonly SizeOfPartitionEntry: 'u32'; readonly PartitionEntryArrayCRC32: 'u32';
}> = layout('GPT header', 'le', {
  Signature: 'bytes:8', Revision: 'u32', HeaderSize: 'u32', HeaderCRC32: 'u32', Reserved: 'u32', MyLBA: 'u64', AlternateLBA: 'u64', FirstUsableLBA: 'u64',
  LastUsableLBA: 'u64', DiskGUID: 'bytes:16', PartitionEntryLBA: 'u64', NumberOfPartitionEntries: 'u32', SizeOfPartitionEntry: 'u32', PartitionEntryArrayCRC32: 'u32',
});

/** One entry. */
export const entryLayout: Layout<{
  readonly PartitionTypeGUID: 'bytes:16'; readonly UniquePartitionGUID: 'bytes:16'; readonly StartingLBA: 'u64'; readonly EndingLBA: 'u64';
  readonly Attributes: 'bytes:8'; readonly PartitionName: 'bytes:72';
}> = layout('GPT entry', 'le', { PartitionTypeGUID: 'bytes:16', UniquePartitionGUID: 'bytes:16', StartingLBA: 'u64', EndingLBA: 'u64', Attributes: 'bytes:8', PartitionName: 'bytes:72' });

/** Type GUIDs of the two partitions of a dynamic disk. */
export const LDM_TYPE = { metadata: '5808c8aa-7e8f-42e0-85d2-e1e90434cfb3', data: 'af9b60a0-1431-4f62-bc68-3311714a69ad' } as const;

/** Names of common types. Sources: UEFI specification, table 5.7; UAPI group, Discoverable Partitions Specification; Microsoft, PARTITION_INFORMATION_GPT. */
export const typeNames: Readonly<Record<string, string>> = {
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 'EFI System', '21686148-6449-6e6f-744e-656564454649': 'BIOS boot',
  'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7': 'Microsoft basic data', 'e3c9e316-0b5c-4db8-817d-f92df00215ae': 'Microsoft reserved',
  'de94bba4-06d1-4d40-a16a-bfd50179d6ac': 'Windows recovery', 'e75caf8f-f680-4cee-afa3-b001e56efc2d': 'Microsoft Storage Spaces',
  [LDM_TYPE.metadata]: 'Microsoft LDM metadata', [LDM_TYPE.data]: 'Microsoft LDM data',
  '0fc63daf-8483-4772-8e79-3d69d8477de4': 'Linux filesystem', '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 'Linux swap',
  'e6d6d379-f507-44c2-a23c-238f2a3df928': 'Linux LVM', 'a19d880f-05fc-4d3b-a006-743f0f84911e': 'Linux RAID', 'ca7d7ccb-63ed-4c53-861c-1742536059cc': 'Linux LUKS',
  '4f68bce3-e8cd-4db1-96e7-fbcaf984b709': 'Linux root (x86-64)', 'b921b045-1df0-41c3-af44-4c6f280d3fae': 'Linux root (ARM64)',
  '933ac7e1-2eb4-4f13-b844-0e14e2aef915': 'Linux home', 'bc13c2ff-59e6-4262-a352-b275fd6f7172': 'Linux extended boot', '3b8f8425-20e0-4f3b-907f-1a25a76f98e8': 'Linux server data',
  '6a898cc3-1dd2-11b2-99a6-080020736631': 'Solaris /usr or Apple ZFS', '516e7cba-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD ZFS', '516e7cb6-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD UFS',
  '83bd6b9d-7f41-11dc-be0b-001560b84f0f': 'FreeBSD boot', '48465300-0000-11aa-aa11-00306543ecac': 'Apple HFS+', '7c3457ef-0000-11aa-aa11-00306543ecac': 'Apple APFS',
  'aa31e02a-400f-11db-9590-000c2911d1b8': 'VMware VMFS', '9d275380-40ad-11db-bf97-000c2911d1b8': 'VMware diagnostic',
};
