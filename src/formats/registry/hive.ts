/**
 * Reading values of a registry hive by path. Only cells on the way are read, so that a hive of 100 MB costs a few pages. Known limits: transaction
 * logs are not replayed (`dirty` says that there may be newer values), values longer than one cell are refused.
 * Source: M. Suhanov, "Windows registry file format specification".
 */
import { FormatError, LimitError, textOf, UnsupportedError, type BlockSource } from '../../core/index.ts';
import { UnitCache } from '../mapping/unit-cache.ts';
import {
  BASE_BLOCK_BYTES, baseBlockChecksum, baseBlockLayout, binLayout, DATA_BYTES_MAX, DATA_RESIDENT, keyLayout, listLayout, NAME_LATIN1, NO_CELL, VALUE_TYPE, valueLayout,
} from './hive.layout.ts';

const PAGE_BYTES = 1 << 16;
const CACHE_BYTES = 4 << 20;

/** Bytes of one cell: a list of 65,535 keys takes half of it. */
const CELL_BYTES_MAX = 1 << 20;

/** Bytes of cells and pages that one hive may cost before it is given up; keys that lead to a value take far less. */
const WORK_BYTES_MAX = 256 << 20;

type Key = ReturnType<typeof keyLayout.view>;

/** Bytes in letters as a key or value says. */
function nameText(bytes: Uint8Array, isLatin1: boolean): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(isLatin1 ? 'latin1' : 'utf16le');
}

/** Text up to its NUL; Windows does not enforce that there is one. */
function valueText(data: Uint8Array): string {
  const text = nameText(data, false);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** An open hive; its source remains the caller's. */
export class RegistryHive {
  /** Windows was writing when the copy was made: newer values may be in its logs. */
  readonly dirty: boolean;
  readonly #source: BlockSource;
  readonly #root: number;
  readonly #binBytes: number;
  readonly #pages = new UnitCache(PAGE_BYTES, CACHE_BYTES);
  #work = 0;

  /** Use {@link openHive}. */
  constructor(source: BlockSource, head: ReturnType<typeof baseBlockLayout.view>) {
    this.#source = source;
    this.#root = head.root_cell;
    this.#binBytes = head.hive_bins_size;
    this.dirty = head.primary_sequence !== head.secondary_sequence;
  }

  /**
   * A value of the key at `path`, names between backslashes, below the root; letters count in either case. Undefined when there is no such key or
   * value, or it is neither a text nor a number of 32 bits.
   * @throws {FormatError} @throws {LimitError} @throws {UnsupportedError} the value is longer than one cell.
   */
  async value(path: string, name: string): Promise<string | number | undefined> {
    let key: Key | undefined = this.#key(await this.#cell(this.#root, 'root_cell'), this.#root);
    for (const part of path.split('\\')) key = key === undefined ? undefined : await this.#child(key, part.toUpperCase());
    return key === undefined ? undefined : this.#valueOf(key, name.toUpperCase());
  }

  #fault(structure: string, field: string, cell: number, expected: string): FormatError {
    return new FormatError('Read registry hive', { structure, field, offset: BASE_BLOCK_BYTES + cell, expected });
  }

  /** Lists may lead to the same cells again and again: what is bounded is the work. */
  #spend(bytes: number): void {
    this.#work += bytes;
    if (this.#work > WORK_BYTES_MAX) throw new LimitError('registry work', this.#work, WORK_BYTES_MAX, 'registry hive');
  }

  async #read(at: number, length: number): Promise<Uint8Array> {
    const target = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const page = Math.floor((at + done) / PAGE_BYTES) * PAGE_BYTES;
      const bytes = await this.#pages.get(page, async () => {
        const loaded = new Uint8Array(Math.min(PAGE_BYTES, this.#binBytes - page));
        this.#spend(loaded.length);
        await this.#source.readInto(BASE_BLOCK_BYTES + page, loaded);
        return loaded;
      });
      const piece = bytes.subarray(at + done - page, at + length - page);
      target.set(piece, done);
      done += piece.length;
    }
    return target;
  }

  /** Content of the cell at an offset that `field` held. */
  async #cell(offset: number, field: string): Promise<Uint8Array> {
    this.#spend(binLayout.size);
    if (offset % 8 !== 0 || offset < binLayout.size || offset + 8 > this.#binBytes) throw this.#fault('cell', field, offset, `an offset of a cell below ${this.#binBytes}`);
    const head = await this.#read(offset, 4);
    const size = -new DataView(head.buffer).getInt32(0, true);
    if (size < 8 || offset + size > this.#binBytes) throw this.#fault('cell', 'size', offset, 'a cell in use that ends inside the bins');
    if (size > CELL_BYTES_MAX) throw new LimitError('registry cell', size, CELL_BYTES_MAX, 'registry hive');
    this.#spend(size);
    return this.#read(offset + 4, size - 4);
  }

  #key(cell: Uint8Array, offset: number): Key {
    const key = keyLayout.view(cell, 0, BASE_BLOCK_BYTES + offset + 4);
    if (textOf(key.signature) !== 'nk') throw this.#fault('nk', 'signature', offset, 'nk');
    return key;
  }

  /** The subkey of a name in capital letters. */
  async #child(key: Key, name: string): Promise<Key | undefined> {
    if (key.subkeys === 0 || key.subkeys_list === NO_CELL) return undefined;
    for await (const offset of this.#subkeys(key.subkeys_list, true)) {
      const cell = await this.#cell(offset, 'subkeys list');
      const child = this.#key(cell, offset);
      if (keyLayout.size + child.name_length > cell.length) throw this.#fault('nk', 'name_length', offset, 'a name inside the cell');
      if (nameText(cell.subarray(keyLayout.size, keyLayout.size + child.name_length), (child.flags & NAME_LATIN1.key) !== 0).toUpperCase() === name) return child;
    }
    return undefined;
  }

  /** Offsets of the keys in a list; lists of lists are one level deep. */
  async *#subkeys(offset: number, mayNest: boolean): AsyncIterable<number> {
    const cell = await this.#cell(offset, 'subkeys_list');
    const { signature, count } = listLayout.view(cell, 0, BASE_BLOCK_BYTES + offset + 4);
    const kind = textOf(signature);
    if (!['lf', 'lh', 'li', 'ri'].includes(kind) || (kind === 'ri' && !mayNest)) throw this.#fault('subkeys list', 'signature', offset, mayNest ? 'lf, lh, li or ri' : 'lf, lh or li');
    const stride = kind === 'lf' || kind === 'lh' ? 8 : 4;
    if (listLayout.size + count * stride > cell.length) throw this.#fault('subkeys list', 'count', offset, 'elements inside the cell');
    const data = new DataView(cell.buffer, cell.byteOffset, cell.byteLength);
    for (let i = 0; i < count; i += 1) {
      const element = data.getUint32(listLayout.size + i * stride, true);
      if (kind === 'ri') yield* this.#subkeys(element, false);
      else yield element;
    }
  }

  async #valueOf(key: Key, name: string): Promise<string | number | undefined> {
    if (key.values === 0) return undefined;
    const list = await this.#cell(key.values_list, 'values_list');
    if (key.values * 4 > list.length) throw this.#fault('nk', 'values', key.values_list, 'a list of so many values');
    const data = new DataView(list.buffer, list.byteOffset, list.byteLength);
    for (let i = 0; i < key.values; i += 1) {
      const offset = data.getUint32(i * 4, true);
      const cell = await this.#cell(offset, 'values list');
      const value = valueLayout.view(cell, 0, BASE_BLOCK_BYTES + offset + 4);
      if (textOf(value.signature) !== 'vk') throw this.#fault('vk', 'signature', offset, 'vk');
      if (valueLayout.size + value.name_length > cell.length) throw this.#fault('vk', 'name_length', offset, 'a name inside the cell');
      const found = nameText(cell.subarray(valueLayout.size, valueLayout.size + value.name_length), (value.flags & NAME_LATIN1.value) !== 0);
      if (found.toUpperCase() === name) return this.#decode(value, cell, offset);
    }
    return undefined;
  }

  async #decode(value: ReturnType<typeof valueLayout.view>, cell: Uint8Array, offset: number): Promise<string | number | undefined> {
    const { data_type: type, data_size: packed, data_offset: at } = value;
    const isResident = packed >= DATA_RESIDENT;
    const size = isResident ? packed - DATA_RESIDENT : packed;
    if (type !== VALUE_TYPE.text && type !== VALUE_TYPE.expandText && type !== VALUE_TYPE.number) return undefined;
    if (size > DATA_BYTES_MAX) throw new UnsupportedError(`Read registry value: it has '${size}' bytes, and only values of one cell are read`, { size });
    const content = isResident ? cell.subarray(valueLayout.offsets.data_offset, valueLayout.offsets.data_offset + 4) : size === 0 ? new Uint8Array() : await this.#cell(at, 'data_offset');
    if (size > content.length || (type === VALUE_TYPE.number && size !== 4)) throw this.#fault('vk', 'data_size', offset, 'data of that size and type');
    if (type === VALUE_TYPE.number) return new DataView(content.buffer, content.byteOffset, 4).getUint32(0, true);
    return valueText(content.subarray(0, size));
  }
}

