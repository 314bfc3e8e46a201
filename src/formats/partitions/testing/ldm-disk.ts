/** Dynamic disks for tests, written from the same documentation as the reader: no tool on Linux makes them. `ldmtool` reads them (lab `partitions`). */
import { crc32 } from '../../crc32.ts';
import { LDM_TYPE, headerLayout, entryLayout } from '../gpt/gpt.layout.ts';
import { COMPONENT, privheadLayout, tocblockLayout, vblkLayout, vmdbLayout, VOLUME_KIND } from '../ldm/ldm.layout.ts';
import { guidBytes } from '../../mapping/guid.ts';

const SECTOR = 512;
/** Sectors of the database. */
const DATABASE = 2048;
/** Where the public area of a disk begins, in sectors. */
export const PUBLIC_START = 63;

/** What the group of all these disks is called. */
export const GROUP = { guid: '9f9f9f9f-0000-0000-0000-000000000001', name: 'LabDg0' } as const;

/** A partition of a component: which disk, where, and its place in the volume or column. */
export interface PartitionPlan {
  readonly disk: number;
  readonly start: number;
  readonly size: number;
  readonly volumeOffset: number;
  readonly column?: number;
}

/** A component; `stripe` in sectors. */
export interface ComponentPlan {
  readonly type: number;
  readonly stripe?: number;
  readonly columns?: number;
  readonly partitions: readonly PartitionPlan[];
}

/** A volume; `size` in sectors. */
export interface VolumePlan {
  readonly name: string;
  readonly size: number;
  readonly components: readonly ComponentPlan[];
}

/** The identity of a disk. */
export function diskGuid(index: number): string {
  return `0000000${index}-1111-2222-3333-444444444444`;
}

function number(value: number): readonly number[] {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [bytes.length, ...bytes];
}

function text(value: string): readonly number[] {
  return [value.length, ...Buffer.from(value)];
}

function wide(value: number): readonly number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return [...bytes];
}

function zeroes(count: number): readonly number[] {
  return Array.from({ length: count }, () => 0);
}

function record(type: number, flags: number, fields: readonly number[]): Uint8Array {
  return Uint8Array.from([0, 0, flags, type, 0, 0, 0, fields.length, ...fields]);
}

/** The records of a group, as they are on each disk. */
function records(disks: number, volumes: readonly VolumePlan[], disk3: boolean): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  let id = 100;
  for (let i = 0; i < disks; i += 1) {
    const identity = disk3 ? text(diskGuid(i)) : [...Buffer.from(diskGuid(i).replaceAll('-', ''), 'hex')];
    found.push(record(disk3 ? 0x34 : 0x44, 0, [...number(i + 1), ...text(`Disk${i}`), ...identity, ...zeroes(8)]));
  }
  // What the group is called, which ldmtool puts into the names of its devices.
  const groupGuid = disk3 ? text(GROUP.guid) : [...Buffer.from(GROUP.guid.replaceAll('-', ''), 'hex')];
  found.push(record(disk3 ? 0x35 : 0x45, 0, [...number(99), ...text(GROUP.name), ...groupGuid, ...zeroes(8)]));
  for (const volume of volumes) {
    const volumeId = (id += 1);
    const isParity = volume.components.some(({ type }) => type === COMPONENT.raid5);
    found.push(record(0x51, 0x02, [
      ...number(volumeId), ...text(volume.name), ...text(isParity ? 'raid5' : 'gen'), ...text(''), ...Buffer.from('ACTIVE\0\0\0\0\0\0\0\0'), isParity ? VOLUME_KIND.raid5 : VOLUME_KIND.plain, ...zeroes(6), ...number(volume.components.length), ...zeroes(16),
      ...number(volume.size), ...zeroes(4), 7, ...Buffer.from('aabbccdd00112233445566778899aa', 'hex'), volumeId, ...text('D:'),
    ]));
    for (const component of volume.components) {
      const componentId = (id += 1);
      const striped = component.stripe !== undefined;
      found.push(record(0x32, striped ? 0x10 : 0, [
        ...number(componentId), ...text(`${volume.name}-0${componentId}`), ...text('ACTIVE'), component.type, ...zeroes(4), ...number(component.partitions.length), ...zeroes(16),
        ...number(volumeId), 0, ...(striped ? [...number(component.stripe ?? 0), ...number(component.columns ?? 1)] : []),
      ]));
      for (const { disk, start, size, volumeOffset, column } of component.partitions) {
        found.push(record(0x33, column === undefined ? 0 : 0x08, [
          ...number((id += 1)), ...text(`Disk${disk}-a-rather-long-name-so-that-the-record-needs-two-slots-of-the-table-${id}`), ...zeroes(12), ...wide(start), ...wide(volumeOffset), ...number(size),
          ...number(componentId), ...number(disk + 1), ...(column === undefined ? [] : number(column)),
        ]));
      }
    }
  }
  return found;
}

