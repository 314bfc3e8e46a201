/** Hives as tests need them: keys, values, and each kind of list. */
import { utf8 } from '../../../core/index.ts';
import { BASE_BLOCK_BYTES, baseBlockChecksum, baseBlockLayout, binLayout, DATA_RESIDENT, keyLayout, listLayout, NAME_LATIN1, NO_CELL, VALUE_TYPE, valueLayout } from '../hive.layout.ts';

/** A key: subkeys and values by name. */
export interface HiveKey {
  readonly keys?: Readonly<Record<string, HiveKey>>;
  readonly values?: Readonly<Record<string, string | number>>;
  /** How its subkeys are listed; `ri` are two lists of the kind `li`. Default `lh`. */
  readonly list?: 'lf' | 'lh' | 'li' | 'ri';
}

const HIVE_ENTRY_ROOT = 0x0c;

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function u32(...numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(numbers).buffer);
}

/** Source: the specification, "Hash leaf": the hash of a name in capital letters. */
function hashOf(name: string): number {
  let hash = 0;
  for (const letter of name.toUpperCase()) hash = (Math.imul(hash, 37) + letter.charCodeAt(0)) >>> 0;
  return hash;
}

class Bins {
  readonly #parts: Uint8Array[] = [];
  readonly #byOffset = new Map<number, Uint8Array>();
  #end = binLayout.size;
  /** The one security descriptor, empty; each key has it. */
  readonly security: number = this.add(joined(utf8('sk'), new Uint8Array(2), u32(binLayout.size, binLayout.size, 1, 0)));

  /** @returns the cell's offset. */
  add(content: Uint8Array): number {
    const size = Math.ceil((content.length + 4) / 8) * 8;
    const cell = new Uint8Array(size);
    new DataView(cell.buffer).setInt32(0, -size, true);
    cell.set(content, 4);
    this.#parts.push(cell);
    this.#byOffset.set(this.#end, cell);
    this.#end += size;
    return this.#end - size;
  }

  /** A key is written after those below it, which it is the parent of. */
  adopt(child: number, parent: number): void {
    const cell = this.#byOffset.get(child) ?? new Uint8Array(0);
    new DataView(cell.buffer).setUint32(4 + keyLayout.offsets.parent, parent, true);
  }

  bytes(): Uint8Array {
    const size = Math.ceil((this.#end + 8) / BASE_BLOCK_BYTES) * BASE_BLOCK_BYTES;
    const nothing = new Uint8Array(0);
    const head = binLayout.encode({ signature: utf8('hbin'), offset: 0, size, reserved: new Uint8Array(8), timestamp: new Uint8Array(8), spare: 0 });
    const free = new Uint8Array(size - this.#end);
    new DataView(free.buffer).setInt32(0, free.length, true);
    return joined(head, ...this.#parts, this.#end < size ? free : nothing);
  }
}

function addValue(bins: Bins, name: string, value: string | number): number {
  const isNumber = typeof value === 'number';
  const text = isNumber ? new Uint8Array() : new Uint8Array(Buffer.from(`${value}\0`, 'utf16le'));
  return bins.add(joined(valueLayout.encode({
    signature: utf8('vk'), name_length: name.length, data_size: isNumber ? DATA_RESIDENT + 4 : text.length, data_offset: isNumber ? value : bins.add(text),
    data_type: isNumber ? VALUE_TYPE.number : VALUE_TYPE.text, flags: NAME_LATIN1.value, spare: 0,
  }), utf8(name)));
}

function addList(bins: Bins, kind: 'lf' | 'lh' | 'li' | 'ri', keys: readonly (readonly [string, number])[]): number {
  const head = (count: number): Uint8Array => listLayout.encode({ signature: utf8(kind), count });
  if (kind === 'ri') {
    const middle = Math.ceil(keys.length / 2);
    return bins.add(joined(head(2), u32(addList(bins, 'li', keys.slice(0, middle)), addList(bins, 'li', keys.slice(middle)))));
  }
  if (kind === 'li') return bins.add(joined(head(keys.length), u32(...keys.map(([, offset]) => offset))));
  const hint = (name: string): Uint8Array => (kind === 'lh' ? u32(hashOf(name)) : utf8(name.slice(0, 4).padEnd(4, '\0')));
  return bins.add(joined(head(keys.length), ...keys.map(([name, offset]) => joined(u32(offset), hint(name)))));
}

function addKey(bins: Bins, name: string, { keys = {}, values = {}, list = 'lh' }: HiveKey, isRoot: boolean): number {
  // Lists are in the order of the names in capital letters.
  const children = Object.entries(keys).sort(([a], [b]) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1)).map(([child, key]) => [child, addKey(bins, child, key, false)] as const);
  const held = Object.entries(values).map(([one, value]) => addValue(bins, one, value));
  const isLatin1 = /^[\0-\xff]*$/.test(name);
  const letters = new Uint8Array(Buffer.from(name, isLatin1 ? 'latin1' : 'utf16le'));
  const offset = bins.add(joined(keyLayout.encode({
    signature: utf8('nk'), flags: (isLatin1 ? NAME_LATIN1.key : 0) | (isRoot ? HIVE_ENTRY_ROOT : 0), last_written: new Uint8Array(8), access_bits: 0, parent: NO_CELL,
    subkeys: children.length, volatile_subkeys: 0, subkeys_list: children.length === 0 ? NO_CELL : addList(bins, list, children), volatile_list: NO_CELL,
    values: held.length, values_list: held.length === 0 ? NO_CELL : bins.add(u32(...held)), security: bins.security, class_name: NO_CELL, largest: new Uint8Array(16), work: 0, name_length: letters.length, class_length: 0,
  }), letters));
  for (const [, child] of children) bins.adopt(child, offset);
  return offset;
}

/** The bytes of a hive whose root is `root`. `dirty`: as one that Windows was writing to. */
export function hiveBytes(root: HiveKey, { dirty = false }: { readonly dirty?: boolean } = {}): Uint8Array {
  const bins = new Bins();
  const rootCell = addKey(bins, 'ROOT', root, true);
  const content = bins.bytes();
  const head = baseBlockLayout.encode({
    signature: utf8('regf'), primary_sequence: dirty ? 2 : 1, secondary_sequence: 1, last_written: new Uint8Array(8), major_version: 1, minor_version: 5, file_type: 0, file_format: 1,
    root_cell: rootCell, hive_bins_size: content.length, clustering_factor: 1, file_name: new Uint8Array(64), reserved: new Uint8Array(396), checksum: 0,
  });
  new DataView(head.buffer).setUint32(baseBlockLayout.offsets.checksum, baseBlockChecksum(head), true);
  const block = new Uint8Array(BASE_BLOCK_BYTES);
  block.set(head);
  return joined(block, content);
}
