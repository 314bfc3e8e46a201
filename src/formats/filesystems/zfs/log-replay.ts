/**
 * Replays the intent log of a filesystem in memory, record by record, as the kernel does when it mounts one after a crash. Times that the
 * kernel takes from its clock on that occasion (of directories that change, of files that are written) stay as they are here.
 * Source: OpenZFS `include/sys/zil.h` (records), `module/zfs/zfs_replay.c` (comments).
 */
import { FormatError, UnsupportedError } from '../../../core/index.ts';
import { attributeNumber, type AttributeName, type AttributeValues } from './attributes.ts';
import { BlockPointer, POINTER_BYTES } from './block-pointer.ts';
import type { BlockSupply } from './object.ts';
import type { LogRecord } from './intent-log.ts';
import { LogOverlay, type NameChange, wordValue } from './log-overlay.ts';
import { wordAt } from './words.ts';

/** `lrc_txtype`. */
const types = {
  create: 1, mkdir: 2, mkxattr: 3, symlink: 4, remove: 5, rmdir: 6, link: 7, rename: 8, write: 9, truncate: 10, setattr: 11, acl0: 12, acl: 13,
  createAcl: 14, createAttr: 15, createAclAttr: 16, mkdirAcl: 17, mkdirAttr: 18, mkdirAclAttr: 19, write2: 20, setSaXattr: 21, exchange: 22,
} as const;

/** Bits of `lr_mask`, which each system writes as its own kernel has them. On Linux the time of the change is always among them; nobody else logs that bit. */
const linuxMasks = { mode: 0x1, uid: 0x2, gid: 0x4, size: 0x8, atime: 0x10, mtime: 0x20 } as const;
const otherMasks = { mode: 0x2, uid: 0x4, gid: 0x8, size: 0x80, atime: 0x100, mtime: 0x200 } as const;
const LINUX_CTIME = 0x40;
const CREATE_BYTES = 104;
const ACL_BYTES = 40;
const XATTR_DIRECTORY_MODE = 0o40777;
const DIRECTORY_TYPE = 4;
const OBJECT_SPAN = 2 ** 48;

/** What a replay asks of the dataset as it is on the disk. */
export interface ReplayBase {
  readonly supply: BlockSupply;
  /** Attributes of a file, merged with what the overlay has; undefined when there is none. */
  values(object: number): Promise<AttributeValues | undefined>;
  /** Entry of a directory on the disk. */
  entry(directory: number, name: Uint8Array): Promise<NameChange>;
}

/** Replays records one after the other. */
export class LogReplay {
  readonly overlay: LogOverlay;
  readonly #base: ReplayBase;

  constructor(base: ReplayBase) {
    this.#base = base;
    this.overlay = new LogOverlay(base.supply.reader.limits);
  }

