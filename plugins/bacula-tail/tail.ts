/**
 * Follows the volume files of one directory into a shelf. What is stored of each file is written down beside the spool, so that a restart goes on where it was; the shelf's
 * own content counts where the two differ. One round looks at every file once.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { equalBytes } from '../../src/core/index.ts';
import type { ShelfVolume, VolumeShelf } from '../../src/services/volumes/index.ts';
import { storedState, VolumeFile, volumeStart, type FileState, type Read } from './volume-file.ts';

/** Bytes read at once; a block that is longer is read alone. */
const PIECE_BYTES = 1 << 20;
/** After so long without a write, a file's volume is committed, and what is no block at its end is taken as it is. */
const QUIET_MS = 10_000;

/** What a round did with one file. */
export interface FileProgress {
  readonly volume: string;
  readonly fileBytes: number;
  readonly storedBytes: number;
  readonly committedBytes: number;
  /** Bytes of the file that are not stored yet: of a block that is not whole. */
  readonly lagBytes: number;
  /** What happened: `new`, `grown`, `relabelled`, `replaced`, `kept` (the file is damaged, what is stored stays); undefined for nothing. */
  readonly change: string | undefined;
}

/** What a look at a file's start says: follow it; keep what is stored of it; pass over it; look again. */
type Verdict = 'follow' | 'keep' | 'pass' | 'wait';

/** Which files were not followed as they are, in the last round. */
export interface Troubles {
  /** Damaged, with an older copy that stays. */
  readonly kept: readonly string[];
  /** No volume, or one whose label is damaged. */
  readonly doubtful: readonly string[];
}

function readerOf(volume: ShelfVolume, size = volume.size): Read {
  return async (from, length) => {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - from)));
    await volume.readInto(from, bytes);
    return bytes;
  };
}

/** See the header. Rounds come one at a time. */
export class Tail {
  readonly #shelf: VolumeShelf;
  readonly #directory: string;
  readonly #stateFile: string;
  readonly #note: (text: string) => void;
  readonly #buffer: Uint8Array = new Uint8Array(PIECE_BYTES);
  readonly #states = new Map<string, FileState>();
  /** Modification time and size at the last look, so that a quiet file costs one stat. */
  readonly #seen = new Map<string, string>();
  /** By name: what is wrong with a file, `undefined` text as long as it was seen once only. */
  readonly #troubles = new Map<string, { readonly kind: keyof Troubles; readonly text: string | undefined }>();

  constructor(shelf: VolumeShelf, parts: { readonly directory: string; readonly stateFile: string; note(text: string): void }) {
    this.#shelf = shelf;
    this.#directory = parts.directory;
    this.#stateFile = parts.stateFile;
    this.#note = (text) => { parts.note(text); };
    this.#readStates();
  }

