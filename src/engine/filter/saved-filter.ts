/**
 * A filter on disk: `docs/formats/filter.md`. Whatever is wrong with it, the verdict is 'rebuild': a damaged or outdated filter would
 * deny chunks that exist, a missing one only costs a scan of the index.
 */
import { createHash } from 'node:crypto';
import { crc32c, equalBytes } from '../../core/index.ts';
import { FILTER_MAGIC, FILTER_VERSION, filterHeader } from './filter.layout.ts';
import { BLOCK_BYTES, blocksFor, FILTER_CAPACITY_MAX, MembershipFilter, PROBES } from './membership-filter.ts';

/** Parts of a saved filter, to be written one behind the other. `bits` is the filter's own memory: no adds until it is written. */
export interface SavedFilter {
  readonly header: Uint8Array;
  readonly bits: Uint8Array;
}

/** What came of reading one. `reason` is for logs: 'cut short', 'epoch', … */
export type FilterVerdict =
  | { readonly verdict: 'ready'; readonly filter: MembershipFilter }
  | { readonly verdict: 'rebuild'; readonly reason: string };

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

function headerCrc(header: Uint8Array): number {
  return crc32c(header.subarray(0, filterHeader.offsets.headerCrc32c));
}

/**
 * Prepares a filter for writing. `epoch`, an integer from 0 to 2^53 − 1, names the state of the index that the filter reflects: the
 * caller changes it before the index gains an id that the saved filter lacks.
 */
export function serialiseFilter(filter: MembershipFilter, epoch: number): SavedFilter {
  const header = filterHeader.encode({
    magic: FILTER_MAGIC, version: FILTER_VERSION, probes: PROBES, blockBytes: BLOCK_BYTES, blockCount: filter.bits.length / BLOCK_BYTES,
    capacity: filter.capacity, count: filter.count, epochHigh: Math.floor(epoch / 0x1_0000_0000), epochLow: epoch % 0x1_0000_0000,
    bitsSha256: sha256(filter.bits), headerCrc32c: 0,
  });
  new DataView(header.buffer).setUint32(filterHeader.offsets.headerCrc32c, headerCrc(header));
  return { header, bits: filter.bits };
}

function faultOf(bytes: Uint8Array, epoch: number): string | undefined {
  if (bytes.length < filterHeader.size) return 'cut short';
  const header = filterHeader.view(bytes);
  if (header.magic !== FILTER_MAGIC) return 'magic';
  if (header.headerCrc32c !== headerCrc(bytes)) return 'header checksum';
  if (header.version !== FILTER_VERSION) return 'version';
  if (header.epochHigh * 0x1_0000_0000 + header.epochLow !== epoch) return 'epoch';
  if (header.probes !== PROBES || header.blockBytes !== BLOCK_BYTES) return 'parameters';
  if (header.capacity < 1 || header.capacity > FILTER_CAPACITY_MAX || header.blockCount !== blocksFor(header.capacity)) return 'parameters';
  if (bytes.length !== filterHeader.size + header.blockCount * BLOCK_BYTES) return 'cut short or too long';
  if (!equalBytes(header.bitsSha256, sha256(bytes.subarray(filterHeader.size)))) return 'bits checksum';
  return undefined;
}

/** Reads what {@link serialiseFilter} made: header and bits in one buffer, which the filter keeps. Never throws on any bytes. */
export function deserialiseFilter(bytes: Uint8Array, epoch: number): FilterVerdict {
  const reason = faultOf(bytes, epoch);
  if (reason !== undefined) return { verdict: 'rebuild', reason };
  const { capacity, count } = filterHeader.view(bytes);
  return { verdict: 'ready', filter: new MembershipFilter(capacity, { bits: bytes.subarray(filterHeader.size), count }) };
}
