/**
 * Reads a volume from front to back and yields its good blocks; where the bytes are damaged it names the fault and goes on
 * at the next block that can be believed.
 *
 * Going on ("resynchronising") must not take a block of a Bacula volume that was itself backed up: a candidate counts only
 * when its checksum holds and its session is known, or the block behind it holds too. The work is linear in the bytes
 * skipped, whatever the bytes are.
 */
import type { IHasher } from 'hash-wasm';
import { AbortedError, type BlockSource, FormatError, LimitError, NotFoundError, type OpenContext, UnsupportedError } from '../../core/index.ts';
import { type BlockHead, blockVersion, HEAD_BYTES_MAX, HEAD_BYTES_MIN, isZero, openBlock, readBlockHead } from './block.ts';
import type { VolumeProblemKind } from './problem.ts';
import type { VolumeKey } from './volume-key.ts';

const WINDOW_BYTES = 1 << 20;
/** Bytes of damage that may be checksummed before any were passed, and for each byte that was. */
const CHECK_BUDGET = 128 << 20;
const CHECKS_PER_BYTE = 4;
/** A file that shows no block within this many bytes is not a volume. */
const HEAD_SEARCH_BYTES = 64 << 20;
const MAGIC = Buffer.from('BB0');

/** A place where the volume departs from its format. `skipped` is in bytes. */
export interface ScanFault {
  readonly kind: VolumeProblemKind;
  readonly offset: number;
  readonly skipped: number;
  readonly block?: number;
  readonly message: string;
}

/** What the scan tells as it goes. `block` is a view that is valid only during the call. */
export interface ScanVisitor {
  block(head: BlockHead, block: Uint8Array, offset: number): void;
  fault(fault: ScanFault): void;
  knowsSession(sessionId: number, sessionTime: number): boolean;
}

/** Sliding window over a source: large sequential reads, one copy of the rest of a block. */
class ScanWindow {
  readonly #source: BlockSource;
  #buffer = new Uint8Array(0);
  #start = 0;
  #length = 0;

  constructor(source: BlockSource) {
    this.#source = source;
  }

