/**
 * A filter on disk: `docs/formats/filter.md`. Whatever is wrong with it, the answer is to build it again: a damaged or outdated filter
 * would deny chunks that exist, a missing one only costs a scan of the index.
 */
import { createHash } from 'node:crypto';
import { crc32c, equalBytes } from '../../core/index.ts';
import { ColdFilter } from './cold-filter.ts';
import { HotSet } from './hot-set.ts';
import { isPartition, NUMBER_BITS, PARTITION_BYTES_MAX } from './partition.ts';
import { COLD_MAGIC, COLD_MISSING, coldHeader, coldRow, FILTER_VERSION, HOT_MAGIC, hotHeader } from './saved-parts.layout.ts';

/** Which state a hot part belongs to; both numbers are 0…2^53 − 1. */
export interface HotState {
  /** State of the index that both parts together reflect: changed before the index gains an id that they lack. */
  readonly epoch: number;
  /** The cold part that it goes with. */
  readonly stamp: number;
}

/** What came of reading a part. `reason` is for logs: 'cut short', 'epoch', … */
export type SavedVerdict<T> = ({ readonly verdict: 'ready' } & T) | { readonly verdict: 'rebuild'; readonly reason: string };

/** Bytes of a saved file; `readInto` fills all of `target`. */
export interface SavedBytes {
  readonly size: number;
  readInto(offset: number, target: Uint8Array): Promise<void>;
}

const WORD = 0x1_0000_0000;
const PREFIX_BYTES = 6;
const DIGEST_BYTES = 32;
const BUFFER_BYTES: number = 1 << 20;
const PARTITION_BITS: readonly [number, number] = [1, 16];

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/** Sets the last four bytes to the checksum of those before. */
function sealed(header: Uint8Array): Uint8Array {
  new DataView(header.buffer, header.byteOffset, header.length).setUint32(header.length - 4, crc32c(header.subarray(0, header.length - 4)));
  return header;
}

function rebuild(reason: string): { readonly verdict: 'rebuild'; readonly reason: string } {
  return { verdict: 'rebuild', reason };
}

/** Buffers of a hot part, to be written one behind the other. */
export function encodeHot(hot: HotSet, state: HotState): readonly Uint8Array[] {
  const prefixes = new Uint8Array(hot.count * PREFIX_BYTES);
  const view = new DataView(prefixes.buffer);
  let at = 0;
  hot.forEach((high, low) => {
    view.setUint32(at, high);
    view.setUint16(at + 4, low);
    at += PREFIX_BYTES;
  });
  const header = hotHeader.encode({
    magic: HOT_MAGIC, version: FILTER_VERSION, zero: 0, count: hot.count, epochHigh: Math.floor(state.epoch / WORD), epochLow: state.epoch % WORD,
    stampHigh: Math.floor(state.stamp / WORD), stampLow: state.stamp % WORD, prefixesSha256: sha256(prefixes), headerCrc32c: 0,
  });
  return [sealed(header), prefixes];
}

/** Reads what {@link encodeHot} made. Never throws on any bytes. */
export function decodeHot(bytes: Uint8Array, epoch: number): SavedVerdict<{ readonly stamp: number; readonly hot: HotSet }> {
  if (bytes.length < hotHeader.size) return rebuild('cut short');
  const header = hotHeader.view(bytes);
  if (header.magic !== HOT_MAGIC) return rebuild('magic');
  if (header.headerCrc32c !== crc32c(bytes.subarray(0, hotHeader.offsets.headerCrc32c))) return rebuild('header checksum');
  if (header.version !== FILTER_VERSION) return rebuild('version');
  if (header.epochHigh * WORD + header.epochLow !== epoch) return rebuild('epoch');
  const prefixes = bytes.subarray(hotHeader.size);
  if (prefixes.length !== header.count * PREFIX_BYTES) return rebuild('cut short or too long');
  if (!equalBytes(header.prefixesSha256, sha256(prefixes))) return rebuild('prefixes checksum');
  const hot = new HotSet(header.count);
  const view = new DataView(prefixes.buffer, prefixes.byteOffset, prefixes.length);
  for (let at = 0; at < prefixes.length; at += PREFIX_BYTES) {
    if (!hot.addPrefix(view.getUint32(at), view.getUint16(at + 4))) return rebuild('prefixes');
  }
  return { verdict: 'ready', stamp: header.stampHigh * WORD + header.stampLow, hot };
}