/**
 * Opens a hive; the source remains the caller's.
 * @throws {FormatError} no hive, a checksum that does not hold, or a file that is too short.
 * @throws {UnsupportedError} a version other than 1.3 to 1.6.
 */
export async function openHive(source: BlockSource): Promise<RegistryHive> {
  const block = new Uint8Array(Math.min(BASE_BLOCK_BYTES + binLayout.size, source.size));
  await source.readInto(0, block);
  const head = baseBlockLayout.view(block);
  const fault = (field: string, found: string | number, expected: string | number, offset = 0): FormatError => new FormatError('Open registry hive', { structure: 'regf', field, offset, found, expected });
  if (textOf(head.signature) !== 'regf') throw fault('signature', Buffer.from(head.signature).toString('hex'), 'regf');
  const checksum = baseBlockChecksum(block);
  if (head.checksum !== checksum) throw fault('checksum', head.checksum, checksum, baseBlockLayout.offsets.checksum);
  if (head.major_version !== 1 || head.minor_version < 3 || head.minor_version > 6) throw new UnsupportedError(`Open registry hive: version '${head.major_version}.${head.minor_version}' is not known`);
  const { hive_bins_size: size } = head;
  if (size < BASE_BLOCK_BYTES || size % BASE_BLOCK_BYTES !== 0 || BASE_BLOCK_BYTES + size > source.size) throw fault('hive_bins_size', size, `blocks of ${BASE_BLOCK_BYTES} in a file of ${source.size}`);
  if (textOf(binLayout.view(block, BASE_BLOCK_BYTES).signature) !== 'hbin') throw fault('first hbin', 'none', 'hbin', BASE_BLOCK_BYTES);
  return new RegistryHive(source, head);
}
