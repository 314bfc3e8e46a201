/**
 * Blocks by their row, for reading content after the scan: neighbouring blocks are read together, kept in a few windows of
 * bounded size, and each block is checked (and decrypted) again before it is used.
 */
import type { IHasher } from 'hash-wasm';
import { type BlockSource, IntegrityError, type Limits } from '../../core/index.ts';
import { openBlock, readBlockHead } from './block.ts';
import type { BlockTable } from './block-table.ts';
import type { VolumeKey } from './volume-key.ts';

/** A window after a jump: little is lost where the next jump follows at once. Each one that follows on is twice as large. */
const WINDOW_BYTES_MIN = 1 << 17;
const WINDOW_BYTES_MAX = 1 << 20;
const WINDOWS_BYTES_MAX = 4 * WINDOW_BYTES_MAX;

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
  readonly buffer: Uint8Array;
  readonly bytes: Uint8Array;
  readonly ready: Promise<void>;
  /** By row in the window: length of the head once the block was checked, else 0. */
  readonly checked: Uint8Array;
  /** It follows on one that was read to its end, so the next one will be wanted too. */
  readonly sequential: boolean;
  used: number;
  leases: number;
  loaded: boolean;
}

/** A payload that stays as it is until it is released; one that is never released only costs its window's memory. */
export interface BlockLease {
  readonly payload: Uint8Array;
  /** To be called once; the payload must not be touched afterwards. */
  release(): void;
}

/** Shared by all trees and files of a set. Buffers of windows that nobody leases are used again. */
export class BlockReader {
  readonly #volumes: readonly ReaderVolume[];
  readonly #table: BlockTable;
  readonly #limits: Limits;
  readonly #hasher: IHasher;
  #windows: Window[] = [];
  readonly #spare: Uint8Array[] = [];
  readonly #spareSmall: Uint8Array[] = [];
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

  /** Leases a block whose window is in memory and checked already. */
  tryLease(row: number): BlockLease | undefined {
    const window = this.#find(row);
    if (window === undefined || window.checked[row - window.first] === 0) return undefined;
    window.leases += 1;
    return this.#leased(window, row);
  }

  /** Leases a block. @throws {IntegrityError} when the volume is no longer as it was when it was scanned. */
  async lease(row: number): Promise<BlockLease> {
    let window = this.#find(row);
    if (window === undefined) {
      window = this.#load(row, this.#find(row - 1));
      window.leases += 1;
      if (window.sequential) this.#prefetch(window);
    } else {
      window.leases += 1;
      if (window.sequential && row === window.first) this.#prefetch(window);
    }
    this.#clock += 1;
    window.used = this.#clock;
    try {
      await window.ready;
      return this.#leased(window, row);
    } catch (error) {
      window.leases -= 1;
      throw error;
    }
  }

  #leased(window: Window, row: number): BlockLease {
    const payload = this.#payload(window, row);
    return { payload, release: () => { window.leases -= 1; } };
  }

  async close(): Promise<void> {
    this.#windows = [];
    for (const { source } of this.#volumes) await source.close();
  }

  #find(row: number): Window | undefined {
    return this.#windows.find((window) => row >= window.first && row < window.first + window.rows);
  }

  /** Starts reading what follows a window, so that the disk works while this one is decoded. */
  #prefetch(window: Window): void {
    const next = window.first + window.rows;
    if (next < this.#table.rows && this.#find(next) === undefined) this.#load(next, window).used = this.#clock + 1;
  }

  /** Reads blocks from `first` on; `before` is the window that ends there, if there is one. */
  #load(first: number, before: Window | undefined): Window {
    const table = this.#table;
    const bytesMax = before === undefined ? WINDOW_BYTES_MIN : Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, 2 * before.bytes.length));
    const volume = table.volume.get(first);
    const start = table.offset.get(first);
    let rows = 1;
    let end = start + table.size.get(first);
    for (let row = first + 1; row < table.rows; row += 1) {
      const next = end + table.size.get(row);
      if (table.volume.get(row) !== volume || table.offset.get(row) !== end || next - start > bytesMax) break;
      end = next;
      rows += 1;
    }
    const buffer = this.#buffer(end - start);
    const bytes = buffer.subarray(0, end - start);
    const ready = (this.#volumes[volume] as ReaderVolume).source.readInto(start, bytes, { sequential: true });
    const window: Window = { first, rows, start, buffer, bytes, ready, checked: new Uint8Array(rows), used: 0, leases: 0, loaded: false, sequential: before !== undefined };
    ready.then(() => { window.loaded = true; }, () => { this.#windows = this.#windows.filter((other) => other !== window); });
    this.#windows.push(window);
    return window;
  }

  /** Room for a window, in the buffer of the oldest one where nobody uses it. */
  #buffer(size: number): Uint8Array {
    const capacity = size > WINDOW_BYTES_MIN ? Math.max(size, WINDOW_BYTES_MAX) : WINDOW_BYTES_MIN;
    const fits = (): boolean => this.#windows.reduce((sum, window) => sum + window.buffer.length, capacity) <= WINDOWS_BYTES_MAX;
    while (this.#windows.length > 1 && !fits()) {
      const oldest = this.#windows.reduce((a, b) => (a.used <= b.used ? a : b));
      this.#windows = this.#windows.filter((window) => window !== oldest);
      if (oldest.leases === 0 && oldest.loaded) this.#spareFor(oldest.buffer.length)?.push(oldest.buffer);
    }
    // Not zeroed first: the read fills all of it, and a window whose read failed is never used.
    return this.#spareFor(capacity)?.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(capacity).buffer);
  }

  #spareFor(capacity: number): Uint8Array[] | undefined {
    return capacity === WINDOW_BYTES_MIN ? this.#spareSmall : capacity === WINDOW_BYTES_MAX ? this.#spare : undefined;
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