/** Bytes of a cold part, to be written one behind the other; each piece is valid until the next. `stamp`, 0…2^53 − 1, is another for each state. */
export function* encodeCold(cold: ColdFilter, stamp: number): Iterable<Uint8Array> {
  const header = sealed(coldHeader.encode({
    magic: COLD_MAGIC, version: FILTER_VERSION, zero: 0, ...cold.shape, stampHigh: Math.floor(stamp / WORD), stampLow: stamp % WORD, headerCrc32c: 0,
  }));
  const table = new Uint8Array(cold.partitionCount * coldRow.size);
  const view = new DataView(table.buffer);
  for (let i = 0; i < cold.partitionCount; i += 1) {
    view.setUint32(i * coldRow.size + coldRow.offsets.count, cold.isMissing(i) ? COLD_MISSING : cold.countOf(i));
    view.setUint32(i * coldRow.size + coldRow.offsets.length, cold.lengthOf(i));
  }
  const digest = createHash('sha256');
  const hashed = (bytes: Uint8Array): Uint8Array => {
    digest.update(bytes);
    return bytes;
  };
  yield hashed(header);
  yield hashed(table);
  const buffer = new Uint8Array(BUFFER_BYTES);
  let used = 0;
  for (let i = 0; i < cold.partitionCount; i += 1) {
    used += cold.copyPartition(i, buffer.subarray(used));
    if (used + PARTITION_BYTES_MAX <= buffer.length) continue;
    yield hashed(buffer.subarray(0, used));
    used = 0;
  }
  yield hashed(buffer.subarray(0, used));
  yield digest.digest();
}

function coldFault(header: ReturnType<typeof coldHeader.view>, bytes: Uint8Array, stamp: number): string | undefined {
  if (header.magic !== COLD_MAGIC) return 'magic';
  if (header.headerCrc32c !== crc32c(bytes.subarray(0, coldHeader.offsets.headerCrc32c))) return 'header checksum';
  if (header.version !== FILTER_VERSION) return 'version';
  if (header.stampHigh * WORD + header.stampLow !== stamp) return 'stamp';
  const { partitionBits, numberBits } = header;
  if (partitionBits < PARTITION_BITS[0] || partitionBits > PARTITION_BITS[1] || numberBits < NUMBER_BITS[0] || numberBits > NUMBER_BITS[1]) return 'parameters';
  return undefined;
}

/** Reads what {@link encodeCold} made, piece by piece. @throws what `readInto` throws. */
export async function readCold(saved: SavedBytes, stamp: number): Promise<SavedVerdict<{ readonly cold: ColdFilter }>> {
  const digest = createHash('sha256');
  const end = saved.size - DIGEST_BYTES;
  if (end < coldHeader.size) return rebuild('cut short');
  const header = new Uint8Array(coldHeader.size);
  await saved.readInto(0, header);
  digest.update(header);
  const { partitionBits, numberBits } = coldHeader.view(header);
  const reason = coldFault(coldHeader.view(header), header, stamp);
  if (reason !== undefined) return rebuild(reason);
  const table = new Uint8Array(coldRow.size * 2 ** partitionBits);
  if (end < coldHeader.size + table.length) return rebuild('cut short');
  await saved.readInto(coldHeader.size, table);
  digest.update(table);
  const cold = new ColdFilter({ partitionBits, numberBits });
  const reader = new ColdReader(cold, table);
  const buffer = new Uint8Array(BUFFER_BYTES);
  let kept = 0;
  for (let at = coldHeader.size + table.length; at < end;) {
    const length = Math.min(buffer.length - kept, end - at);
    await saved.readInto(at, buffer.subarray(kept, kept + length));
    digest.update(buffer.subarray(kept, kept + length));
    at += length;
    const used = reader.take(buffer.subarray(0, kept + length));
    if (used === undefined) return rebuild('partition');
    buffer.copyWithin(0, used, kept + length);
    kept += length - used;
  }
  if (kept > 0 || !reader.isDone) return rebuild('cut short or too long');
  const written = new Uint8Array(DIGEST_BYTES);
  await saved.readInto(end, written);
  return equalBytes(written, digest.digest()) ? { verdict: 'ready', cold } : rebuild('checksum');
}

/** Puts partitions into a filter as their bytes come. */
class ColdReader {
  readonly #cold: ColdFilter;
  readonly #table: DataView;
  #next = 0;

  constructor(cold: ColdFilter, table: Uint8Array) {
    this.#cold = cold;
    this.#table = new DataView(table.buffer);
    this.take(new Uint8Array(0));
  }

  get isDone(): boolean {
    return this.#next === this.#cold.partitionCount;
  }

  /** Takes all whole partitions at the start of `bytes`. @returns the bytes used; undefined when one is not sound. */
  take(bytes: Uint8Array): number | undefined {
    let used = 0;
    for (; this.#next < this.#cold.partitionCount; this.#next += 1) {
      const count = this.#table.getUint32(this.#next * coldRow.size + coldRow.offsets.count);
      const length = this.#table.getUint32(this.#next * coldRow.size + coldRow.offsets.length);
      if (length > PARTITION_BYTES_MAX || (length > 0) !== (count > 0 && count !== COLD_MISSING)) return undefined;
      if (used + length > bytes.length) return used;
      const partition = bytes.subarray(used, used + length);
      if (count === COLD_MISSING) continue;
      if (length > 0 && !isPartition(partition, count, this.#cold.shape.numberBits)) return undefined;
      this.#cold.restore(this.#next, partition, count);
      used += length;
    }
    return used;
  }
}
