/** Makes the sidecar of an object while the object is written. Memory: the parity of the largest object it may become. */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { UsageError, defaultLimits, type Limits, type ObjectStore } from '../../core/index.ts';
import { crc32 } from '../containers/checksums.ts';
import { BLOCK_BYTES, SMALL_BYTES, dataBlocks, factorOf, foldedGeometry, parityBlocks, planParity, type Geometry, type ParityPlan } from './geometry.ts';
import { PARITY_SHARDS_MAX } from './galois.ts';
import { borrowKernel, returnKernel, type GaloisKernel } from './kernel.ts';
import { sidecarName, sidecarParts } from './sidecar.ts';

/** What sort of sidecar. */
export interface ParityOptions {
  /** Name of the object, ASCII, at most 252 bytes. */
  readonly name: string;
  /** Bytes that the object may become, at most `limits.containerBytesMax`; an exact figure makes the best sidecar. */
  readonly sizeMax: number;
  /** A burst of this share of the object can be healed, above 0 up to 100; the sidecar is a little larger. */
  readonly percent: number;
  /** Copies in the sidecar of an object of up to 64 KiB, 1…128; default 2. */
  readonly copies?: number;
  readonly limits?: Limits;
  /** Default `borrowKernel`; `plainKernel` makes the same bytes. */
  readonly makeKernel?: (bytes: number) => GaloisKernel;
}

/** A sidecar in the making. One user; calls do not overlap. */
export interface ParityWriter {
  /** Takes the object's next bytes, front to back; buffers are free again at once. Never more than `sizeMax` in all. */
  append(...parts: readonly Uint8Array[]): void;
  /** Ends it: the sidecar's bytes in parts, valid until `release`. Once only. */
  seal(): readonly Uint8Array[];
  /** `seal`, then writes `parity/<name>`; durable when it resolves. Releases in any case. @throws {BusyError} there is such a sidecar. */
  finish(objects: Pick<ObjectStore, 'put'>): Promise<void>;
  /** Gives memory back; in any state, also twice. */
  release(): void;
}

/** Parity blocks in a kernel's memory: a block being filled, then row by row the parity of all groups. */
class Accumulator {
  readonly #plan: ParityPlan;
  readonly #kernel: GaloisKernel;
  readonly #factors: Geometry;
  #blocks = 0;

  constructor(plan: ParityPlan, makeKernel: (bytes: number) => GaloisKernel) {
    this.#plan = plan;
    this.#kernel = makeKernel((1 + plan.groups * plan.parityShards) * BLOCK_BYTES);
    this.#factors = { kind: 'reed-solomon', size: 0, groups: plan.groups, folds: 0, parityShards: plan.parityShards };
  }

  /** The block that is being filled; zeros behind what was written. */
  get block(): Uint8Array {
    return this.#kernel.memory.subarray(0, BLOCK_BYTES);
  }

  get kernel(): GaloisKernel {
    return this.#kernel;
  }

  /** Adds the block to its group's parity. */
  addBlock(): void {
    const { groups, parityShards } = this.#plan;
    const group = this.#blocks % groups;
    for (let row = 0; row < parityShards; row += 1) {
      this.#kernel.multiplyAdd(this.#at(row, group), 0, BLOCK_BYTES, factorOf(this.#factors, row, this.#blocks));
    }
    this.#blocks += 1;
  }

  /** Joins groups down to what the geometry says; the parity, row by row. */
  fold({ groups, parityShards }: Geometry): readonly Uint8Array[] {
    for (let half = this.#plan.groups / 2; half >= groups; half /= 2) {
      for (let row = 0; row < parityShards; row += 1) {
        for (let group = 0; group < half; group += 1) this.#kernel.multiplyAdd(this.#at(row, group), this.#at(row, group + half), BLOCK_BYTES, 1);
      }
    }
    return Array.from({ length: parityShards }, (_, row) => this.#kernel.memory.subarray(this.#at(row, 0), this.#at(row, groups)));
  }

  #at(row: number, group: number): number {
    return (1 + row * this.#plan.groups + group) * BLOCK_BYTES;
  }
}

class StreamingParity implements ParityWriter {
  readonly #options: ParityOptions;
  readonly #plan: ParityPlan;
  readonly #hash = createHash('sha256');
  /** Of the blocks of data so far. */
  readonly #checksums: Uint32Array;
  #size = 0;
  /** All of the object while it is small. */
  #small: Uint8Array | undefined;
  #coded: Accumulator | undefined;