  #word({ view }: LogRecord, at: number, field: string): number {
    if (at + 8 > view.byteLength) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field, offset: at, found: view.byteLength, expected: `at least ${at + 8} bytes` });
    return wordAt(view, at, { structure: 'zil', field });
  }

  /** The number of an object; the bits above say how many slots its dnode has. */
  #object(record: LogRecord, at: number, field: string): number {
    const { view } = record;
    if (at + 8 > view.byteLength) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field, offset: at, found: view.byteLength, expected: `at least ${at + 8} bytes` });
    return (view.getUint32(at + 4, true) & 0xffff) * 0x1_0000_0000 + view.getUint32(at, true);
  }

  #text({ bytes }: LogRecord, at: number): Uint8Array {
    const end = bytes.indexOf(0, at);
    if (at > bytes.length || end < 0) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'name', offset: at, found: 'no end', expected: 'a name that ends' });
    return bytes.subarray(at, end);
  }

  /** One record. @throws {FormatError} @throws {LimitError} @throws {UnsupportedError} a record that is not known. */
  async apply(record: LogRecord): Promise<void> {
    switch (record.type) {
      case 0: case types.acl0: case types.acl: return;
      case types.create: case types.mkdir: case types.symlink: case types.mkxattr:
      case types.createAcl: case types.createAttr: case types.createAclAttr: case types.mkdirAcl: case types.mkdirAttr: case types.mkdirAclAttr: return this.#create(record);
      case types.remove: case types.rmdir: return this.#unlink(this.#object(record, 32, 'lr_doid'), this.#text(record, 40));
      case types.link: return this.#link(record);
      case types.rename: case types.exchange: return this.#rename(record);
      case types.write: case types.write2: return this.#write(record);
      case types.truncate: return this.#truncate(record);
      case types.setattr: return this.#setAttributes(record);
      case types.setSaXattr: return this.#setXattr(record);
      default: throw new UnsupportedError(`Replay ZFS intent log: records of type '${record.type}' are not supported`, { type: record.type });
    }
  }

  /** Where the name of a new file is in its record: behind attributes and an access control list, if there are any. */
  #nameAt(record: LogRecord): number {
    const acl = [types.createAcl, types.createAclAttr, types.mkdirAcl, types.mkdirAclAttr].some((type) => type === record.type);
    const attributes = [types.createAttr, types.createAclAttr, types.mkdirAttr, types.mkdirAclAttr].some((type) => type === record.type);
    let at = CREATE_BYTES + (acl ? ACL_BYTES : 0);
    if (attributes && at + 4 <= record.bytes.length) at += 64 + 4 * (record.view.getUint32(at, true) - 1);
    if (acl) at += Math.ceil(this.#word(record, 128, 'lr_acl_bytes') / 8) * 8 + 8 * this.#word(record, 120, 'lr_fuidcnt');
    return at;
  }

  async #create(record: LogRecord): Promise<void> {
    const directory = this.#object(record, 32, 'lr_doid');
    const object = this.#object(record, 40, 'lr_foid');
    if (record.type === types.mkxattr) {
      this.overlay.create(object, this.#newValues(record, XATTR_DIRECTORY_MODE, 0));
      this.overlay.set(directory, 'ZPL_XATTR', object);
      return;
    }
    const mode = this.#word(record, 48, 'lr_mode');
    const name = this.#text(record, this.#nameAt(record));
    const isDirectory = mode >> 12 === DIRECTORY_TYPE;
    const target = record.type === types.symlink ? this.#text(record, CREATE_BYTES + name.length + 1) : undefined;
    const values = this.#newValues(record, mode, target?.length ?? 0);
    if (target !== undefined) values.set('ZPL_SYMLINK', target);
    this.overlay.create(object, values);
    this.overlay.setName(directory, name, { object, type: mode >> 12 });
    if (isDirectory) await this.#count(directory, 'ZPL_LINKS', 1);
  }

  #newValues(record: LogRecord, mode: number, size: number): AttributeValues {
    const time = record.bytes.subarray(80, 96);
    const number = (at: number): Uint8Array => record.bytes.subarray(at, at + 8);
    return new Map<AttributeName, Uint8Array>([
      ['ZPL_ATIME', time], ['ZPL_MTIME', time], ['ZPL_CTIME', time], ['ZPL_CRTIME', time], ['ZPL_MODE', wordValue(mode)], ['ZPL_SIZE', wordValue(size)],
      ['ZPL_LINKS', wordValue(mode >> 12 === DIRECTORY_TYPE ? 2 : 1)], ['ZPL_UID', number(56)], ['ZPL_GID', number(64)], ['ZPL_RDEV', number(96)],
    ]);
  }

  async #valuesOf(object: number): Promise<AttributeValues> {
    const values = object < 1 || object >= OBJECT_SPAN ? undefined : await this.#base.values(object);
    if (values === undefined) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'lr_foid', found: object, expected: 'an object of the dataset' });
    return values;
  }

  async #count(object: number, name: AttributeName, by: number): Promise<void> {
    const now = attributeNumber(await this.#valuesOf(object), name) ?? 0;
    this.overlay.set(object, name, Math.max(0, now + by));
  }

  async #entry(directory: number, name: Uint8Array): Promise<NameChange> {
    const { known, entry } = this.overlay.nameOf(directory, name);
    return known ? entry : this.#base.entry(directory, name);
  }

  async #unlink(directory: number, name: Uint8Array): Promise<void> {
    const entry = await this.#entry(directory, name);
    if (entry === undefined) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'name', found: Buffer.from(name).toString(), expected: 'a name in its directory' });
    this.overlay.setName(directory, name, undefined);
    await this.#count(entry.object, 'ZPL_LINKS', -1);
    if (entry.type === DIRECTORY_TYPE) await this.#count(directory, 'ZPL_LINKS', -1);
  }

  async #link(record: LogRecord): Promise<void> {
    const object = this.#object(record, 40, 'lr_link_obj');
    const mode = attributeNumber(await this.#valuesOf(object), 'ZPL_MODE') ?? 0;
    this.overlay.setName(this.#object(record, 32, 'lr_doid'), this.#text(record, 48), { object, type: mode >> 12 });
    await this.#count(object, 'ZPL_LINKS', 1);
  }

  async #rename(record: LogRecord): Promise<void> {
    const from = this.#object(record, 32, 'lr_sdoid');
    const to = this.#object(record, 40, 'lr_tdoid');
    const oldName = this.#text(record, 48);
    const newName = this.#text(record, 48 + oldName.length + 1);
    const moved = await this.#entry(from, oldName);
    const there = await this.#entry(to, newName);
    if (moved === undefined) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'name', found: Buffer.from(oldName).toString(), expected: 'a name in its directory' });
    if (record.type === types.exchange) this.overlay.setName(from, oldName, there);
    else {
      if (there?.object === moved.object) return;
      if (there !== undefined) await this.#unlink(to, newName);
      this.overlay.setName(from, oldName, undefined);
    }
    this.overlay.setName(to, newName, moved);
    if (from === to || record.type === types.exchange || moved.type !== DIRECTORY_TYPE) return;
    await this.#count(from, 'ZPL_LINKS', -1);
    await this.#count(to, 'ZPL_LINKS', 1);
  }

  /** Records about a file's content may be behind the one that removed it: then they mean nothing. */
  async #exists(object: number): Promise<AttributeValues | undefined> {
    return object < 1 || object >= OBJECT_SPAN ? undefined : this.#base.values(object);
  }

  /** What a record about content means, and the file's size so far; undefined when the file is gone. */
  async #range(record: LogRecord): Promise<{ readonly object: number; readonly offset: number; readonly length: number; readonly size: number } | undefined> {
    const object = this.#object(record, 32, 'lr_foid');
    const values = await this.#exists(object);
    if (values === undefined) return undefined;
    return { object, offset: this.#word(record, 40, 'lr_offset'), length: this.#word(record, 48, 'lr_length'), size: attributeNumber(values, 'ZPL_SIZE') ?? 0 };
  }

  async #write(record: LogRecord): Promise<void> {
    const range = await this.#range(record);
    if (range === undefined) return;
    const { object, offset, length, size } = range;
    if (record.type === types.write) await this.#content(record, object, { offset, length });
    if (offset + length > size) this.overlay.set(object, 'ZPL_SIZE', offset + length);
  }

  /** The bytes stand in the record, or in a block of the file that the record points to. */
  async #content(record: LogRecord, object: number, { offset, length }: { readonly offset: number; readonly length: number }): Promise<void> {
    const dataAt = 64 + POINTER_BYTES;
    if (record.bytes.length > dataAt) {
      if (record.bytes.length - dataAt < length) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'lr_length', found: length, expected: `at most ${record.bytes.length - dataAt}` });
      this.overlay.write(object, { offset, length, bytes: record.bytes.subarray(dataAt, dataAt + length) });
      return;
    }
    if (record.bytes.length < dataAt) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'lrc_reclen', found: record.bytes.length, expected: `at least ${dataAt}` });
    const pointer = new BlockPointer(record.bytes.slice(64, dataAt));
    const { reader, cipher } = this.#base.supply;
    const blockBytes = pointer.logicalBytes;
    const start = length < blockBytes ? offset - offset % blockBytes : offset;
    const block = pointer.hole ? undefined : (await reader.read(pointer, 'data', cipher)).slice(0, Math.max(length, blockBytes));
    this.overlay.write(object, { offset: start, length: block?.length ?? Math.max(length, blockBytes), ...(block === undefined ? {} : { bytes: block }) });
  }

  async #truncate(record: LogRecord): Promise<void> {
    const range = await this.#range(record);
    if (range === undefined) return;
    const { object, offset, length, size } = range;
    if (length === 0) return this.#resize(object, size, offset);
    if (offset < size) this.overlay.write(object, { offset, length: Math.min(length, size - offset) });
    // A range beyond the end makes the file longer, also when it was written to punch a hole.
    if (offset + length > size) this.#resize(object, size, offset + length);
  }

  #resize(object: number, before: number, size: number): void {
    const change = this.overlay.change(object);
    change.keptBytes = Math.min(change.keptBytes, size);
    // What was written behind the new end must not come back when the file grows again.
    if (size < before) this.overlay.write(object, { offset: size, length: before - size });
    this.overlay.set(object, 'ZPL_SIZE', size);
  }

  async #setAttributes(record: LogRecord): Promise<void> {
    const object = this.#object(record, 32, 'lr_foid');
    const values = await this.#exists(object);
    if (values === undefined) return;
    const mask = this.#word(record, 40, 'lr_mask');
    const has = (bit: number): boolean => Math.floor(mask / bit) % 2 === 1;
    const masks = has(LINUX_CTIME) ? linuxMasks : otherMasks;
    const mode = attributeNumber(values, 'ZPL_MODE') ?? 0;
    if (has(masks.size)) this.#resize(object, attributeNumber(values, 'ZPL_SIZE') ?? 0, this.#word(record, 72, 'lr_size'));
    const change = this.overlay.change(object);
    if (has(masks.mode)) change.values.set('ZPL_MODE', wordValue(mode - mode % 0o10000 + this.#word(record, 48, 'lr_mode') % 0o10000));
    if (has(masks.uid)) change.values.set('ZPL_UID', record.bytes.subarray(56, 64));
    if (has(masks.gid)) change.values.set('ZPL_GID', record.bytes.subarray(64, 72));
    if (record.bytes.length < 112) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'lrc_reclen', found: record.bytes.length, expected: 'at least 112' });
    if (has(masks.atime)) change.values.set('ZPL_ATIME', record.bytes.subarray(80, 96));
    if (has(masks.mtime)) change.values.set('ZPL_MTIME', record.bytes.subarray(96, 112));
  }

  async #setXattr(record: LogRecord): Promise<void> {
    const object = this.#object(record, 32, 'lr_foid');
    if (await this.#exists(object) === undefined) return;
    const length = this.#word(record, 40, 'lr_size');
    const name = this.#text(record, 48);
    const at = 48 + name.length + 1;
    if (length > record.bytes.length - at) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: 'lr_size', found: length, expected: `at most ${record.bytes.length - at}` });
    this.overlay.change(object).attributes.set(Buffer.from(name).toString('latin1'), length === 0 ? undefined : record.bytes.slice(at, at + length));
  }
}
