/** From logical addresses to places on devices. Source: kernel `fs/btrfs/volumes.c`; btrfs documentation, "Block group profiles". */
import { FormatError, UnsupportedError } from '../../../core/index.ts';
import { chunkLayout, stripeLayout } from './btrfs.layout.ts';

/** How the bytes of a chunk are spread. */
type Profile = 'single' | 'raid0' | 'mirror' | 'raid10' | 'raid5' | 'raid6';

interface Chunk {
  readonly start: number;
  readonly end: number;
  readonly profile: Profile;
  readonly subStripes: number;
  readonly devices: readonly number[];
  readonly offsets: readonly number[];
}

/** Bytes that lie together on one device. */
export interface Place {
  readonly device: number;
  readonly offset: number;
  /** Bytes from there to the end of the stripe or chunk. */
  readonly length: number;
  /** With it, the bytes are not there: they are the exclusive or of these places. */
  readonly parts?: readonly { readonly device: number; readonly offset: number }[];
}

/** All chunks are striped by this unit. */
const STRIPE = 65_536;
/** Bits of `type`: DATA, SYSTEM and METADATA say what is inside. */
const CONTENT_BITS = 7;
const profiles: ReadonlyMap<number, Profile> = new Map([[0, 'single'], [8, 'raid0'], [16, 'mirror'], [32, 'mirror'], [64, 'raid10'], [128, 'raid5'], [256, 'raid6'], [512, 'mirror'], [1024, 'mirror']]);

function fault(field: string, start: number, found: number, expected: string): FormatError {
  return new FormatError('Read btrfs chunk', { structure: 'btrfs_chunk', field, offset: start, found, expected });
}

function checkStripes(profile: Profile, start: number, stripes: number, subStripes: number): void {
  const least = { single: 1, raid0: 1, mirror: 1, raid10: 2, raid5: 2, raid6: 3 }[profile];
  if (stripes < least || (profile === 'single' && stripes !== 1)) throw fault('num_stripes', start, stripes, `${least} or more for this profile`);
  if (profile === 'mirror' && stripes > 4) throw fault('num_stripes', start, stripes, 'at most 4 copies');
  if (profile === 'raid10' && (subStripes !== 2 || stripes % 2 !== 0)) throw fault('sub_stripes', start, subStripes, '2, with an even number of stripes');
}

/** Bytes of a chunk with its stripes, as they stand at `at`. */
export function chunkBytes(bytes: Uint8Array, at: number): number {
  return chunkLayout.size + chunkLayout.view(bytes, at).num_stripes * stripeLayout.size;
}

/** The chunks by address. */
export class ChunkMap {
  /** In ascending order, without overlap. */
  readonly #chunks: Chunk[] = [];

  /** First address behind the last chunk. */
  get end(): number {
    return this.#chunks.at(-1)?.end ?? 0;
  }

  /** Adds the chunk whose item is `bytes`; one that is known already is the same again. @throws {FormatError} @throws {UnsupportedError} */
  add(start: number, bytes: Uint8Array): void {
    const view = chunkLayout.view(bytes, 0, start);
    const { length, num_stripes: count } = view;
    const end = start + length;
    if (start < 0 || length <= 0 || !Number.isSafeInteger(end)) throw fault('length', start, length, 'a chunk below 2^53');
    const type = view.type - view.type % (CONTENT_BITS + 1);
    const profile = profiles.get(type);
    if (profile === undefined) throw new UnsupportedError(`Read btrfs chunk at ${start}: its profile '${type}' is not known`, { type: view.type });
    checkStripes(profile, start, count, view.sub_stripes);
    if (profile !== 'single' && profile !== 'mirror' && view.stripe_len !== STRIPE) throw fault('stripe_len', start, view.stripe_len, String(STRIPE));
    const stripes = Array.from({ length: count }, (_, i) => stripeLayout.view(bytes, chunkLayout.size + i * stripeLayout.size, start));
    this.#insert({ start, end, profile, subStripes: view.sub_stripes, devices: stripes.map(({ devid }) => devid), offsets: stripes.map(({ offset }) => offset) });
  }

  #insert(chunk: Chunk): void {
    const index = this.#behind(chunk.start);
    const before = this.#chunks[index - 1];
    if (before?.start === chunk.start && before.end === chunk.end) {
      this.#chunks[index - 1] = chunk;
      return;
    }
    if ((before !== undefined && before.end > chunk.start) || (this.#chunks[index]?.start ?? Infinity) < chunk.end) throw fault('length', chunk.start, chunk.end - chunk.start, 'no overlap with another chunk');
    this.#chunks.splice(index, 0, chunk);
  }

  /** Index of the first chunk that starts behind `logical`. */
  #behind(logical: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#chunks[middle] as Chunk).start <= logical) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #at(logical: number): Chunk {
    const chunk = this.#chunks[this.#behind(logical) - 1];
    if (chunk === undefined || logical >= chunk.end) {
      throw new FormatError('Read btrfs', { structure: 'btrfs_key', field: 'logical address', offset: logical, found: logical, expected: 'an address inside a chunk' });
    }
    return chunk;
  }

  /** Where each copy of the bytes at `logical` is; at least one. @throws {FormatError} when no chunk covers the address. */
  places(logical: number): readonly Place[] {
    const chunk = this.#at(logical);
    const { start, end, profile, devices, offsets } = chunk;
    const at = logical - start;
    if (profile === 'single' || profile === 'mirror') {
      return devices.map((device, i) => ({ device, offset: (offsets[i] as number) + at, length: end - logical }));
    }
    const inside = at % STRIPE;
    const number = Math.floor(at / STRIPE);
    const length = Math.min(STRIPE - inside, end - logical);
    const place = (stripe: number, row: number): Place => ({ device: devices[stripe] as number, offset: (offsets[stripe] as number) + row * STRIPE + inside, length });
    if (profile === 'raid0') return [place(number % devices.length, Math.floor(number / devices.length))];
    if (profile === 'raid10') {
      const columns = devices.length / 2;
      const row = Math.floor(number / columns);
      const first = number % columns * 2;
      return [place(first, row), place(first + 1, row)];
    }
    // The columns of a row turn by one device from row to row; parity (P, then Q) stands in the last ones.
    const columns = devices.length - (profile === 'raid5' ? 1 : 2);
    const row = Math.floor(number / columns);
    const stripeOf = (column: number): number => (row + column) % devices.length;
    const wanted = number % columns;
    const others = Array.from({ length: columns + 1 }, (_, column) => column).filter((column) => column !== wanted).map((column) => place(stripeOf(column), row));
    return [place(stripeOf(wanted), row), { ...place(stripeOf(wanted), row), parts: others }];
  }
}
