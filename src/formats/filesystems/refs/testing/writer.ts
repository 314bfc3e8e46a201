/**
 * Writes small ReFS volumes, for tests: no tool outside of Windows does. What it writes is what the documentation says, so that a test with it
 * shows that reader and documentation agree, not that Windows agrees.
 */
import { crc32c, utf8 } from '../../../../core/index.ts';
import { bootChecksum, CHECKSUM, checksumOf } from '../checksum.ts';
import { ATTRIBUTE, bootLayout, checkpointLayout, ENTRY, extentsLayout, FILE, INDIRECT_ROOTS, informationLayout, inlineLayout, linkLayout, MARKER, nodeLayout, OBJECT, pageLayout, ROW, rowLayout, runLayout, superblockLayout } from '../refs.layout.ts';

/** How a volume is written. */
export interface VolumeShape {
  readonly minor: number;
  readonly clusterBytes: 4096 | 65_536;
  readonly checksum: 'crc64' | 'sha256';
  /** Bytes of a reference: 104 before 3.10, 48, or 72 with SHA-256. */
  readonly referenceBytes: 48 | 72 | 104;
  readonly indirectRoots: boolean;
}

/** Clusters of a file, and what is in them. */
export interface RunShape {
  readonly fileCluster: number;
  readonly bytes: Uint8Array;
}

/** One file or directory. */
export type NodeShape =
  | { readonly kind: 'directory'; readonly children: ReadonlyMap<string, NodeShape>; readonly reparse?: Uint8Array }
  | { readonly kind: 'inline'; readonly content: Uint8Array; readonly streams?: ReadonlyMap<string, Uint8Array>; readonly reparse?: Uint8Array; readonly extendedAttributes?: ReadonlyMap<string, Uint8Array>; readonly readOnly?: boolean }
  | { readonly kind: 'runs'; readonly size: number; readonly validBytes?: number; readonly sparse?: boolean; readonly runs: readonly RunShape[]; readonly apart?: boolean; readonly largeStream?: { readonly name: string; readonly content: Uint8Array } }
  /** Another name of a file that is kept apart in the root directory, by its place among those. */
  | { readonly kind: 'link'; readonly ordinal: number; readonly size: number };

interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const CONTAINERS = 24;
const CONTAINER_BYTES = 1 << 20;
const FIRST_CONTAINER = 2;
const NODE_AT = 0xd0;
/** Ticks of every time, and how it shows. */
export const TIME = { ticks: 132_223_104_001_234_567n, seconds: 1_577_836_800, nanoseconds: 123_456_700 } as const;

