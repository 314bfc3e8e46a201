/** One data page of a segment: up to 78 sorted entries with their tombstones, its own address and a checksum. */
import { crc32c } from '../../../core/crc32c.ts';
import { equalBytes, ID_BYTES, IntegrityError, PLACE_BYTES } from '../../../core/index.ts';
import { copyId, copyPlaceBytes, type EntryPage } from '../entry-page.ts';
import { ENTRIES_PER_PAGE, ENTRY_BYTES, PAGE_BYTES, PAGE_CRC_OFFSET, pageTail, TOMBSTONES_BYTES, TOMBSTONES_OFFSET } from './log.layout.ts';

const TAIL_OFFSET = TOMBSTONES_OFFSET + TOMBSTONES_BYTES;

/** Where a page belongs. */
export interface PageAddress {
  readonly segment: number;
  readonly page: number;
}

/** Writes the CRC-32C of a whole page, header or footer into its last four bytes. */
export function sealPage(page: Uint8Array): void {
  new DataView(page.buffer, page.byteOffset).setUint32(PAGE_CRC_OFFSET, crc32c(page.subarray(0, PAGE_CRC_OFFSET)));
}

/** Whether the last four bytes of a page, header or footer are its CRC-32C. */
export function isSealed(page: Uint8Array): boolean {
  return new DataView(page.buffer, page.byteOffset).getUint32(PAGE_CRC_OFFSET) === crc32c(page.subarray(0, PAGE_CRC_OFFSET));
}

/** Puts entry `i` of `run` into a page under construction, which is all zeroes at first. */
export function setEntry(page: Uint8Array, index: number, run: EntryPage, i: number): void {
  copyId(run.ids, i * ID_BYTES, page, index * ENTRY_BYTES);
  if (run.tombstones[i] !== 1) copyPlaceBytes(run.places, i * PLACE_BYTES, page, index * ENTRY_BYTES + ID_BYTES);
  else page[TOMBSTONES_OFFSET + (index >> 3)] = (page[TOMBSTONES_OFFSET + (index >> 3)] as number) | 1 << (index & 7);
}

/** Ends a page under construction. */
export function finishPage(page: Uint8Array, count: number, address: PageAddress): void {
  page.set(pageTail.encode({ count, page: address.page, segment: address.segment }), TAIL_OFFSET);
  sealPage(page);
}

/**
 * Checks a page that was read and returns its number of entries.
 * @throws {IntegrityError} checksum, address or count are wrong.
 */
export function openPage(page: Uint8Array, address: PageAddress, expected: number): number {
  const where = { segment: address.segment, page: address.page };
  if (!isSealed(page)) throw new IntegrityError(`Read index page '${address.page}' of segment '${address.segment}': the checksum does not hold`, where);
  const tail = pageTail.view(page, TAIL_OFFSET);
  if (tail.segment !== address.segment || tail.page !== address.page || tail.count !== expected || expected > ENTRIES_PER_PAGE) {
    throw new IntegrityError(`Read index page '${address.page}' of segment '${address.segment}': it is page '${tail.page}' of segment '${tail.segment}' with '${tail.count}' entries, expected '${expected}'`, where);
  }
  return expected;
}

/** Whether entry `index` says "removed". */
export function isRemoved(page: Uint8Array, index: number): boolean {
  return ((page[TOMBSTONES_OFFSET + (index >> 3)] as number) >> (index & 7) & 1) === 1;
}

/** The first 48 bits of the 32 bytes at `at`, as a number that sorts as the bytes do. */
export function prefixAt(bytes: Uint8Array, at: number): number {
  const high = (bytes[at] as number) * 0x1000000 + ((bytes[at + 1] as number) << 16 | (bytes[at + 2] as number) << 8 | (bytes[at + 3] as number));
  return high * 0x10000 + ((bytes[at + 4] as number) << 8 | (bytes[at + 5] as number));
}

/** What a search of one page says: the entry's index, or on which side of the page the id would be. */
export type PageHit = { readonly index: number } | 'before' | 'after' | 'absent';

/** Finds an id in an opened page. */
export function searchPage(page: Uint8Array, count: number, id: Uint8Array): PageHit {
  const prefix = prefixAt(id, 0);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (prefixAt(page, middle * ENTRY_BYTES) < prefix) low = middle + 1;
    else high = middle;
  }
  if (low === count) return 'after';
  const edge = low === 0;
  for (; low < count && prefixAt(page, low * ENTRY_BYTES) === prefix; low += 1) {
    const order = Buffer.compare(page.subarray(low * ENTRY_BYTES, low * ENTRY_BYTES + ID_BYTES), id);
    if (order === 0) return { index: low };
    if (order > 0) return edge && low === 0 ? 'before' : 'absent';
  }
  if (low === count) return 'after';
  return low === 0 ? 'before' : 'absent';
}

/** Copies the place of entry `index` to position `to` of a buffer of places. */
export function copyPlace(page: Uint8Array, index: number, places: Uint8Array, to: number): void {
  copyPlaceBytes(page, index * ENTRY_BYTES + ID_BYTES, places, to * PLACE_BYTES);
}

/** Whether a file begins with the magic bytes. */
export function hasMagic(bytes: Uint8Array, magic: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, magic.length), magic);
}

/** A page of zeroes with a structure at its start and the checksum at its end. */
export function framePage(content: Uint8Array): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  page.set(content);
  sealPage(page);
  return page;
}
