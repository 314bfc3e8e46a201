/**
 * Blocks by their row, for reading content after the scan: neighbouring blocks are read together, kept in a few windows of
 * bounded size, and each block is checked (and decrypted) again before it is used.
 */
import type { IHasher } from 'hash-wasm';
import { type BlockSource, IntegrityError, type Limits } from '../../core/index.ts';
import { openBlock, readBlockHead } from './block.ts';
import type { BlockTable } from './block-table.ts';
import type { VolumeKey } from './volume-key.ts';

const WINDOW_BYTES = 1 << 20;
const WINDOWS = 6;

/** A volume as the reader needs it. */
export interface ReaderVolume {
  readonly name: string;
  readonly source: BlockSource;
  readonly key: VolumeKey | undefined;
}

interface Window {
  readonly first: number;
  readonly rows: number;
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly ready: Promise<void>;
  /** By row in the window: length of the head once the block was checked, else 0. */
  readonly checked: Uint8Array;
  used: number;
}

/** Shared by all trees and files of a set. Payloads are views that stay valid as long as they are referenced. */
export class BlockReader {
  readonly #volumes: readonly ReaderVolume[];
  readonly #table: BlockTable;
  readonly #limits: Limits;
  readonly #hasher: IHasher;
  #windows: Window[] = [];
  #clock = 0;

  constructor(volumes: readonly ReaderVolume[], table: BlockTable, limits: Limits, hasher: IHasher) {
    this.#volumes = volumes;
    this.#table = table;
    this.#limits = limits;
    this.#hasher = hasher;
  }

  /** Where a block lies, for messages. */
  place(row: number): { readonly volume: string; readonly block: number; readonly offset: number } {
    return { volume: this.#volumes[this.#table.volume.get(row)]?.name ?? '', block: this.#table.number.get(row), offset: this.#table.offset.get(row) };
  }

  /** The payload if its window is in memory already. */
  cached(row: number): Uint8Array | undefined {
    const window = this.#windows.find((w) => row >= w.first && row < w.first + w.rows);
    return window === undefined || window.checked[row - window.first] === 0 ? undefined : this.#payload(window, row);
  }

  /** The payload of a block. @throws {IntegrityError} when the volume is no longer as it was when it was scanned. */
  async payload(row: number): Promise<Uint8Array> {
    const window = this.#windows.find((w) => row >= w.first && row < w.first + w.rows) ?? this.#load(row);
    this.#clock += 1;
    window.used = this.#clock;
    await window.ready;
    return this.#payload(window, row);
  }

  async close(): Promise<void> {
    this.#windows = [];
    for (const { source } of this.#volumes) await source.close();
  }

  #load(first: number): Window {
    const table = this.#table;
    const volume = table.volume.get(first);
    const start = table.offset.get(first);
    let rows = 1;
    let end = start + table.size.get(first);
    for (let row = first + 1; row < table.rows; row += 1) {
      const next = end + table.size.get(row);
      if (table.volume.get(row) !== volume || table.offset.get(row) !== end || next - start > WINDOW_BYTES) break;
      end = next;
      rows += 1;
    }
    const bytes = this.#buffer(end - start);
    const ready = (this.#volumes[volume] as ReaderVolume).source.readInto(start, bytes, { sequential: true });
    const window: Window = { first, rows, start, bytes, ready, checked: new Uint8Array(rows), used: 0 };
    ready.catch(() => { this.#windows = this.#windows.filter((other) => other !== window); });
    this.#windows.push(window);
    return window;
  }

  #buffer(size: number): Uint8Array {
    while (this.#windows.length >= WINDOWS) {
      const oldest = this.#windows.reduce((a, b) => (a.used <= b.used ? a : b));
      this.#windows = this.#windows.filter((window) => window !== oldest);
    }
    return new Uint8Array(size);
  }

  #payload(window: Window, row: number): Uint8Array {
    const at = row - window.first;
    const begin = this.#table.offset.get(row) - window.start;
    const block = window.bytes.subarray(begin, begin + this.#table.size.get(row));
    if (window.checked[at] === 0) window.checked[at] = this.#check(row, block);
    return block.subarray(window.checked[at]);
  }

  #check(row: number, block: Uint8Array): number {
    const head = readBlockHead(block, 0, this.#limits);
    const place = this.place(row);
    const key = this.#volumes[this.#table.volume.get(row)]?.key;
    if (typeof head === 'string' || head.size !== block.length || head.number !== place.block || openBlock(head, block, { hasher: this.#hasher, key }) !== undefined) {
      throw new IntegrityError(`Read block ${place.block} at offset ${place.offset} of volume '${place.volume}': it changed since the volume was opened`, { ...place });
    }
    return head.headBytes;
  }
}
