/** Grows a random tree in a mounted directory: content of all shapes, odd names, links, attributes, renames and removals. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { loadCalls, type SystemCalls } from '../../src/fs-adapters/posix/index.ts';
import { seededRandom } from '../../src/core/testing/random.ts';
import type { NodeType } from '../../src/core/index.ts';
import { below, pick, randomAcl, randomBytes, randomName, type Random } from './random-name.ts';
import { posixProfile, type TreeProfile } from './tree-profile.ts';

export { plainProfile, posixProfile, type TreeProfile } from './tree-profile.ts';

const DEPTH_MAX = 12;
const ENOSPC = 28;
/** The kernel's answers to an attribute or a file that is too large for what is left of the filesystem. */
const FULL = new Set([ENOSPC, 7 /* E2BIG */, 34 /* ERANGE */, 122 /* EDQUOT */, 31 /* EMLINK */]);
const FULL_CODES = new Set(['ENOSPC', 'EDQUOT', 'EMLINK', 'EFBIG']);

interface Folder {
  readonly path: Buffer;
  readonly depth: number;
}

interface Entry {
  readonly folder: Folder;
  readonly name: Buffer;
  readonly type: NodeType;
}

const SLASH = Buffer.from('/');

class Grower {
  readonly #random: Random;
  readonly #profile: TreeProfile;
  readonly #calls: SystemCalls = loadCalls();
  readonly #folders: Folder[];
  readonly #entries: Entry[] = [];
  #serial = 0;
  #left: number;

  constructor(directory: string, seed: number, profile: TreeProfile) {
    this.#random = seededRandom(seed);
    this.#profile = profile;
    this.#left = profile.contentBytes;
    this.#folders = [{ path: Buffer.from(directory), depth: 0 }];
  }

