/** A volume file of the storage daemon's archive directory, read beside the daemon that writes it: only whole blocks count. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { MemorySource, ToolError, UnsupportedError, defaultLimits } from '../../src/core/index.ts';
import { blockBytesAt, readVolumeHead } from '../../src/formats/bacula/index.ts';

/** Bytes before the end of what was taken that are compared to see whether the file is still the same. */
const TAIL_BYTES = 65_536;

/** What is known of a file whose first bytes are stored. */
export interface FileState {
  readonly inode: number;
  /** Bytes that are stored. */
  readonly size: number;
  /** Bytes of the first block, and its digest: Bacula writes it over when the first job uses the volume. */
  readonly labelBytes: number;
  readonly label: string;
  /** Digest of the last bytes that are stored. */
  readonly tail: string;
}

/** What became of a file since a state was taken. */
export type FileChange = 'grown' | 'relabelled' | 'replaced';

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Reads up to `length` bytes. */
export type Read = (at: number, length: number) => Promise<Uint8Array>;

/** What stands where a volume's label should be. */
export interface VolumeStart {
  /** The first block; undefined as long as it is not whole, and when no block stands there. */
  readonly block: Uint8Array | undefined;
  /** Why it is not to be believed; undefined for a label that matches its checksum. */
  readonly fault: string | undefined;
  /** It may still be written: there are fewer bytes than a label has. */
  readonly isShort: boolean;
  /** As the label says; undefined without one, and for volume types that are not read. */
  readonly volumeName: string | undefined;
}

/** Reads and checks the start of a file, or of what is stored of it. @throws what `read` throws. */
export async function volumeStart(read: Read): Promise<VolumeStart> {
  const none = { block: undefined, volumeName: undefined };
  const head = await read(0, TAIL_BYTES);
  const size = blockBytesAt(head, 0, defaultLimits);
  if (size === undefined) return { ...none, fault: head.length === 0 ? 'it is empty' : 'it is shorter than a label', isShort: true };
  if (size < 0) return { ...none, fault: 'it does not begin with a block of a volume', isShort: false };
  const block = size <= head.length ? head.subarray(0, size) : await read(0, size);
  if (block.length < size) return { ...none, fault: 'its first block is not whole', isShort: true };
  try {
    const { label, fault } = await readVolumeHead('volume', new MemorySource(block), defaultLimits);
    return { block, fault, isShort: false, volumeName: label?.volumeName };
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    return { block, fault: undefined, isShort: false, volumeName: undefined }; // its checksum is right: bytes can be kept of any type
  }
}

function lastBytes(size: number, read: Read): Promise<Uint8Array> {
  const from = Math.max(0, size - TAIL_BYTES);
  return read(from, size - from);
}

/**
 * What is stored of the file `inode`: `size` bytes, read back by `read`. Not from the file: the daemon may write the label over between the moment it was read
 * and this one, and the new label would count as stored.
 */
export async function storedState(inode: number, size: number, read: Read): Promise<FileState> {
  const label = (await volumeStart(read)).block ?? new Uint8Array(0);
  return { inode, size, labelBytes: label.length, label: digest(label), tail: digest(await lastBytes(size, read)) };
}

/** One open file. */
export class VolumeFile {
  readonly path: string;
  readonly inode: number;
  readonly size: number;
  /** When it was written last, milliseconds since 1970. */
  readonly modified: number;
  readonly #handle: fs.promises.FileHandle;
  #start: Promise<VolumeStart> | undefined;

  private constructor(path: string, handle: fs.promises.FileHandle, stat: fs.Stats) {
    this.path = path;
    this.#handle = handle;
    [this.inode, this.size, this.modified] = [stat.ino, stat.size, stat.mtimeMs];
  }

  /** Undefined when it went away, or is no file. @throws {ToolError} */
  static async open(path: string): Promise<VolumeFile | undefined> {
    try {
      const handle = await fs.promises.open(path, 'r');
      const stat = await handle.stat();
      if (stat.isFile()) return new VolumeFile(path, handle, stat);
      await handle.close();
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'EISDIR') return undefined;
      throw new ToolError(`Open volume file '${path}': ${code ?? String(error)}`, { path, errno: code }, error);
    }
  }

  /** Bytes of `[at, at + length)` as far as the file goes, which may have become shorter; in `buffer` if one is given. @throws {ToolError} */
  async read(at: number, length: number, buffer?: Uint8Array): Promise<Uint8Array> {
    const bytes = buffer?.subarray(0, length) ?? new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#handle.read(bytes, done, length - done, at + done).catch((error: unknown) => {
        throw new ToolError(`Read volume file '${this.path}': ${(error as NodeJS.ErrnoException).code ?? String(error)}`, { path: this.path }, error);
      });
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  }

  /**
   * Bytes of whole blocks at the start of `bytes`, which stand at `at`; `needed` is how many bytes would show one more. -1: what stands there is no block.
   */
  static wholeBlocks(bytes: Uint8Array): { readonly whole: number; readonly needed: number } {
    for (let whole = 0; ;) {
      const size = blockBytesAt(bytes, whole, defaultLimits);
      if (size === undefined) return { whole, needed: whole + 24 };
      if (size < 0) return { whole, needed: -1 };
      if (whole + size > bytes.length) return { whole, needed: whole + size };
      whole += size;
    }
  }

  /** Its start as it was at the first call: what was judged is what is stored, also when the daemon writes it over meanwhile. */
  start(): Promise<VolumeStart> {
    return this.#start ??= volumeStart((at, length) => this.read(at, length));
  }

  /**
   * Whether this is the file of a state under another name. The inode alone does not say so: that of a deleted volume is given to the next new file. Neither does
   * a volume that was nothing but a label, once that is another.
   */
  async isSameAs(state: FileState): Promise<boolean> {
    if (state.size === 0) return false;
    const change = await this.changeSince(state);
    return change === 'grown' || (change === 'relabelled' && state.size > state.labelBytes);
  }

  /** How the file relates to what was stored of it. */
  async changeSince(state: FileState): Promise<FileChange> {
    if (this.size < state.size || this.inode !== state.inode || digest(await lastBytes(state.size, (at, length) => this.read(at, length))) !== state.tail) {
      // A file that is as short as its label shows a new label in its tail, too.
      if (this.inode !== state.inode || this.size < state.size || state.size > state.labelBytes) return 'replaced';
    }
    const { block: label } = await this.start();
    if (label === undefined) return state.labelBytes === 0 ? 'grown' : 'replaced';
    if (digest(label) === state.label) return 'grown';
    return label.length === state.labelBytes ? 'relabelled' : 'replaced';
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
