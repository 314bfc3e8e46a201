/** What an intent log adds to a dataset, in memory: files, names, attributes and content that are not in their places yet. */
import { checkLimit, FormatError, type Limits, LimitError } from '../../../core/index.ts';
import type { Patch } from '../../mapping/patched-source.ts';
import type { AttributeName, AttributeValues } from './attributes.ts';
import { viewOf } from './words.ts';

/** One file as the log leaves it. */
export interface FileChange {
  /** Made by the log: nothing of it is in the dataset. */
  readonly created: boolean;
  readonly values: AttributeValues;
  /** Content, in the order of writing. */
  readonly patches: Patch[];
  /** The smallest size that the file had: what the dataset holds behind it is gone. */
  keptBytes: number;
  /** Extended attributes; undefined for those that were removed. */
  readonly attributes: Map<string, Uint8Array | undefined>;
}

/** An entry of a directory: object and type (the upper four bits of a mode); undefined when the name is gone. */
export type NameChange = { readonly object: number; readonly type: number } | undefined;

/** A word as an attribute. */
export function wordValue(number: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = viewOf(bytes);
  view.setUint32(0, number % 0x1_0000_0000 >>> 0, true);
  view.setUint32(4, Math.floor(number / 0x1_0000_0000), true);
  return bytes;
}

const keyOf = (name: Uint8Array): string => Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');

/** Bytes that one change costs besides its content. */
const CHANGE_BYTES = 512;

/** All changes of one log. */
export class LogOverlay {
  readonly files: Map<number, FileChange> = new Map();
  /** By directory, then by name as Latin-1. */
  readonly #names = new Map<number, Map<string, NameChange>>();
  readonly #limits: Limits;
  #bytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  #charge(bytes: number): void {
    this.#bytes += bytes;
    checkLimit(this.#limits, 'filesystemJournalBytesMax', this.#bytes, 'replay of a ZFS intent log');
  }

  /** The change of a file that the dataset has. */
  change(object: number): FileChange {
    const known = this.files.get(object);
    if (known !== undefined) return known;
    this.#charge(CHANGE_BYTES);
    const change: FileChange = { created: false, values: new Map(), patches: [], keptBytes: Number.MAX_SAFE_INTEGER, attributes: new Map() };
    this.files.set(object, change);
    return change;
  }

  /** A file that the log makes. */
  create(object: number, values: AttributeValues): void {
    this.#charge(2 * CHANGE_BYTES);
    this.files.set(object, { created: true, values, patches: [], keptBytes: 0, attributes: new Map() });
  }

  /** Adds content. `patch.bytes` is kept. @throws {LimitError} */
  write(object: number, patch: Patch): void {
    if (!Number.isSafeInteger(patch.offset + patch.length)) throw new LimitError('file bytes', patch.offset, Number.MAX_SAFE_INTEGER, 'write in a ZFS intent log');
    this.#charge(CHANGE_BYTES + (patch.bytes?.length ?? 0));
    this.change(object).patches.push(patch);
  }

  setName(directory: number, name: Uint8Array, entry: NameChange): void {
    this.#charge(CHANGE_BYTES + name.length);
    const names = this.#names.get(directory) ?? new Map<string, NameChange>();
    this.#names.set(directory, names);
    names.set(keyOf(name), entry);
  }

  /** What the log says of a name: `known` false when nothing. */
  nameOf(directory: number, name: Uint8Array): { readonly known: boolean; readonly entry: NameChange } {
    const names = this.#names.get(directory);
    const key = keyOf(name);
    return { known: names?.has(key) ?? false, entry: names?.get(key) };
  }

  /** Names that the log adds or takes from a directory. */
  namesOf(directory: number): ReadonlyMap<string, NameChange> {
    return this.#names.get(directory) ?? new Map();
  }

  /** An attribute of 8 bytes of a changed file. */
  set(object: number, name: AttributeName, number: number): void {
    if (number < 0) throw new FormatError('Replay ZFS intent log', { structure: 'zil', field: name, found: number, expected: 'not negative' });
    this.change(object).values.set(name, wordValue(number));
  }
}
