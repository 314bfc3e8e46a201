/**
 * Devices of a pool: what gives the bytes at an offset of a top-level device, from one member, its mirror, or its parity.
 * Nothing here knows whether bytes are right: a device offers all the copies that it can make, the reader of blocks takes the first that
 * matches its checksum. Source: OpenZFS `module/zfs/{vdev_mirror,vdev_missing,vdev_indirect}.c` (comments).
 */
import { AbortedError, type BlockSource, HoldfastError, UnsupportedError } from '../../../core/index.ts';
import { DATA_START } from './label.ts';

/** Why copies were not to be had; the first few go into the error when none is left. */
export class Faults {
  readonly #texts: string[] = [];
  /** Whether something was wrong with a member that is there; that one is missing is known from the start. */
  damaged = false;

  add(text: string, kind: 'damage' | 'missing' = 'damage'): void {
    if (kind === 'damage') this.damaged = true;
    if (this.#texts.length < 8 && !this.#texts.includes(text)) this.#texts.push(text);
  }

  get empty(): boolean {
    return this.#texts.length === 0;
  }

  toString(): string {
    return this.#texts.join('; ');
  }
}

/** A device of any kind. Offsets are those of the pool's data, without labels. */
export interface Vdev {
  /** For people: `mirror-0`, `/dev/sda1`. */
  readonly name: string;
  /** Whether bytes can be had at all. */
  readonly missing: boolean;
  /** Fills `target` with what is most likely right. @returns false, with a fault, when nothing can be read. */
  readInto(offset: number, target: Uint8Array, faults: Faults): Promise<boolean>;
  /** The copies that can be made, the likeliest first; each buffer belongs to the caller. */
  copies(offset: number, length: number, faults: Faults): AsyncIterable<Uint8Array>;
}

/** A disk or file. */
export class LeafVdev implements Vdev {
  readonly name: string;
  readonly missing = false;
  readonly #source: BlockSource;

  constructor(name: string, source: BlockSource) {
    this.name = name;
    this.#source = source;
  }

  async readInto(offset: number, target: Uint8Array, faults: Faults): Promise<boolean> {
    const at = DATA_START + offset;
    if (at + target.length > this.#source.size) {
      faults.add(`'${this.name}' ends before offset '${at + target.length}'`);
      return false;
    }
    try {
      await this.#source.readInto(at, target);
      return true;
    } catch (error) {
      if (!(error instanceof HoldfastError) || error instanceof AbortedError) throw error;
      faults.add(`'${this.name}': ${error.message}`);
      return false;
    }
  }

  async *copies(offset: number, length: number, faults: Faults): AsyncIterable<Uint8Array> {
    const copy = new Uint8Array(length);
    if (await this.readInto(offset, copy, faults)) yield copy;
  }
}

/** A member that was not given. */
export class MissingVdev implements Vdev {
  readonly name: string;
  readonly missing = true;

  constructor(name: string) {
    this.name = name;
  }

  async readInto(_offset: number, _target: Uint8Array, faults: Faults): Promise<boolean> {
    faults.add(`'${this.name}' is missing`, 'missing');
    return false;
  }

  async *copies(offset: number, _length: number, faults: Faults): AsyncIterable<Uint8Array> {
    const copy = new Uint8Array(0);
    if (await this.readInto(offset, copy, faults)) yield copy;
  }
}

/** Members with the same bytes; also one that is being replaced, and a spare in use. */
export class MirrorVdev implements Vdev {
  readonly name: string;
  readonly missing: boolean;
  readonly #members: readonly Vdev[];

  constructor(name: string, members: readonly Vdev[]) {
    this.name = name;
    this.#members = members;
    this.missing = members.every(({ missing }) => missing);
  }

  async readInto(offset: number, target: Uint8Array, faults: Faults): Promise<boolean> {
    for (const member of this.#members) if (await member.readInto(offset, target, faults)) return true;
    return false;
  }

  async *copies(offset: number, length: number, faults: Faults): AsyncIterable<Uint8Array> {
    for (const member of this.#members) yield* member.copies(offset, length, faults);
  }
}

/** A kind of device that is not read: only reading from it fails. */
export class UnsupportedVdev implements Vdev {
  readonly name: string;
  readonly missing = false;
  readonly #kind: string;

  constructor(name: string, kind: string) {
    this.name = name;
    this.#kind = kind;
  }

  /** @throws {UnsupportedError} */
  async readInto(): Promise<boolean> {
    throw new UnsupportedError(`Read ZFS device '${this.name}': devices of type '${this.#kind}' are not supported`, { type: this.#kind });
  }

  async *copies(): AsyncIterable<Uint8Array> {
    if (await this.readInto()) yield new Uint8Array(0);
  }
}
