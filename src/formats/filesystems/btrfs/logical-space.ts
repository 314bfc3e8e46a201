/** The logical addresses of a filesystem as readable bytes: each copy by itself, unverified. */
import { type BlockSource, HoldfastError, IntegrityError, type ReadOptions } from '../../../core/index.ts';
import type { ChunkMap, Place } from './chunk-map.ts';

/** A device that is here. */
export interface Device {
  readonly id: number;
  readonly uuid: string;
  readonly source: BlockSource;
  /** It missed the last commits: what is on it may be old. */
  readonly stale: boolean;
}

/** The space; it does not own the devices. */
export class LogicalSpace {
  readonly chunks: ChunkMap;
  readonly #devices: ReadonlyMap<number, Device>;

  constructor(chunks: ChunkMap, devices: ReadonlyMap<number, Device>) {
    this.chunks = chunks;
    this.#devices = devices;
  }

  /** Copies of the bytes at `logical`, the most trusted first: on devices that are here and up to date. @throws {FormatError} */
  copies(logical: number): readonly Place[] {
    const places = this.chunks.places(logical);
    if (places.length === 1) return places;
    return places.map((place) => ({ place, doubt: this.#doubt(place) })).sort((a, b) => a.doubt - b.doubt).map(({ place }) => place);
  }

  #doubt({ device, parts }: Place): number {
    if (parts !== undefined) return 1;
    const found = this.#devices.get(device);
    if (found === undefined) return 3;
    return found.stale ? 2 : 0;
  }

  /** Fills `target` from one copy. @throws {IntegrityError} when its device is missing or too short. */
  async read(place: Place, target: Uint8Array, options?: ReadOptions): Promise<void> {
    if (place.parts === undefined) return this.#readDevice(place.device, place.offset, target, options);
    target.fill(0);
    const part = new Uint8Array(target.length);
    for (const { device, offset } of place.parts) {
      await this.#readDevice(device, offset, part, options);
      for (let i = 0; i < part.length; i += 1) target[i] = (target[i] as number) ^ (part[i] as number);
    }
  }

  async #readDevice(id: number, offset: number, target: Uint8Array, options: ReadOptions | undefined): Promise<void> {
    const device = this.#devices.get(id);
    if (device === undefined) throw new IntegrityError(`Read btrfs: device '${id}' is missing`, { devid: id, offset });
    if (offset + target.length > device.source.size) {
      throw new IntegrityError(`Read btrfs: device '${id}' ends at ${device.source.size}, wanted bytes ${offset}+${target.length}`, { devid: id, offset, length: target.length });
    }
    await device.source.readInto(offset, target, options);
  }

  /**
   * Fills `target` from the first copy that `accepts` it, stripe by stripe. `accepts` gives undefined, or what is wrong.
   * @returns what was wrong with copies that were passed over, in words. @throws {IntegrityError} of the first copy, when none is good.
   */
  async readAny(logical: number, target: Uint8Array, accepts: (part: Uint8Array, at: number) => HoldfastError | undefined, options?: ReadOptions): Promise<string | undefined> {
    let remark: string | undefined;
    for (let at = 0; at < target.length;) {
      const places = this.copies(logical + at);
      const part = target.subarray(at, Math.min(target.length, at + (places[0] as Place).length));
      const wrong = await this.#firstGood(places, part, (bytes) => accepts(bytes, at), options);
      remark ??= wrong;
      at += part.length;
    }
    return remark;
  }

  async #firstGood(places: readonly Place[], part: Uint8Array, accepts: (part: Uint8Array) => HoldfastError | undefined, options?: ReadOptions): Promise<string | undefined> {
    let failure: HoldfastError | undefined;
    for (const place of places) {
      const wrong = await this.#tryCopy(place, part, accepts, options);
      if (wrong === undefined) return failure?.message;
      failure ??= wrong;
    }
    throw failure as HoldfastError;
  }

  async #tryCopy(place: Place, part: Uint8Array, accepts: (part: Uint8Array) => HoldfastError | undefined, options?: ReadOptions): Promise<HoldfastError | undefined> {
    try {
      await this.read(place, part, options);
    } catch (error) {
      if (error instanceof HoldfastError && error.code !== 'ABORTED') return error;
      throw error;
    }
    return accepts(part);
  }
}