  constructor(options: ParityOptions) {
    const { sizeMax, percent, copies = 2, limits = defaultLimits } = options;
    if (!(percent > 0 && percent <= 100)) throw new UsageError(`Choose parity from above 0 to 100 percent: '${percent}'`);
    if (!(Number.isInteger(copies) && copies >= 1 && copies <= PARITY_SHARDS_MAX)) throw new UsageError(`Choose 1 to ${PARITY_SHARDS_MAX} copies: '${copies}'`);
    this.#options = options;
    this.#plan = planParity(sizeMax, percent, limits);
    this.#checksums = new Uint32Array(dataBlocks({ size: sizeMax }));
    this.#small = new Uint8Array(Math.min(SMALL_BYTES, Math.ceil(sizeMax / BLOCK_BYTES) * BLOCK_BYTES));
  }

  append(...parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      assert(this.#size + part.length <= this.#options.sizeMax, 'the object keeps to the size that was announced');
      this.#hash.update(part);
      if (this.#small !== undefined && this.#size + part.length <= this.#small.length) {
        this.#small.set(part, this.#size);
        this.#size += part.length;
      } else {
        this.#code(part);
      }
    }
  }

  seal(): readonly Uint8Array[] {
    const sha256 = this.#hash.digest();
    const [geometry, parity] = this.#small === undefined ? this.#sealCoded() : this.#sealCopies(this.#small);
    const data = dataBlocks(geometry);
    const checksums = new Uint32Array(data + parityBlocks(geometry));
    checksums.set(this.#checksums.subarray(0, data));
    for (const [row, bytes] of parity.entries()) writeChecksums(bytes, checksums.subarray(data + row * geometry.groups));
    return sidecarParts({ name: this.#options.name, geometry, sha256 }, checksums, parity);
  }

  async finish(objects: Pick<ObjectStore, 'put'>): Promise<void> {
    try {
      await objects.put(sidecarName(this.#options.name), ...this.seal());
    } finally {
      this.release();
    }
  }

  release(): void {
    if (this.#coded !== undefined) returnKernel(this.#coded.kernel);
    this.#coded = undefined;
  }

  /** From the first byte beyond small size on. */
  #code(part: Uint8Array): void {
    const small = this.#small?.subarray(0, this.#size);
    if (small !== undefined) {
      this.#small = undefined;
      this.#coded = new Accumulator(this.#plan, this.#options.makeKernel ?? borrowKernel);
      this.#size = 0;
      this.#code(small);
    }
    const coded = this.#live();
    const { block } = coded;
    for (let at = 0; at < part.length;) {
      const filled = this.#size % BLOCK_BYTES;
      const taken = Math.min(BLOCK_BYTES - filled, part.length - at);
      block.set(part.subarray(at, at + taken), filled);
      at += taken;
      this.#size += taken;
      if (filled + taken === BLOCK_BYTES) {
        writeChecksums(block, this.#checksums.subarray(this.#size / BLOCK_BYTES - 1));
        coded.addBlock();
      }
    }
  }

  #sealCoded(): readonly [Geometry, readonly Uint8Array[]] {
    const coded = this.#live();
    const rest = this.#size % BLOCK_BYTES;
    if (rest > 0) {
      writeChecksums(coded.block.subarray(0, rest), this.#checksums.subarray(Math.floor(this.#size / BLOCK_BYTES)));
      coded.block.fill(0, rest);
      coded.addBlock();
    }
    const geometry = foldedGeometry(this.#plan, this.#size);
    return [geometry, coded.fold(geometry)];
  }

  #sealCopies(small: Uint8Array): readonly [Geometry, readonly Uint8Array[]] {
    const groups = dataBlocks({ size: this.#size });
    const parityShards = this.#options.copies ?? 2;
    writeChecksums(small.subarray(0, this.#size), this.#checksums);
    const copy = small.subarray(0, groups * BLOCK_BYTES);
    return [{ kind: 'copies', size: this.#size, groups, folds: 0, parityShards }, Array.from({ length: parityShards }, () => copy)];
  }

  #live(): Accumulator {
    assert(this.#coded !== undefined, 'the sidecar has not been released');
    return this.#coded;
  }
}

/** Checksums of all blocks of `bytes`, the last of which may be shorter. */
function writeChecksums(bytes: Uint8Array, target: Uint32Array): void {
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) target[at / BLOCK_BYTES] = crc32(bytes.subarray(at, at + BLOCK_BYTES));
}

/**
 * Begins the sidecar of an object that is about to be written. Nothing is written before `finish`.
 * @throws {UsageError} percent or copies out of range. @throws {LimitError} `sizeMax` is not allowed.
 */
export function createParity(options: ParityOptions): ParityWriter {
  return new StreamingParity(options);
}