  /** At least `need` bytes from `offset`, or all there are; a view that is valid until the next call. */
  async at(offset: number, need: number): Promise<Uint8Array> {
    const wanted = Math.min(need, this.#source.size - offset);
    const inside = offset - this.#start;
    if (inside >= 0 && inside + wanted <= this.#length) return this.#buffer.subarray(inside, this.#length);
    const room = Math.min(Math.max(WINDOW_BYTES, wanted), this.#source.size - offset);
    const kept = inside >= 0 && inside < this.#length ? this.#length - inside : 0;
    if (room > this.#buffer.length) {
      const larger = new Uint8Array(room);
      larger.set(this.#buffer.subarray(inside, inside + kept));
      this.#buffer = larger;
    } else if (kept > 0) this.#buffer.copyWithin(0, inside, inside + kept);
    this.#start = offset;
    this.#length = kept;
    const length = Math.min(this.#buffer.length, this.#source.size - offset);
    await this.#source.readInto(offset + kept, this.#buffer.subarray(kept, length), { sequential: true });
    this.#length = length;
    return this.#buffer.subarray(0, length);
  }

  /** Forgets what was read: the bytes were changed in place. */
  drop(): void {
    this.#length = 0;
  }
}

/** Scans one volume. */
export class VolumeScanner {
  readonly #name: string;
  readonly #source: BlockSource;
  readonly #context: OpenContext;
  readonly #tools: { readonly hasher: IHasher; readonly key: VolumeKey | undefined };
  readonly #visitor: ScanVisitor;
  readonly #window: ScanWindow;
  #lastSize = 0;
  /** What damage may still cost: the whole scan stays linear in the volume's size. */
  #budget = CHECK_BUDGET;
  #blocks = 0;
  #encrypted = 0;
  #encryptedFailed = 0;
  #volumeEncrypted = false;

  constructor(volume: { readonly name: string; readonly source: BlockSource; readonly key: VolumeKey | undefined }, context: OpenContext, hasher: IHasher, visitor: ScanVisitor) {
    this.#name = volume.name;
    this.#source = volume.source;
    this.#context = context;
    this.#tools = { hasher, key: volume.key };
    this.#visitor = visitor;
    this.#window = new ScanWindow(volume.source);
  }

  /**
   * Reads the whole volume.
   * @throws {FormatError} when it holds no block near its start. @throws {UnsupportedError} on BB01. @throws {LimitError} when it is so full of
   * damage that going on would cost more than reading it many times.
   * @throws {NotFoundError} when its key is missing or wrong.
   */
  async run(): Promise<void> {
    const { size } = this.#source;
    let offset = 0;
    while (offset < size) {
      if (this.#context.signal?.aborted === true) throw new AbortedError();
      const bytes = await this.#window.at(offset, HEAD_BYTES_MAX);
      if (offset === 0 && blockVersion(bytes, 0) === 'BB01') {
        throw new UnsupportedError(`Open volume '${this.#name}': block format 'BB01' is not supported, expected BB02 or BB03`, { volume: this.#name });
      }
      offset = bytes.length < HEAD_BYTES_MIN ? this.#tail(offset, bytes) : await this.#step(offset, bytes);
    }
    if (this.#encrypted === 0 && this.#encryptedFailed > 0) {
      throw new NotFoundError(`Open encrypted volume '${this.#name}': the key does not fit, no block decrypts to its checksum`, { volume: this.#name });
    }
    if (this.#blocks === 0) throw this.#notAVolume();
  }

  /** Handles what is at `offset`; returns where to go on. */
  async #step(offset: number, bytes: Uint8Array): Promise<number> {
    const head = readBlockHead(bytes, 0, this.#context.limits);
    if (typeof head === 'string') return this.#damage(offset, head, undefined);
    if (offset + head.size > this.#source.size) return this.#damage(offset, 'truncated-block', head);
    const block = (await this.#window.at(offset, head.size)).subarray(0, head.size);
    const fault = openBlock(head, block, this.#tools);
    if (fault !== undefined) {
      // On a volume that is not encrypted, a block that says it is has a damaged head; so has a label block, which never is.
      if (fault === 'missing-key' && offset > 0 && (this.#blocks === 0 || this.#volumeEncrypted)) {
        throw new NotFoundError(`Open encrypted volume '${this.#name}': no key was given for it`, { volume: this.#name });
      }
      this.#window.drop();
      this.#budget -= head.size;
      if (this.#budget < 0) throw new LimitError('bytes checked behind damage', CHECK_BUDGET - this.#budget, CHECK_BUDGET, `volume '${this.#name}' at offset ${offset}`);
      if (head.encrypted && this.#volumeEncrypted) this.#encryptedFailed += 1;
      return this.#damage(offset, fault === 'missing-key' ? 'bad-block-options' : fault, head);
    }
    this.#accept(head, block, offset);
    return offset + head.size;
  }

  #accept(head: BlockHead, block: Uint8Array, offset: number): void {
    this.#budget += CHECKS_PER_BYTE * head.size;
    this.#lastSize = Math.max(this.#lastSize, head.size);
    this.#blocks += 1;
    if (head.encrypted) this.#encrypted += 1;
    if (head.volumeEncrypted) this.#volumeEncrypted = true;
    this.#visitor.block(head, block, offset);
  }

  #tail(offset: number, bytes: Uint8Array): number {
    const kind = isZero(bytes, 0, bytes.length) ? 'trailing-garbage' : 'truncated-header';
    this.#fault({ kind, offset, skipped: bytes.length, message: `the last '${bytes.length}' bytes are too few for a block's head` });
    return this.#source.size;
  }

  async #damage(offset: number, found: VolumeProblemKind, head: BlockHead | undefined): Promise<number> {
    const next = await this.#resynchronise(offset, head);
    if (next === undefined && this.#blocks === 0) {
      if (this.#encryptedFailed > 0) return this.#source.size;
      throw this.#notAVolume();
    }
    const end = next ?? this.#source.size;
    const kind = this.#diagnose(found, head, offset, next);
    const message = next === undefined ? `${describe(kind)}, and no block follows` : `${describe(kind)}; reading goes on at offset ${end}`;
    this.#fault({ kind, offset, skipped: end - offset, message }, head?.number);
    return end;
  }

  #diagnose(found: VolumeProblemKind, head: BlockHead | undefined, offset: number, next: number | undefined): VolumeProblemKind {
    if (next === undefined) return found === 'bad-block-id' || found === 'zeroed-block' ? 'trailing-garbage' : found;
    if (head !== undefined && next !== offset + head.size) return 'bad-block-length';
    return found;
  }

  #fault(found: Omit<ScanFault, 'block'>, block?: number): void {
    const { kind, offset, skipped, message } = found;
    const text = `Read volume '${this.#name}' at offset ${offset}: ${message} ('${skipped}' bytes skipped)`;
    this.#visitor.fault(block === undefined ? { kind, offset, skipped, message: text } : { kind, offset, skipped, block, message: text });
  }

  #notAVolume(): FormatError {
    return new FormatError(`Open volume '${this.#name}'`, { structure: 'volume', field: 'Id', offset: 12, found: 'no Bacula block', expected: 'BB02 or BB03' });
  }

  /** Offset of the next block that can be believed. */
  async #resynchronise(offset: number, head: BlockHead | undefined): Promise<number | undefined> {
    // Where the damage did not move anything, the next block is where it was: this skips volumes inside the data.
    for (const size of new Set([head?.size ?? 0, this.#lastSize])) {
      if (size > 0 && await this.#believable(offset + size)) return offset + size;
    }
    let at = offset + 1;
    while (at + HEAD_BYTES_MIN <= this.#source.size) {
      if (this.#context.signal?.aborted === true) throw new AbortedError();
      if (this.#blocks === 0 && at > HEAD_SEARCH_BYTES) return undefined;
      const bytes = await this.#window.at(at, HEAD_BYTES_MIN);
      const magic = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(MAGIC, 12);
      const skip = magic < 0 ? Math.max(1, bytes.length - HEAD_BYTES_MIN + 1) : magic - 12;
      at += skip;
      this.#budget += CHECKS_PER_BYTE * (skip + 1);
      if (magic < 0) continue;
      if (this.#budget > 0 && await this.#believable(at)) return at;
      at += 1;
    }
    return undefined;
  }

  /** Whether a block of this volume begins at `offset`. */
  async #believable(offset: number): Promise<boolean> {
    const head = await this.#check(offset);
    if (head === undefined) return false;
    if (head.checksummed && this.#visitor.knowsSession(head.sessionId, head.sessionTime)) return true;
    const end = offset + head.size;
    return end === this.#source.size || await this.#check(end) !== undefined;
  }

  /** The head of the block at `offset` if the block holds. */
  async #check(offset: number): Promise<BlockHead | undefined> {
    if (offset + HEAD_BYTES_MIN > this.#source.size) return undefined;
    const head = readBlockHead(await this.#window.at(offset, HEAD_BYTES_MAX), 0, this.#context.limits);
    if (typeof head === 'string' || offset + head.size > this.#source.size) return undefined;
    this.#budget -= head.size;
    const block = (await this.#window.at(offset, head.size)).slice(0, head.size);
    return openBlock(head, block, this.#tools) === undefined ? head : undefined;
  }
}

function describe(kind: VolumeProblemKind): string {
  switch (kind) {
    case 'bad-checksum': return 'the block does not match its checksum';
    case 'bad-block-id': return 'no block begins here';
    case 'bad-block-length': return "the block's length is wrong";
    case 'bad-block-options': return "the block's options are unknown";
    case 'zeroed-block': return 'the block is zeroed';
    case 'truncated-block': return 'the block is cut short by the end of the volume';
    default: return 'the bytes are no block';
  }
}