/** The database: contents, head, records in slots of 128 bytes, long ones in several, their parts in reverse. */
function database(all: readonly Uint8Array[], sequence: number): Uint8Array {
  const bytes = new Uint8Array(DATABASE * SECTOR);
  for (const sector of [2, 2046]) bytes.set(tocblockLayout.encode({ magic: Buffer.from('TOCBLOCK'), head: new Uint8Array(28), bitmap1_name: Buffer.from('config\0\0\0\0'), bitmap1_start: 17, bitmap1_size: 1481 }), sector * SECTOR);
  const slots: Uint8Array[] = [];
  all.forEach((one, group) => {
    const parts = Math.ceil(one.length / (128 - vblkLayout.size));
    for (let part = parts - 1; part >= 0; part -= 1) {
      const slot = new Uint8Array(128);
      slot.set(vblkLayout.encode({ magic: Buffer.from('VBLK'), sequence: slots.length + 4, group: group + 1, record: part, records: parts }));
      slot.set(one.subarray(part * 112, part * 112 + 112), vblkLayout.size);
      slots.push(slot);
    }
  });
  while (slots.length % 4 !== 0) {
    const empty = new Uint8Array(128);
    empty.set(Buffer.from('VBLK'));
    slots.push(empty);
  }
  const countOf = (kind: number): number => all.filter((one) => ((one[3] as number) & 15) === kind).length;
  bytes.set(vmdbLayout.encode({
    magic: Buffer.from('VMDB'), last_vblk_seq: slots.length + 4, vblk_size: 128, vblk_offset: 512, update_status: 1, ver_major: 4, ver_minor: 10, group_name: zeroed(GROUP.name, 31), group_guid: zeroed(GROUP.guid, 64),
    committed_seq: sequence, pending_seq: sequence, volumes: countOf(1), components: countOf(2), partitions: countOf(3), disks: countOf(4),
  }), 17 * SECTOR);
  slots.forEach((slot, i) => bytes.set(slot, 18 * SECTOR + i * 128));
  return bytes;
}

function zeroed(value: string, length: number): Uint8Array {
  return Buffer.from(value.padEnd(length, '\0'));
}

function privhead(index: number, sectors: number, configStart: number, publicStart: number): Uint8Array {
  return privheadLayout.encode({
    magic: Buffer.from('PRIVHEAD'), checksum: 0, ver_major: 2, ver_minor: 12, timestamp: new Uint8Array(8), sequence: new Uint8Array(8), locations: new Uint8Array(16), disk_id: zeroed(diskGuid(index), 64),
    host_id: zeroed('h', 64), disk_group_id: zeroed(GROUP.guid, 64), disk_group_name: zeroed(GROUP.name, 32), unknown: new Uint8Array(11), logical_disk_start: publicStart,
    logical_disk_size: sectors, config_start: configStart, config_size: DATABASE,
  });
}

function mbrEntry(bytes: Uint8Array, type: number, start: number, sectors: number): void {
  const view = new DataView(bytes.buffer);
  view.setUint8(446 + 4, type);
  view.setUint32(446 + 8, start, true);
  view.setUint32(446 + 12, sectors, true);
  view.setUint16(510, 0xaa55, true);
}

/** GPT with the two partitions of a dynamic disk. Sectors 34… hold the database, then the public area. */
function writeGpt(bytes: Uint8Array, sectors: number, publicStart: number): void {
  mbrEntry(bytes, 0xee, 1, sectors - 1);
  const entries = new Uint8Array(128 * 128);
  const entry = (type: string, first: number, last: number): Uint8Array => entryLayout.encode({
    PartitionTypeGUID: guidBytes(type), UniquePartitionGUID: guidBytes(diskGuid(9)), StartingLBA: first, EndingLBA: last, Attributes: new Uint8Array(8), PartitionName: new Uint8Array(72),
  });
  entries.set(entry(LDM_TYPE.metadata, 34, 34 + DATABASE), 0);
  entries.set(entry(LDM_TYPE.data, publicStart, sectors - 34), 128);
  const values = {
    Signature: Buffer.from('EFI PART'), Revision: 0x10000, HeaderSize: 92, HeaderCRC32: 0, Reserved: 0, MyLBA: 1, AlternateLBA: sectors - 1, FirstUsableLBA: 34, LastUsableLBA: sectors - 34,
    DiskGUID: guidBytes(diskGuid(8)), PartitionEntryLBA: 2, NumberOfPartitionEntries: 128, SizeOfPartitionEntry: 128, PartitionEntryArrayCRC32: crc32(entries),
  };
  bytes.set(headerLayout.encode({ ...values, HeaderCRC32: crc32(headerLayout.encode(values)) }), SECTOR);
  bytes.set(entries, 2 * SECTOR);
}

/** Where a disk's public area begins, in sectors. */
export function publicStart(gpt: boolean): number {
  return gpt ? 34 + DATABASE + 1 : PUBLIC_START;
}

/** Disks of a group with `sectors` sectors of public area each. `sequence` counts the changes of the group: a disk that was away has fewer. */
export function dynamicDisks(count: number, sectors: number, volumes: readonly VolumePlan[], options: { readonly gpt?: boolean; readonly disk3?: boolean; readonly sequence?: number } = {}): readonly Uint8Array[] {
  const { gpt = false, disk3 = false, sequence = 1 } = options;
  const start = publicStart(gpt);
  const total = start + sectors + (gpt ? 34 : DATABASE);
  const content = database(records(count, volumes, disk3), sequence);
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(total * SECTOR);
    const configStart = gpt ? 34 : total - DATABASE;
    bytes.set(content, configStart * SECTOR);
    const head = privhead(i, sectors, configStart, start);
    if (gpt) {
      writeGpt(bytes, total, start);
      bytes.set(head, (34 + DATABASE) * SECTOR);
    } else {
      mbrEntry(bytes, 0x42, PUBLIC_START, sectors);
      for (const sector of [6, configStart + 1856, configStart + 2047]) bytes.set(head, sector * SECTOR);
    }
    return bytes;
  });
}
