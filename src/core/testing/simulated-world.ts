/**
 * A World whose disk remembers what was synced. After a power cut each unsynced write is lost, kept or torn at 512 bytes, and each
 * unsynced change of a name is lost or kept, as a seed says; after a kill the page cache is still there. Any operation can fail or lie.
 *
 * A name's change is durable after `syncDirectory` of the directory it is in; a directory is such a name too once someone made it, and what is
 * below one that was lost is lost. Directories that nobody made exist. What a failed sync did not write is not written by a later one either:
 * the kernel has marked those pages clean.
 */
import { createHash } from 'node:crypto';
import { BusyError, NotFoundError, ToolError } from '../errors.ts';
import type { Disk, DiskEntry, DiskFile, DiskLock, World } from '../world.ts';
import { seededRandom } from './random.ts';

/** An operation that changes something; `number` counts them from 1. */
export interface DiskOperation {
  readonly kind: 'create' | 'write' | 'truncate' | 'sync' | 'syncDirectory' | 'rename' | 'link' | 'remove';
  readonly path: string;
  readonly number: number;
}

/** What happens to an operation: as asked, an error instead, or success without effect. */
export type DiskFault = (operation: DiskOperation) => Error | 'lie' | undefined;

const SECTOR_BYTES = 512;

type Change = (bytes: Uint8Array) => Uint8Array;

function writing(offset: number, data: Uint8Array): Change {
  return (bytes) => {
    const result = new Uint8Array(Math.max(bytes.length, offset + data.length));
    result.set(bytes);
    result.set(data, offset);
    return result;
  };
}

function resizing(size: number): Change {
  return (bytes) => {
    const result = new Uint8Array(size);
    result.set(bytes.subarray(0, size));
    return result;
  };
}

/** Only some sectors of a change reach the disk. */
function torn(before: Uint8Array, change: Change, next: () => number): Uint8Array {
  const after = change(before);
  const result = resizing(after.length)(before);
  for (let at = 0; at < after.length; at += SECTOR_BYTES) if (next() < 0.5) result.set(after.subarray(at, at + SECTOR_BYTES), at);
  return result;
}

class Inode {
  modified = 0;
  readonly isDirectory: boolean;
  durable: Uint8Array = new Uint8Array(0);
  now: Uint8Array = new Uint8Array(0);
  pending: Change[] = [];
  /** Changes that a failed sync gave up. */
  #given: Change[] = [];

  constructor(isDirectory = false) {
    this.isDirectory = isDirectory;
  }

  apply(change: Change): void {
    this.now = change(this.now);
    this.pending.push(change);
  }

