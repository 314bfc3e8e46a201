/** Entry sets and checksums of exFAT, for tests that change volumes. */
import { bootChecksum, nameHash, setBytes, setChecksum } from '../checksum.ts';
import { ENTRY, ENTRY_BYTES, fileLayout, NAME_UNITS, streamLayout } from '../exfat.layout.ts';

/** Upper case as far as tests need it. */
const asciiUpcase: Uint16Array = Uint16Array.from({ length: 0x1_0000 }, (_, i) => (i >= 0x61 && i <= 0x7a ? i - 0x20 : i));

/** What a set says; the rest is zero. */
export interface SetFields {
  readonly units: readonly number[];
  readonly attributes?: number;
  readonly flags?: number;
  readonly cluster?: number;
  readonly size?: number;
  readonly validBytes?: number;
  /** Types of further entries behind the names. */
  readonly more?: readonly number[];
}

/** Puts the checksum of a set in its place. */
export function sealSet(set: Uint8Array): Uint8Array {
  new DataView(set.buffer, set.byteOffset).setUint16(fileLayout.offsets.SetChecksum, setChecksum(set), true);
  return set;
}

/** A set with its checksum and hash. */
export function makeSet({ units, attributes = 0x20, flags = 1, cluster = 0, size = 0, validBytes = size, more = [] }: SetFields): Uint8Array {
  const names = Math.ceil(units.length / NAME_UNITS);
  const set = new Uint8Array(setBytes(1 + names + more.length));
  const view = new DataView(set.buffer);
  set[0] = ENTRY.file;
  set[1] = 1 + names + more.length;
  view.setUint16(fileLayout.offsets.FileAttributes, attributes, true);
  set.set(streamLayout.encode({
    EntryType: ENTRY.stream, GeneralSecondaryFlags: flags, Reserved1: 0, NameLength: units.length, NameHash: nameHash(Uint16Array.from(units), units.length, asciiUpcase), Reserved2: 0, ValidDataLength: validBytes,
    Reserved3: 0, FirstCluster: cluster, DataLength: size,
  }), ENTRY_BYTES);
  for (let i = 0; i < names; i += 1) set[(2 + i) * ENTRY_BYTES] = ENTRY.name;
  units.forEach((unit, i) => { view.setUint16((2 + Math.floor(i / NAME_UNITS)) * ENTRY_BYTES + 2 + i % NAME_UNITS * 2, unit, true); });
  more.forEach((type, i) => { set[(2 + names + i) * ENTRY_BYTES] = type; });
  return sealSet(set);
}

/** UTF-16 units of a text. */
export function unitsOf(text: string): readonly number[] {
  return Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
}

/** Puts the checksum of a boot region in its place; `base` is 0 or that of the copy. */
export function sealBoot(volume: Uint8Array, base: number, sectorBytes: number): void {
  const view = new DataView(volume.buffer, volume.byteOffset);
  const sum = bootChecksum(volume.subarray(base, base + 11 * sectorBytes));
  for (let i = 0; i < sectorBytes; i += 4) view.setUint32(base + 11 * sectorBytes + i, sum, true);
}