  run(): void {
    const steps = this.#steps();
    for (let i = 0; i < this.#profile.steps; i += 1) this.#attempt(pick(this.#random, steps));
    this.#attempt(() => { this.#bigDirectory(); });
  }

  /** A full filesystem is fine: what fits is compared. */
  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!FULL_CODES.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      this.#left = 0;
    }
  }

  #steps(): readonly (() => void)[] {
    const profile = this.#profile;
    const steps: (() => void)[] = [];
    const add = (weight: number, step: () => void): void => { for (let i = 0; i < weight; i += 1) steps.push(step); };
    add(6, () => { this.#file(below(this.#random, 300)); });
    add(5, () => { this.#file(below(this.#random, 40_000)); });
    add(1, () => { this.#file(below(this.#random, 1_500_000)); });
    add(4, () => { this.#folder(); });
    add(2, () => { this.#change(); });
    add(1, () => { this.#fragmented(); });
    add(2, () => { this.#rename(); });
    add(2, () => { this.#remove(); });
    if (profile.sparseBytesMax > 0) add(2, () => { this.#sparse(); });
    if (profile.preallocation) add(1, () => { this.#preallocate(); });
    if (profile.hardLinks) add(2, () => { this.#hardLink(); });
    if (profile.symlinkBytesMax > 0) add(2, () => { this.#symlink(); });
    if (profile.specials) add(1, () => { this.#special(); });
    if (profile.attributeBytesMax > 0) add(4, () => { this.#attributes(); });
    if (profile.acls) add(1, () => { this.#acl(); });
    if (profile.modes) add(2, () => { this.#mode(); });
    if (profile.owners) add(2, () => { this.#owner(); });
    if (profile.times !== undefined) add(4, () => { this.#times(); });
    return steps;
  }

  #place(type: NodeType): Entry {
    const { names, nameLengthMax } = this.#profile;
    this.#serial += 1;
    return { folder: pick(this.#random, this.#folders), name: randomName(this.#random, names, nameLengthMax, this.#serial), type };
  }

  #path(entry: Entry): Buffer {
    return Buffer.concat([entry.folder.path, SLASH, entry.name]);
  }

  /** An entry of one of the types; undefined while there is none. */
  #existing(...types: readonly NodeType[]): Entry | undefined {
    const fitting = types.length === 0 ? this.#entries : this.#entries.filter(({ type }) => types.includes(type));
    return fitting.length === 0 ? undefined : pick(this.#random, fitting);
  }

  #spend(bytes: number): number {
    const granted = Math.min(bytes, this.#left);
    this.#left -= granted;
    return granted;
  }

  #file(bytes: number): void {
    const entry = this.#place('file');
    // Noted first: when the filesystem is full, the file is there all the same.
    fs.closeSync(fs.openSync(this.#path(entry), 'wx'));
    this.#entries.push(entry);
    fs.writeFileSync(this.#path(entry), randomBytes(this.#random, this.#spend(bytes)));
  }

  #folder(): void {
    const entry = this.#place('directory');
    if (entry.folder.depth >= DEPTH_MAX) return;
    fs.mkdirSync(this.#path(entry));
    this.#folders.push({ path: this.#path(entry), depth: entry.folder.depth + 1 });
  }

  #write(entry: Entry, work: (fd: number) => void): void {
    const fd = fs.openSync(this.#path(entry), 'r+');
    try {
      work(fd);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Two files that grow by turns, each part on the disk before the next is written. */
  #fragmented(): void {
    const pair = [this.#place('file'), this.#place('file')];
    for (const entry of pair) {
      fs.closeSync(fs.openSync(this.#path(entry), 'wx'));
      this.#entries.push(entry);
    }
    const rounds = 2 + below(this.#random, 24);
    const piece = pick(this.#random, [1000, 4096, 5000, 8192, 16_384]);
    for (let i = 0; i < rounds; i += 1) {
      for (const entry of pair) {
        this.#write(entry, (fd) => {
          fs.writeSync(fd, randomBytes(this.#random, this.#spend(piece)), 0, null, i * piece);
          fs.fsyncSync(fd);
        });
      }
    }
  }

  #sparse(): void {
    const entry = this.#place('file');
    fs.closeSync(fs.openSync(this.#path(entry), 'wx'));
    this.#entries.push(entry);
    this.#write(entry, (fd) => {
      const pieces = below(this.#random, 12);
      const limit = Math.floor(this.#profile.sparseBytesMax * this.#random() ** 3) + 1;
      for (let i = 0; i < pieces; i += 1) {
        fs.writeSync(fd, randomBytes(this.#random, this.#spend(1 + below(this.#random, 9000))), 0, null, below(this.#random, limit));
      }
      if (below(this.#random, 2) === 0) fs.ftruncateSync(fd, Math.max(limit, fs.fstatSync(fd).size));
    });
  }

  #preallocate(): void {
    const entry = this.#existing('file');
    if (entry === undefined) return;
    const { size } = fs.lstatSync(this.#path(entry));
    const at = below(this.#random, size + 20_000);
    const how = pick(this.#random, [[], ['-n'], ['-p'], ['-z']]);
    // The path may hold any bytes: the file goes in as a descriptor.
    this.#write(entry, (fd) => {
      const length = String(1 + below(this.#random, Math.min(100_000, this.#left + 1)));
      const result = spawnSync('fallocate', [...how, '-o', String(at), '-l', length, '/proc/self/fd/3'], { stdio: ['ignore', 'ignore', 'pipe', fd], encoding: 'utf8' });
      if (result.status !== 0 && !/No space|not supported|unsupported/.test(result.stderr)) throw new Error(`fallocate failed: ${result.error?.message ?? result.stderr}`);
    });
  }

  /** Appends, overwrites or cuts. */
  #change(): void {
    const entry = this.#existing('file');
    if (entry === undefined) return;
    this.#write(entry, (fd) => {
      const { size } = fs.fstatSync(fd);
      if (below(this.#random, 3) === 0) fs.ftruncateSync(fd, below(this.#random, size + 1));
      else fs.writeSync(fd, randomBytes(this.#random, this.#spend(below(this.#random, 8000))), 0, null, below(this.#random, size + 1));
    });
  }

  #rename(): void {
    const entry = this.#existing();
    if (entry === undefined) return;
    const moved = { ...this.#place(entry.type) };
    fs.renameSync(this.#path(entry), this.#path(moved));
    this.#entries[this.#entries.indexOf(entry)] = moved;
  }

  #remove(): void {
    const entry = this.#existing();
    if (entry === undefined) return;
    fs.unlinkSync(this.#path(entry));
    this.#entries.splice(this.#entries.indexOf(entry), 1);
  }

  #hardLink(): void {
    const entry = this.#existing();
    if (entry === undefined) return;
    const link = this.#place(entry.type);
    fs.linkSync(this.#path(entry), this.#path(link));
    this.#entries.push(link);
  }

  #symlink(): void {
    const entry = this.#place('symlink');
    // Around 60 bytes ext changes its form, others elsewhere.
    const length = pick(this.#random, [1, 7, 58, 59, 60, 61, 120, 1 + below(this.#random, this.#profile.symlinkBytesMax)]);
    const raw = randomBytes(this.#random, Math.min(length, this.#profile.symlinkBytesMax));
    const target = raw.map((byte) => (this.#profile.names === 'bytes' && byte !== 0 ? byte : 0x61 + byte % 26));
    fs.symlinkSync(Buffer.from(target), this.#path(entry));
    this.#entries.push(entry);
  }

  /** In the folder of an entry, by descriptor: these calls take names. */
  #call(what: string, entry: Entry, call: (directory: number, name: Uint8Array) => number): void {
    const fd = fs.openSync(entry.folder.path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      const failed = call(fd, Buffer.concat([entry.name, Buffer.alloc(1)]));
      if (failed < 0 && !FULL.has(-failed)) throw new Error(`${what} of ${JSON.stringify(entry.name.toString())} failed: errno ${-failed}`);
    } finally {
      fs.closeSync(fd);
    }
  }

  #special(): void {
    const type = pick(this.#random, ['fifo', 'socket', 'character', 'block'] as const);
    const entry = this.#place(type);
    const numbers = pick(this.#random, [[0, 0], [1, 3], [255, 255], [256, 1], [8, 256], [4095, 1_048_575], [below(this.#random, 4096), below(this.#random, 1 << 20)]] as const);
    const most = this.#profile.deviceMax ?? { major: 4095, minor: 1_048_575 };
    const [deviceMajor, deviceMinor] = [Math.min(numbers[0], most.major), Math.min(numbers[1], most.minor)];
    const time = { seconds: 0, nanoseconds: 0 };
    this.#call('mknod', entry, (directory, name) => this.#calls.makeSpecial(directory, name, { type, size: 0, mode: 0o600, uid: 0, gid: 0, modified: time, links: 1, deviceMajor, deviceMinor }));
    if (fs.lstatSync(this.#path(entry), { throwIfNoEntry: false }) !== undefined) this.#entries.push(entry);
  }

  /** An entry or a folder, as an entry of its parent. */
  #anything(...types: readonly NodeType[]): Entry | undefined {
    if (below(this.#random, 3) > 0 || this.#folders.length === 1) return this.#existing(...types);
    const folder = this.#folders[1 + below(this.#random, this.#folders.length - 1)] as Folder;
    const slash = folder.path.lastIndexOf(0x2f);
    return { folder: { path: folder.path.subarray(0, slash), depth: folder.depth - 1 }, name: folder.path.subarray(slash + 1), type: 'directory' };
  }

  #attributes(): void {
    const { attributeBytesMax, privilegedAttributes } = this.#profile;
    const count = pick(this.#random, [1, 1, 2, 5, 20]);
    const user = this.#anything('file');
    const any = privilegedAttributes && below(this.#random, 4) === 0 ? this.#anything() : undefined;
    for (let i = 0; i < count; i += 1) {
      const length = Math.floor(attributeBytesMax * this.#random() ** 4);
      const name = `${'n'.repeat(below(this.#random, 2) * below(this.#random, 200))}${below(this.#random, 100)}`;
      const value = randomBytes(this.#random, length);
      if (user !== undefined) this.#call('setxattr', user, (directory, place) => this.#calls.setAttributeAt(directory, place, `user.${name}`, value));
      if (any !== undefined) this.#call('setxattr', any, (directory, place) => this.#calls.setAttributeAt(directory, place, `${pick(this.#random, ['trusted', 'security'])}.${name}`, value));
    }
  }

  #acl(): void {
    const entry = this.#anything('file');
    if (entry === undefined) return;
    const names = entry.type === 'directory' ? ['system.posix_acl_access', 'system.posix_acl_default'] : ['system.posix_acl_access'];
    this.#call('setxattr', entry, (directory, place) => this.#calls.setAttributeAt(directory, place, pick(this.#random, names), randomAcl(this.#random)));
  }

  #mode(): void {
    const entry = this.#anything('file', 'fifo', 'socket', 'character', 'block');
    // Folders stay usable whoever grows the tree.
    if (entry !== undefined) fs.chmodSync(this.#path(entry), below(this.#random, 0o10000) | (entry.type === 'directory' ? 0o700 : 0));
  }

  #owner(): void {
    const entry = this.#anything();
    const ids = [0, 1, 1000, 65_534, 65_536, 100_000, 4_000_000_000];
    if (entry !== undefined) fs.lchownSync(this.#path(entry), pick(this.#random, ids), pick(this.#random, ids));
  }

  #times(): void {
    const { times } = this.#profile;
    const entry = this.#anything();
    if (entry === undefined || times === undefined) return;
    const draw = (): { readonly seconds: number; readonly nanoseconds: number } => {
      const seconds = pick(this.#random, [times.from, times.to, 0, -1, 1, 0x7fff_ffff, 0x8000_0000, times.from + below(this.#random, times.to - times.from)]);
      const fits = Math.max(times.from, Math.min(times.to, seconds));
      if (times.unitNanoseconds >= 1e9) return { seconds: fits - fits % (times.unitNanoseconds / 1e9), nanoseconds: 0 };
      return { seconds: fits, nanoseconds: pick(this.#random, [0, 1e9 - times.unitNanoseconds, below(this.#random, 1e9 / times.unitNanoseconds) * times.unitNanoseconds]) };
    };
    this.#call('utimensat', entry, (directory, name) => this.#calls.setTimesAt(directory, name, draw(), draw()));
  }

  /** Many names, of which a third goes again, and some more. */
  #bigDirectory(): void {
    const { bigDirectoryEntries } = this.#profile;
    if (bigDirectoryEntries === 0) return;
    const entry = { ...this.#place('directory'), folder: this.#folders[0] as Folder };
    fs.mkdirSync(this.#path(entry));
    const folder = { path: this.#path(entry), depth: 1 };
    const made: Entry[] = [];
    const fill = (count: number): void => {
      for (let i = 0; i < count; i += 1) {
        const file = { ...this.#place('file'), folder };
        fs.closeSync(fs.openSync(this.#path(file), 'wx'));
        made.push(file);
      }
    };
    fill(bigDirectoryEntries);
    for (const file of made.filter(() => below(this.#random, 3) === 0)) fs.unlinkSync(this.#path(file));
    fill(Math.ceil(bigDirectoryEntries / 20));
  }
}

/**
 * Grows a tree below `directory`, which must be writable (as root, for owners and devices). The same seed and profile make the same tree
 * as long as the filesystem does not fill up; when it does, what fits remains. The program `fallocate` is needed for `preallocation`.
 */
export function growTree(directory: string, seed: number, profile: TreeProfile = posixProfile): void {
  new Grower(directory, seed, profile).run();
}