  sync(): void {
    if (this.#given.length === 0) this.durable = this.now;
    else for (const change of this.pending) this.durable = change(this.durable);
    this.pending = [];
  }

  failSync(): void {
    this.#given.push(...this.pending);
    this.pending = [];
  }

  clone(): Inode {
    const copy = new Inode(this.isDirectory);
    Object.assign(copy, { modified: this.modified, durable: this.durable, now: this.now, pending: [...this.pending] });
    copy.#given = [...this.#given];
    return copy;
  }

  afterPowerCut(next: () => number): Inode {
    const copy = new Inode(this.isDirectory);
    copy.modified = this.modified;
    copy.durable = this.durable;
    for (const change of [...this.#given, ...this.pending]) {
      const chance = next();
      if (chance < 0.4) copy.durable = change(copy.durable);
      else if (chance < 0.7) copy.durable = torn(copy.durable, change, next);
    }
    copy.now = copy.durable;
    return copy;
  }
}

function directoryOf(name: string): string {
  return name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '';
}

/** The disk of {@link simulatedWorld}. */
export class SimulatedDisk implements Disk {
  /** Operations so far. */
  operations = 0;
  fault: DiskFault = () => undefined;
  /** The clock that dates files; milliseconds since 1970. */
  now: () => number = () => 0;
  #durable = new Map<string, Inode>();
  #names = new Map<string, Inode>();
  #pending: { readonly name: string; readonly inode: Inode | undefined }[] = [];
  #locks = new Map<string, string>();

  /** The disk once the power is back. */
  afterPowerCut(seed: number): SimulatedDisk {
    const next = seededRandom(seed);
    const names = new Map(this.#durable);
    for (const { name, inode } of this.#pending) {
      if (next() < 0.5) continue;
      if (inode === undefined) names.delete(name);
      else names.set(name, inode);
    }
    this.#dropOrphans(names);
    const copies = new Map<Inode, Inode>();
    for (const inode of names.values()) if (!copies.has(inode)) copies.set(inode, inode.afterPowerCut(next));
    const disk = new SimulatedDisk();
    for (const [name, inode] of names) disk.#names.set(name, copies.get(inode) as Inode);
    disk.#durable = new Map(disk.#names);
    return disk;
  }

  /** The same disk, unsynced bytes and all, without the process that used it. */
  afterKill(): SimulatedDisk {
    const disk = new SimulatedDisk();
    disk.#durable = this.#durable;
    disk.#names = this.#names;
    disk.#pending = this.#pending;
    return disk;
  }

  /** A copy on its own, unsynced bytes and all. */
  clone(): SimulatedDisk {
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      const copy = copies.get(inode) ?? inode.clone();
      copies.set(inode, copy);
      return copy;
    };
    const disk = new SimulatedDisk();
    for (const [name, inode] of this.#names) disk.#names.set(name, copyOf(inode));
    for (const [name, inode] of this.#durable) disk.#durable.set(name, copyOf(inode));
    disk.#pending = this.#pending.map(({ name, inode }) => ({ name, inode: inode === undefined ? undefined : copyOf(inode) }));
    return disk;
  }

  /** All files. */
  get files(): readonly string[] {
    return [...this.#names].flatMap(([name, inode]) => (inode.isDirectory ? [] : [name])).sort();
  }

  /** Changes a byte behind everyone's back, durably. */
  flip(name: string, offset: number, mask: number): void {
    const inode = this.#find(name);
    inode.apply((bytes) => {
      const copy = bytes.slice();
      copy[offset] = (copy[offset] as number) ^ mask;
      return copy;
    });
    inode.sync();
  }

  /** The bytes of a file as a reader sees them. */
  bytesOf(name: string): Uint8Array {
    return this.#find(name).now;
  }

  /** Replaces a file behind everyone's back, durably; undefined removes it. */
  replace(name: string, bytes: Uint8Array | undefined): void {
    this.#names.delete(name);
    this.#durable.delete(name);
    if (bytes === undefined) return;
    const inode = new Inode();
    inode.apply(() => bytes);
    inode.sync();
    this.#names.set(name, inode);
    this.#durable.set(name, inode);
  }

  /** Counts an operation. @returns whether it has its effect. */
  step(kind: DiskOperation['kind'], path: string): boolean {
    this.operations += 1;
    const verdict = this.fault({ kind, path, number: this.operations });
    if (verdict instanceof Error) throw verdict;
    return verdict !== 'lie';
  }

  async open(name: string): Promise<DiskFile> {
    const inode = this.#find(name);
    if (inode.isDirectory) throw new NotFoundError(`Open '${name}': it is a directory`, { path: name });
    return new SimulatedFile(this, inode, name);
  }

  async create(name: string): Promise<DiskFile> {
    if (this.#names.has(name)) throw new BusyError(`Create '${name}': it exists already`);
    this.step('create', name);
    const inode = new Inode();
    inode.modified = this.now();
    this.#change(name, inode);
    return new SimulatedFile(this, inode, name);
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#find(from);
    this.step('rename', to);
    this.#change(to, inode);
    this.#change(from, undefined);
  }

  async link(from: string, to: string): Promise<void> {
    if (this.#names.has(to)) throw new BusyError(`Create '${to}': it exists already`);
    const inode = this.#find(from);
    this.step('link', to);
    this.#change(to, inode);
  }

  async remove(name: string): Promise<void> {
    this.step('remove', name);
    this.#change(name, undefined);
  }

  async removeTree(name: string): Promise<void> {
    // Children first.
    for (const key of [...this.#names.keys()].sort().reverse()) if (key === name || key.startsWith(`${name}/`)) await this.remove(key);
  }

  async makeDirectory(name: string): Promise<void> {
    const parent = directoryOf(name);
    if (parent !== '') await this.makeDirectory(parent);
    if (name !== '' && !this.#names.has(name)) this.#change(name, new Inode(true));
  }

  async list(name: string): Promise<readonly DiskEntry[]> {
    const prefix = name === '' ? '' : `${name}/`;
    const rows = new Map<string, DiskEntry>();
    for (const [key, inode] of this.#names) {
      if (!key.startsWith(prefix)) continue;
      const [first = '', ...rest] = key.slice(prefix.length).split('/');
      const directory = rest.length > 0 || inode.isDirectory;
      rows.set(first, { name: first, directory, size: directory ? 0 : inode.now.length, modified: directory ? 0 : inode.modified });
    }
    return [...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async exists(name: string): Promise<boolean> {
    return this.#names.has(name) || (await this.list(name)).length > 0;
  }

  async syncDirectory(name: string): Promise<void> {
    if (!this.step('syncDirectory', name)) return;
    const kept = this.#pending.filter((change) => directoryOf(change.name) !== name);
    for (const change of this.#pending) {
      if (directoryOf(change.name) !== name) continue;
      if (change.inode === undefined) this.#durable.delete(change.name);
      else this.#durable.set(change.name, change.inode);
    }
    this.#pending = kept;
  }

  nativePath(): undefined {
    return undefined;
  }

  async lock(name: string, description: string): Promise<DiskLock> {
    const holder = this.#locks.get(name);
    if (holder !== undefined) throw new BusyError(`Take lock '${name}': held by ${holder}`);
    this.#locks.set(name, description);
    return { isHeld: async () => this.#locks.has(name), release: async () => { this.#locks.delete(name); } };
  }

  /** What is below a directory that somebody made and that is not there. */
  #dropOrphans(names: Map<string, Inode>): void {
    const made = new Set<string>();
    for (const [name, inode] of [...this.#names, ...this.#durable]) if (inode.isDirectory) made.add(name);
    for (const { name, inode } of this.#pending) if (inode?.isDirectory === true) made.add(name);
    const isLost = (name: string): boolean => name !== '' && ((made.has(name) && !names.has(name)) || isLost(directoryOf(name)));
    for (const name of names.keys()) if (isLost(directoryOf(name))) names.delete(name);
  }

  #find(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new NotFoundError(`Open '${name}': no such file`, { path: name });
    return inode;
  }

  #change(name: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#names.delete(name);
    else this.#names.set(name, inode);
    this.#pending.push({ name, inode });
  }
}

class SimulatedFile implements DiskFile {
  readonly #disk: SimulatedDisk;
  readonly #inode: Inode;
  readonly #name: string;

  constructor(disk: SimulatedDisk, inode: Inode, name: string) {
    this.#disk = disk;
    this.#inode = inode;
    this.#name = name;
  }

  get size(): number {
    return this.#inode.now.length;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    if (offset + target.length > this.size) throw new RangeError(`Read '${this.#name}': '${offset}+${target.length}' leaves '${this.size}' bytes`);
    target.set(this.#inode.now.subarray(offset, offset + target.length));
  }

  async writeFrom(offset: number, ...parts: readonly Uint8Array[]): Promise<void> {
    this.#disk.step('write', this.#name);
    this.#inode.apply(writing(offset, new Uint8Array(Buffer.concat(parts))));
  }

  async truncate(size: number): Promise<void> {
    this.#disk.step('truncate', this.#name);
    this.#inode.apply(resizing(size));
  }

  async sync(): Promise<void> {
    let isDone: boolean;
    try {
      isDone = this.#disk.step('sync', this.#name);
    } catch (error) {
      if (error instanceof ToolError) this.#inode.failSync();
      throw error;
    }
    if (isDone) this.#inode.sync();
  }

  async close(): Promise<void> {}
}

/** A World over a simulated disk; the same seed gives the same bytes and times. The clock moves by a millisecond at each look. */
export function simulatedWorld(disk: SimulatedDisk, seed: number): World {
  let clock = 1_700_000_000_000 + seed * 1_000_000;
  let counter = 0;
  disk.now = () => clock;
  return {
    disk,
    now: () => { clock += 1; return clock; },
    sleep: async (milliseconds) => { clock += milliseconds; },
    randomBytes: (count) => {
      const parts: Buffer[] = [];
      for (let size = 0; size < count; size += 32) {
        counter += 1;
        parts.push(createHash('sha256').update(`simulated ${seed}/${counter}`).digest());
      }
      return new Uint8Array(Buffer.concat(parts).subarray(0, count));
    },
  };
}
