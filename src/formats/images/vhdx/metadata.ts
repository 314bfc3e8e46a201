/** What kind of disk a VHDX file holds. Source: [MS-VHDX], section 2.6. */
import { type BlockSource, checkLimit, equalBytes, FormatError, type Limits, readRange, UnsupportedError, utf8 } from '../../../core/index.ts';
import { guidText } from '../../mapping/guid.ts';
import type { ParentFacts } from '../image.ts';
import type { Region } from './header.ts';
import { fileParametersLayout, GUID, locatorEntryLayout, metadataEntryLayout, metadataTableLayout, parentLocatorLayout } from './vhdx.layout.ts';

/** The disk. */
export interface VhdxMetadata {
  readonly blockBytes: number;
  readonly size: number;
  readonly sectorSize: number;
  readonly fixed: boolean;
  /** For a differencing disk. */
  readonly parent: ParentFacts | undefined;
}

const TABLE_BYTES = 64 << 10;
const ENTRIES_MAX = 2047;
const MIB = 1 << 20;
/** Section 2.6.2.2. */
const DISK_BYTES_MAX = 64 * 2 ** 40;
const FLAG = { isUser: 1, isRequired: 4, leaveBlocksAllocated: 1, hasParent: 2 } as const;

function fault(structure: string, field: string, found: string | number, expected: string): FormatError {
  return new FormatError('Read VHDX metadata', { structure, field, found, expected });
}

async function readItems(file: BlockSource, region: Region, limits: Limits): Promise<ReadonlyMap<string, Uint8Array>> {
  if (region.length < TABLE_BYTES) throw fault(metadataTableLayout.name, 'Length', region.length, `at least ${TABLE_BYTES}`);
  const table = await readRange(file, region.offset, TABLE_BYTES);
  const head = metadataTableLayout.view(table, 0, region.offset);
  if (!equalBytes(head.Signature, utf8('metadata'))) throw fault(metadataTableLayout.name, 'Signature', Buffer.from(head.Signature).toString('latin1'), 'metadata');
  if (head.EntryCount > ENTRIES_MAX) throw fault(metadataTableLayout.name, 'EntryCount', head.EntryCount, `at most ${ENTRIES_MAX}`);
  const known = new Set<string>([GUID.fileParameters, GUID.virtualDiskSize, GUID.virtualDiskId, GUID.logicalSectorSize, GUID.physicalSectorSize, GUID.parentLocator]);
  const items = new Map<string, Uint8Array>();
  for (let i = 0; i < head.EntryCount; i += 1) {
    const entry = metadataEntryLayout.view(table, metadataTableLayout.size + i * metadataEntryLayout.size, region.offset);
    const id = guidText(entry.ItemId);
    if ((entry.Flags & FLAG.isUser) !== 0 || !known.has(id)) {
      if ((entry.Flags & FLAG.isRequired) !== 0) throw new UnsupportedError(`Open VHDX image: metadata item '${id}' is required and not known`);
      continue;
    }
    checkLimit(limits, 'imageTextBytesMax', entry.Length, `VHDX metadata item '${id}'`);
    if (entry.Offset < TABLE_BYTES || entry.Offset + entry.Length > region.length) throw fault(metadataEntryLayout.name, 'Offset', entry.Offset, `${TABLE_BYTES} to ${region.length - entry.Length}`);
    items.set(id, await readRange(file, region.offset + entry.Offset, entry.Length));
  }
  return items;
}

function item(items: ReadonlyMap<string, Uint8Array>, id: string, name: string, bytes: number): Uint8Array {
  const found = items.get(id);
  if (found === undefined || found.length < bytes) throw fault('VHDX metadata', name, found?.length ?? 'none', `${bytes} bytes`);
  return found;
}

function u32(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32LE(0);
}

function u64(bytes: Uint8Array): number {
  return Number(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readBigUInt64LE(0));
}

/** Section 2.6.2.6.3: keys and values in UTF-16. */
function readLocator(bytes: Uint8Array): ParentFacts {
  const head = parentLocatorLayout.view(bytes);
  const type = guidText(head.LocatorType);
  if (type !== GUID.vhdxLocatorType) throw new UnsupportedError(`Open VHDX image: its parent locator has type '${type}', expected '${GUID.vhdxLocatorType}'`);
  const text = (at: number, length: number): string => {
    if (at + length > bytes.length) throw fault(locatorEntryLayout.name, 'KeyOffset', at, `at most ${bytes.length - length}`);
    return Buffer.from(bytes.subarray(at, at + length)).toString('utf16le');
  };
  const values = new Map<string, string>();
  for (let i = 0; i < head.KeyValueCount; i += 1) {
    const entry = locatorEntryLayout.view(bytes, parentLocatorLayout.size + i * locatorEntryLayout.size);
    values.set(text(entry.KeyOffset, entry.KeyLength), text(entry.ValueOffset, entry.ValueLength));
  }
  const linkage = values.get('parent_linkage');
  if (linkage === undefined) throw fault(parentLocatorLayout.name, 'parent_linkage', 'none', 'the GUID of the parent');
  const names = ['relative_path', 'absolute_win32_path', 'volume_path'].flatMap((key) => values.get(key) ?? []);
  return { names, identity: linkage.replace(/^\{|\}$/g, '').toLowerCase() };
}

/** @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} */
export async function readVhdxMetadata(file: BlockSource, region: Region, limits: Limits): Promise<VhdxMetadata> {
  const items = await readItems(file, region, limits);
  const { BlockSize: blockBytes, Flags: flags } = fileParametersLayout.view(item(items, GUID.fileParameters, 'FileParameters', fileParametersLayout.size));
  if (blockBytes < MIB || blockBytes > 256 * MIB || Math.log2(blockBytes) % 1 !== 0) throw fault(fileParametersLayout.name, 'BlockSize', blockBytes, 'a power of two from 1 to 256 MiB');
  const sectorSize = u32(item(items, GUID.logicalSectorSize, 'LogicalSectorSize', 4));
  if (sectorSize !== 512 && sectorSize !== 4096) throw fault('VHDX metadata', 'LogicalSectorSize', sectorSize, '512 or 4096');
  const size = u64(item(items, GUID.virtualDiskSize, 'VirtualDiskSize', 8));
  if (size > DISK_BYTES_MAX || size % sectorSize !== 0) throw fault('VHDX metadata', 'VirtualDiskSize', size, `a multiple of ${sectorSize}, at most ${DISK_BYTES_MAX}`);
  return {
    blockBytes, size, sectorSize, fixed: (flags & FLAG.leaveBlocksAllocated) !== 0,
    parent: (flags & FLAG.hasParent) === 0 ? undefined : readLocator(item(items, GUID.parentLocator, 'ParentLocator', parentLocatorLayout.size)),
  };
}