function bytesOf(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function u16(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

function u64(value: number | bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

/** UTF-16 of a name; lone surrogates stay. */
function unitsOf(text: string): Uint8Array {
  return u16(...Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)));
}

/** A node of these rows that fills `size` bytes. @throws {RangeError} when they do not fit. */
function nodeBytes(rows: readonly Row[], { size, level, flags }: { readonly size: number; readonly level: number; readonly flags: number }): Uint8Array {
  const node = new Uint8Array(size);
  const view = new DataView(node.buffer);
  const index = size - 4 * rows.length;
  let at: number = nodeLayout.size;
  rows.forEach(({ key, value }, i) => {
    const valueAt = Math.ceil((rowLayout.size + key.length) / 8) * 8;
    const length = Math.ceil((valueAt + value.length) / 8) * 8;
    if (at + length > index) throw new RangeError('the rows do not fit');
    node.set(rowLayout.encode({ Size: length, KeyOffset: rowLayout.size, KeyLength: key.length, Flags: 0, ValueOffset: valueAt, ValueLength: value.length, Reserved: 0 }), at);
    node.set(key, at + rowLayout.size);
    node.set(value, at + valueAt);
    view.setUint32(index + 4 * i, (0xffff_0000 | at) >>> 0, true);
    at += length;
  });
  node.set(nodeLayout.encode({ DataStart: nodeLayout.size, DataEnd: at, FreeBytes: index - at, Level: level, Flags: flags | (level > 0 ? 1 : 0), Reserved1: 0, IndexStart: index, Count: rows.length, Reserved2: new Uint8Array(8), IndexEnd: size, Reserved3: 0 }));
  return node;
}

function rowsBytes(rows: readonly Row[]): number {
  return rows.reduce((sum, { key, value }) => sum + 4 + Math.ceil((Math.ceil((rowLayout.size + key.length) / 8) * 8 + value.length) / 8) * 8, nodeLayout.size);
}

/** One volume that is being written. */
export class VolumeWriter {
  readonly #shape: VolumeShape;
  readonly #volume: Uint8Array;
  readonly #pageBytes: number;
  readonly #perContainer: number;
  #next: number;
  #object = 0x701;
  readonly #objects: Row[] = [];

  constructor(shape: VolumeShape) {
    this.#shape = shape;
    this.#pageBytes = Math.max(16 << 10, shape.clusterBytes);
    this.#perContainer = CONTAINER_BYTES / shape.clusterBytes;
    this.#volume = new Uint8Array(CONTAINERS * CONTAINER_BYTES);
    this.#next = 64;
  }

  /** Writes everything and gives the volume. `root` is a directory. */
  build(root: NodeShape & { readonly kind: 'directory' }): Uint8Array {
    this.#directory(OBJECT.root, root);
    this.#addObject(OBJECT.volumeInformation, [{ key: u64(0x510), value: bytesOf(unitsOf('Läbel'), u16(0)) }]);
    const objects = [...this.#objects].sort((a, b) => Buffer.compare(Buffer.from(a.key).reverse(), Buffer.from(b.key).reverse()));
    const [first, second] = [this.#tree(2, objects), this.#tree(4, objects)];
    const containers = Array.from({ length: CONTAINERS }, (_, i) => ({ key: bytesOf(u64(FIRST_CONTAINER + i), u64(0x1_0000_0000)), value: this.#containerRow(i) }));
    const [mapping, mappingCopy] = [this.#tree(0x0b, containers, true), this.#tree(0x0c, containers, true)];
    const roots = Array.from({ length: 13 }, () => first);
    roots[5] = second;
    roots[7] = mapping;
    roots[8] = mappingCopy;
    this.#checkpoint(40, roots, 7);
    this.#checkpoint(44, roots, 6);
    const clusters = this.#volume.length / this.#shape.clusterBytes;
    for (const cluster of [30, clusters - 2, clusters - 3]) this.#superblock(cluster);
    this.#boot();
    return this.#volume;
  }

  /** Containers are in the other order than on the volume, so that no virtual number is its own place. */
  #virtual(cluster: number): number {
    const id = FIRST_CONTAINER + CONTAINERS - 1 - Math.floor(cluster / this.#perContainer);
    return id * this.#perContainer * 2 + cluster % this.#perContainer;
  }

  #containerRow(i: number): Uint8Array {
    const row = new Uint8Array(this.#shape.clusterBytes === 65_536 || this.#shape.checksum === 'sha256' ? 224 : 160);
    const view = new DataView(row.buffer);
    view.setUint32(0, FIRST_CONTAINER + i, true);
    view.setUint32(0x18, this.#perContainer, true);
    view.setUint32(row.length - 16, (CONTAINERS - 1 - i) * this.#perContainer, true);
    return row;
  }

  #allocate(clusters: number): number {
    const at = this.#next;
    this.#next += clusters;
    return at;
  }

  #reference(clusters: readonly number[], page: Uint8Array): Uint8Array {
    const reference = new Uint8Array(this.#shape.referenceBytes);
    const view = new DataView(reference.buffer);
    clusters.forEach((cluster, i) => { view.setBigUint64(8 * i, BigInt(cluster), true); });
    const kind = CHECKSUM[this.#shape.checksum];
    const sum = checksumOf(kind, page) as Uint8Array;
    reference.set([0, 0, kind, 8, sum.length], 32);
    reference.set(sum, 40);
    return reference;
  }

  #page(table: number, node: Uint8Array, physical: boolean): Uint8Array {
    const { clusterBytes } = this.#shape;
    const page = new Uint8Array(this.#pageBytes);
    const count = this.#pageBytes / clusterBytes;
    const first = this.#allocate(count);
    page.set(pageLayout.encode({ Signature: utf8('MSB+'), Version: 2, Reserved: 0, VolumeSignature: 0, AllocatorClock: new Uint8Array(8), TreeClock: new Uint8Array(8), Self: new Uint8Array(32), TableHigh: new Uint8Array(8), TableLow: table }));
    new DataView(page.buffer).setUint32(pageLayout.size, NODE_AT - pageLayout.size, true);
    page.set(node, NODE_AT);
    this.#volume.set(page, first * clusterBytes);
    return this.#reference(Array.from({ length: count }, (_, i) => (physical ? first + i : this.#virtual(first + i))), page);
  }

  /** A tree of as many levels as it takes. @returns the reference to its first page. */
  #tree(table: number, rows: readonly Row[], physical = false): Uint8Array {
    const size = this.#pageBytes - NODE_AT;
    let level = 0;
    for (let current = rows; ; level += 1) {
      const groups: Row[][] = [[]];
      for (const row of current) {
        if (rowsBytes([...groups.at(-1) as Row[], row]) > size) groups.push([]);
        (groups.at(-1) as Row[]).push(row);
      }
      const pages = groups.map((group) => ({ key: group.at(-1)?.key ?? new Uint8Array(0), value: this.#page(table, nodeBytes(group, { size, level, flags: groups.length === 1 ? 2 : 0 }), physical) }));
      if (pages.length === 1) return (pages[0] as Row).value;
      current = pages.map((page, i) => (i === pages.length - 1 ? { ...page, key: new Uint8Array(0) } : page));
    }
  }

  #addObject(object: number, rows: readonly Row[]): void {
    const reference = this.#tree(object, rows);
    this.#objects.push({ key: bytesOf(u64(0), u64(object)), value: bytesOf(new Uint8Array(32), reference) });
  }

  #directory(object: number, { children, reparse }: NodeShape & { readonly kind: 'directory' }): void {
    const own: Row = { key: u16(ROW.own, 0), value: this.#record(reparse === undefined ? [] : [this.#reparseRow(reparse)], { size: 0, attributes: FILE.directory | (reparse === undefined ? 0 : FILE.reparse) }) };
    const entries: Row[] = [];
    const streams: Row[] = [];
    for (const [name, child] of children) {
      const key = (kind: number): Uint8Array => bytesOf(u16(ROW.entry, kind), unitsOf(name));
      if (child.kind === 'directory') {
        const below = this.#object;
        this.#object += 1;
        this.#directory(below, child);
        entries.push({ key: key(ENTRY.link), value: this.#link(1, below, { size: 0, attributes: FILE.directory }) });
      } else if (child.kind === 'link') entries.push({ key: key(ENTRY.link), value: this.#link(child.ordinal, OBJECT.root, { size: child.size, attributes: 0 }) });
      else if (child.kind === 'runs' && child.apart === true) {
        streams.push({ key: bytesOf(u16(ROW.stream, 0x8000, 0, 0), u64(streams.length), u64(object)), value: this.#fileRecord(child) });
        entries.push({ key: key(ENTRY.link), value: this.#link(streams.length - 1, object, { size: child.size, attributes: 0 }) });
      } else entries.push({ key: key(ENTRY.record), value: this.#fileRecord(child) });
    }
    this.#addObject(object, [own, ...entries, ...streams]);
  }

  #link(ordinal: number, object: number, { size, attributes }: { readonly size: number; readonly attributes: number }): Uint8Array {
    const time = u64(TIME.ticks);
    const value = linkLayout.encode({ Ordinal: ordinal, Object: object, Created: time, Modified: time, Changed: time, Accessed: time, AllocatedSize: 0, FileSize: size, Attributes: attributes, Reserved: 0 });
    return this.#shape.minor >= 10 ? bytesOf(value, new Uint8Array(12)) : value;
  }

  #reparseRow(data: Uint8Array): Row {
    return { key: bytesOf(u64(0), new Uint8Array(Uint32Array.of(MARKER.single).buffer), u16(ATTRIBUTE.reparse, 0)), value: bytesOf(new Uint8Array(Uint32Array.of(0, data.length, 12).buffer), data) };
  }

  #streamRow(content: Uint8Array, type: number, name = ''): Row {
    const value = bytesOf(inlineLayout.encode({ Zero: 0, Flags: 0, AreaLength: 48 + content.length, ContentOffset: 12, SummaryLength: 48, SummaryFlags: 0, Reserved: new Uint8Array(6), AllocatedSize: content.length, Size: content.length, ValidSize: content.length, TotalAllocated: content.length, StreamFlags: 2 }), content);
    const marker = name === '' ? MARKER.single : MARKER.multiple;
    return { key: bytesOf(u64(value.length), new Uint8Array(Uint32Array.of(marker).buffer), u16(type, name === '' ? 0x0e : 5), name === '' ? new Uint8Array(0) : bytesOf(unitsOf(name), u16(0))), value };
  }

  #extentsRow({ size, validBytes = size, sparse = false, runs }: { readonly size: number; readonly validBytes?: number; readonly sparse?: boolean; readonly runs: readonly RunShape[] }, type: number): Row {
    const { clusterBytes } = this.#shape;
    const entries = runs.map(({ fileCluster, bytes }) => {
      const count = Math.ceil(bytes.length / clusterBytes);
      // Not across containers, and never next to another one.
      if (this.#next % this.#perContainer + count + 1 > this.#perContainer) this.#allocate(this.#perContainer - this.#next % this.#perContainer);
      const first = this.#allocate(count + 1);
      this.#volume.set(bytes, first * clusterBytes);
      return runLayout.encode({ Cluster: this.#virtual(first), Flags: 0x18_0040, FileCluster: fileCluster, Reserved: 0, Length: count });
    });
    const head = new Uint8Array(0x88);
    head.set(extentsLayout.encode({ NodeOffset: 0x88, TreeHeader: new Uint8Array(36), Reserved: 0, AllocatedSize: size, Size: size, ValidSize: validBytes, DiskAllocated: runs.length * clusterBytes, Versions: 1 + (sparse ? 0x8000_0000 : 0) }));
    const node = nodeLayout.encode({ DataStart: nodeLayout.size, DataEnd: nodeLayout.size + 24 * runs.length, FreeBytes: 0, Level: 0, Flags: 0x0e, Reserved1: 0, IndexStart: nodeLayout.size, Count: runs.length, Reserved2: new Uint8Array(8), IndexEnd: nodeLayout.size, Reserved3: 0 });
    const key = bytesOf(u64(0), new Uint8Array(Uint32Array.of(MARKER.multiple).buffer), u16(type, 0x0e), u64(type === ATTRIBUTE.data ? 0x1000 : 1), new Uint8Array(16));
    return { key, value: bytesOf(head, node, ...entries) };
  }

  #fileRecord(node: NodeShape & { readonly kind: 'inline' | 'runs' }): Uint8Array {
    if (node.kind === 'runs') {
      const rows = [this.#extentsRow(node, ATTRIBUTE.data)];
      if (node.largeStream !== undefined) {
        const { name, content } = node.largeStream;
        const head = this.#streamRow(new Uint8Array(0), ATTRIBUTE.named, name);
        const value = bytesOf(head.value, new Uint8Array(56));
        new DataView(value.buffer).setUint16(2, 0x1000, true);
        value.set(u64(this.#shape.clusterBytes * 4), 0x18);
        value.set(u64(content.length), 0x20);
        rows.push({ key: head.key, value }, this.#extentsRow({ size: content.length, runs: [{ fileCluster: 0, bytes: content }] }, ATTRIBUTE.extents));
      }
      return this.#record(rows, { size: node.size, attributes: 0x20 });
    }
    const rows = [this.#streamRow(node.content, ATTRIBUTE.data), ...[...node.streams ?? []].map(([name, content]) => this.#streamRow(content, ATTRIBUTE.named, name))];
    if (node.reparse !== undefined) rows.push(this.#reparseRow(node.reparse));
    if (node.extendedAttributes !== undefined) rows.push(this.#attributesRow(node.extendedAttributes));
    return this.#record(rows, { size: node.content.length, attributes: 0x20 | (node.reparse === undefined ? 0 : FILE.reparse) | (node.readOnly === true ? FILE.readOnly : 0) });
  }

  #attributesRow(attributes: ReadonlyMap<string, Uint8Array>): Row {
    const chain = [...attributes].map(([name, value], i) => {
      const length = Math.ceil((8 + name.length + 1 + value.length) / 4) * 4;
      const entry = new Uint8Array(length);
      new DataView(entry.buffer).setUint32(0, i === attributes.size - 1 ? 0 : length, true);
      entry.set([0, name.length, value.length & 0xff, value.length >> 8], 4);
      entry.set(bytesOf(utf8(name), Uint8Array.of(0), value), 8);
      return entry;
    });
    return { key: bytesOf(u64(0), new Uint8Array(Uint32Array.of(MARKER.single).buffer), u16(ATTRIBUTE.extendedAttributes, 0)), value: bytesOf(new Uint8Array(12), ...chain) };
  }

  /** A value that a tree begins in: head, what is known about the file, rows. */
  #record(rows: readonly Row[], { size, attributes }: { readonly size: number; readonly attributes: number }): Uint8Array {
    const head = new Uint8Array(0xa8);
    const time = u64(TIME.ticks);
    head.set(new Uint8Array(Uint32Array.of(0xa8).buffer));
    head.set(informationLayout.encode({ Created: time, Modified: time, Changed: time, Accessed: time, Attributes: attributes, InternalFlags: 0, SecurityId: new Uint8Array(8), FileSize: size, AllocatedSize: size }), 0x28);
    return bytesOf(head, nodeBytes(rows, { size: rowsBytes(rows), level: 0, flags: 2 }));
  }

  /** Puts a sum over the first cluster of a page at byte `at` of it. */
  #seal(page: Uint8Array, at: number, cluster: number): void {
    const { clusterBytes, checksum } = this.#shape;
    const sum = checksum === 'sha256' ? checksumOf(CHECKSUM.sha256, page.subarray(0, clusterBytes)) as Uint8Array
      : clusterBytes === 65_536 ? checksumOf(CHECKSUM.crc64, page.subarray(0, clusterBytes)) as Uint8Array : new Uint8Array(Uint32Array.of(crc32c(page.subarray(0, clusterBytes))).buffer);
    page.set(u64(cluster), at);
    page.set([0, 0, checksum === 'sha256' ? CHECKSUM.sha256 : clusterBytes === 65_536 ? CHECKSUM.crc64 : CHECKSUM.crc32c, 8, sum.length], at + 32);
    page.set(sum, at + 40);
  }

  #checkpoint(cluster: number, roots: readonly Uint8Array[], clock: number): void {
    const { clusterBytes, referenceBytes, minor, indirectRoots } = this.#shape;
    const page = new Uint8Array(this.#pageBytes);
    page.set(pageLayout.encode({ Signature: utf8('CHKP'), Version: 2, Reserved: 0, VolumeSignature: 0, AllocatorClock: new Uint8Array(8), TreeClock: new Uint8Array(8), Self: new Uint8Array(32), TableHigh: new Uint8Array(8), TableLow: 0 }));
    const listAt = indirectRoots ? 0x200 : 0x94;
    const selfAt = 0x100;
    page.set(checkpointLayout.encode({
      VersionEcho: 0, MajorVersion: 3, MinorVersion: minor, SelfOffset: selfAt, ReferenceLength: referenceBytes, Clock: clock, AllocatorClock: new Uint8Array(8), OldestLog: new Uint8Array(8), Flags: 2 | (indirectRoots ? INDIRECT_ROOTS : 0), Reserved: new Uint8Array(12), DataEnd: 0, RootsMax: 32, RootsCount: roots.length,
    }), pageLayout.size);
    const view = new DataView(page.buffer);
    if (indirectRoots) view.setUint32(0x94, listAt, true);
    roots.forEach((root, i) => {
      view.setUint32(listAt + 4 * i, 0x300 + referenceBytes * i, true);
      page.set(root, 0x300 + referenceBytes * i);
    });
    this.#seal(page, selfAt, cluster);
    this.#volume.set(page, cluster * clusterBytes);
  }

  #superblock(cluster: number): void {
    const { clusterBytes, referenceBytes } = this.#shape;
    const page = new Uint8Array(clusterBytes);
    page.set(pageLayout.encode({ Signature: utf8('SUPB'), Version: 2, Reserved: 0, VolumeSignature: 0, AllocatorClock: new Uint8Array(8), TreeClock: new Uint8Array(8), Self: new Uint8Array(32), TableHigh: new Uint8Array(8), TableLow: 0 }));
    page.set(superblockLayout.encode({ VolumeGuid: new Uint8Array(16).fill(5), Reserved: new Uint8Array(8), Generation: 1, CheckpointsOffset: 0xc0, CheckpointsCount: 2, SelfOffset: 0xd0, SelfLength: referenceBytes }), pageLayout.size);
    page.set(bytesOf(u64(40), u64(44)), 0xc0);
    this.#seal(page, 0xd0, cluster);
    this.#volume.set(page, cluster * clusterBytes);
  }

  #boot(): void {
    const { minor, clusterBytes, checksum } = this.#shape;
    const sector = new Uint8Array(512);
    sector.set(bootLayout.encode({
      Jump: new Uint8Array(3), FileSystemName: utf8('ReFS\0\0\0\0'), Reserved1: new Uint8Array(5), Identifier: utf8('FSRS'), Length: 512, Checksum: 0, NumberOfSectors: this.#volume.length / 512, BytesPerSector: 512, SectorsPerCluster: clusterBytes / 512,
      MajorVersion: 3, MinorVersion: minor, ChecksumType: minor < 10 ? 0 : CHECKSUM[checksum], Flags: 6, Reserved2: new Uint8Array(8), SerialNumber: u64(0x1234_5678_9abc_def0n), BytesPerContainer: CONTAINER_BYTES,
    }));
    new DataView(sector.buffer).setUint16(bootLayout.offsets.Checksum, bootChecksum(sector), true);
    this.#volume.set(sector);
    this.#volume.set(sector, this.#volume.length - 512);
  }
}