  /** As the last look at each file found it. */
  get troubles(): Troubles {
    const of = (kind: keyof Troubles): readonly string[] => [...this.#troubles].flatMap(([name, one]) => (one.kind === kind ? [name] : []));
    return { kept: of('kept'), doubtful: of('doubtful') };
  }

  /** Looks at all files. `isLast`: nothing comes after, so that everything is committed. @throws {ToolError} @throws what the shelf throws. */
  async round(isLast: boolean): Promise<readonly FileProgress[]> {
    const names = (await fs.promises.readdir(this.#directory)).sort();
    await this.#renamed(names);
    const progress: FileProgress[] = [];
    for (const name of names) {
      const one = await this.#file(name, isLast);
      if (one !== undefined) progress.push(one);
    }
    for (const name of this.#troubles.keys()) if (!names.includes(name)) this.#troubles.delete(name);
    for (const name of this.#states.keys()) {
      if (names.includes(name) || this.#seen.get(name) === 'gone') continue;
      this.#seen.set(name, 'gone');
      this.#note(`volume file '${name}' is gone; what is stored of it stays`);
    }
    return progress;
  }

  /** A file under a new name, with the inode and the content of one that is gone, is the same volume. */
  async #renamed(names: readonly string[]): Promise<void> {
    const present = new Set(names);
    for (const [from, state] of this.#states) {
      if (present.has(from)) continue;
      for (const to of names) {
        if (this.#isStored(to) || this.#states.has(to) || !await this.#isFileOf(to, state)) continue;
        await this.#shelf.rename(from, to);
        this.#states.delete(from);
        this.#states.set(to, state);
        this.#writeStates();
        this.#note(`volume '${from}' is now '${to}'`);
        break;
      }
    }
  }

  async #isFileOf(name: string, state: FileState): Promise<boolean> {
    const stat = fs.statSync(path.join(this.#directory, name), { throwIfNoEntry: false });
    if (stat?.ino !== state.inode || !stat.isFile()) return false;
    const file = await VolumeFile.open(path.join(this.#directory, name));
    try {
      return await file?.isSameAs(state) ?? false;
    } finally {
      await file?.close();
    }
  }

  #isStored(name: string): boolean {
    return this.#shelf.list().some((one) => one.name === name && one.size > 0);
  }

  async #file(name: string, isLast: boolean): Promise<FileProgress | undefined> {
    const file = await VolumeFile.open(path.join(this.#directory, name));
    if (file === undefined) return undefined;
    try {
      const isQuiet = Date.now() - file.modified > QUIET_MS;
      const look = `${file.inode}/${file.size}/${file.modified}/${isQuiet}`;
      if (!isLast && this.#seen.get(name) === look) return undefined;
      const verdict = await this.#judge(name, file, { isQuiet, isLast });
      if (verdict === 'wait') return undefined;
      if (verdict === 'pass') {
        this.#seen.set(name, look);
        return undefined;
      }
      const volume = await this.#shelf.open(name, { create: true });
      try {
        const change = verdict === 'keep' ? 'kept' : await this.#follow(file, volume, isQuiet);
        if (isLast || isQuiet) await volume.commit();
        this.#seen.set(name, look);
        const committed = this.#shelf.list().find((one) => one.name === name)?.committed ?? 0;
        return { volume: name, fileBytes: file.size, storedBytes: volume.size, committedBytes: committed, lagBytes: Math.max(0, file.size - volume.size), change };
      } finally {
        await volume.close();
      }
    } finally {
      await file.close();
    }
  }

  /** A stored volume is touched only by a file that begins with its label: zeroes or nothing in its place are damage, whatever the rest holds. */
  async #judge(name: string, file: VolumeFile, { isQuiet, isLast }: { readonly isQuiet: boolean; readonly isLast: boolean }): Promise<Verdict> {
    const start = await file.start();
    const isStored = this.#isStored(name);
    if (start.isShort && !isQuiet && !(isStored && isLast)) return 'wait'; // just made, or just recycled
    if (isStored && !await this.#isLabelOf(name, file)) {
      return this.#trouble(name, { kind: 'kept', isLast, text: `volume file '${name}' is not followed: ${start.fault ?? `its label is that of '${start.volumeName ?? ''}'`}; what is stored of it stays` }) ? 'keep' : 'wait';
    }
    if (start.fault === undefined) {
      this.#troubles.delete(name);
      return 'follow';
    }
    const isVolume = start.block !== undefined;
    const text = isVolume ? `volume file '${name}' is stored as it is: ${start.fault}` : `file '${name}' is passed over: ${start.fault}`;
    if (!this.#trouble(name, { kind: 'doubtful', isLast, text })) return 'wait';
    return isVolume ? 'follow' : 'pass';
  }

  /** Whether the file begins with the label that is stored, or a valid one of this volume, as a recycled volume has. */
  async #isLabelOf(name: string, file: VolumeFile): Promise<boolean> {
    const start = await file.start();
    if (start.block === undefined) return false;
    if (start.fault === undefined && start.volumeName === name) return true;
    const volume = await this.#shelf.open(name);
    try {
      const stored = await volumeStart(readerOf(volume));
      if (stored.block !== undefined && equalBytes(stored.block, start.block)) return true;
      return start.fault === undefined && stored.fault === undefined && start.volumeName === stored.volumeName;
    } finally {
      await volume.close();
    }
  }

  /** Says what is wrong with a file, once. @returns false at the first look of several: the daemon may be writing the label just now. */
  #trouble(name: string, { kind, text, isLast }: { readonly kind: keyof Troubles; readonly text: string; readonly isLast: boolean }): boolean {
    const before = this.#troubles.get(name);
    const isSure = isLast || before?.kind === kind;
    this.#troubles.set(name, { kind, text: isSure ? text : undefined });
    if (isSure && before?.text !== text) this.#note(text);
    return isSure;
  }

  async #follow(file: VolumeFile, volume: ShelfVolume, isQuiet: boolean): Promise<string | undefined> {
    const known = this.#states.get(volume.name);
    const before = volume.size;
    let change: string | undefined = known === undefined ? 'new' : await file.changeSince(known);
    let at = 0;
    if (known !== undefined && change !== 'replaced' && volume.size >= known.size) {
      at = known.size;
      if (change === 'relabelled') await this.#relabel(file, volume);
    } else if (change === 'grown' || change === 'relabelled') change = 'replaced'; // the shelf lost what was not synced
    if (volume.size > at) await volume.truncate(at);
    const end = await this.#append(file, volume, { at, isQuiet });
    if (change === 'grown' && end === before) return undefined;
    await volume.sync();
    this.#states.set(volume.name, await storedState(file.inode, end, readerOf(volume, end)));
    this.#writeStates();
    return change;
  }

  /** Block 0 alone is written; everything behind it stays as it is in the repository. */
  async #relabel(file: VolumeFile, volume: ShelfVolume): Promise<void> {
    const { block: label } = await file.start();
    if (label === undefined) return;
    const stored = new Uint8Array(label.length);
    await volume.readInto(0, stored);
    if (!equalBytes(stored, label)) await volume.write(0, label);
  }

  /** @returns the end of what is stored. */
  async #append(file: VolumeFile, volume: ShelfVolume, { at: from, isQuiet }: { readonly at: number; readonly isQuiet: boolean }): Promise<number> {
    let at = from;
    let wanted = PIECE_BYTES;
    while (at < file.size) {
      const bytes = await file.read(at, Math.min(wanted, file.size - at), wanted > PIECE_BYTES ? undefined : this.#buffer);
      const { whole, needed } = VolumeFile.wholeBlocks(bytes);
      const take = needed < 0 && isQuiet && whole === 0 ? bytes.length : whole;
      if (take === 0) {
        if (needed <= bytes.length || needed <= wanted) break; // torn, or not believed as long as someone may be writing it
        wanted = needed;
        continue;
      }
      await volume.write(at, bytes.subarray(0, take));
      at += take;
      wanted = PIECE_BYTES;
    }
    return at;
  }

  #readStates(): void {
    if (!fs.existsSync(this.#stateFile)) return;
    const value = JSON.parse(fs.readFileSync(this.#stateFile, 'utf8')) as { readonly directory?: string; readonly files?: Readonly<Record<string, FileState>> };
    if (value.directory !== this.#directory) return;
    for (const [name, state] of Object.entries(value.files ?? {})) this.#states.set(name, state);
  }

  #writeStates(): void {
    const text = JSON.stringify({ directory: this.#directory, files: Object.fromEntries(this.#states) });
    const file = fs.openSync(`${this.#stateFile}.new`, 'w', 0o600);
    try {
      fs.writeSync(file, text);
      fs.fsyncSync(file); // a name without content would look like damage after a crash
    } finally {
      fs.closeSync(file);
    }
    fs.renameSync(`${this.#stateFile}.new`, this.#stateFile);
  }
}
