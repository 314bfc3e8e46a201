/**
 * System calls of libc through koffi: nanosecond times, extended attributes, devices, holes. koffi is loaded here and
 * nowhere else. 64-bit little-endian Linux only: the layouts below are those of the kernel there.
 *
 * Source: statx(2), getdents64(2), utimensat(2), include/uapi/linux/stat.h.
 */
import { createRequire } from 'node:module';
import { LimitError, attributeNameBytes, type NodeStat, type Timestamp } from '../../core/index.ts';
import { deviceNumber, modeType, StatRecord } from './stat-record.ts';
import { errno, procPath, type NameList, type SystemCalls, type SystemCapabilities } from './system-calls.ts';

type Native = (...args: readonly unknown[]) => number;
interface AsyncNative extends Native {
  async(...args: readonly unknown[]): void;
}
interface Koffi {
  load(path: string): { func(prototype: string): AsyncNative };
  errno(): number;
}

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const AT_NO_AUTOMOUNT = 0x800;
const STATX_BASIC_AND_BIRTH = 0xfff;
const O_CLOEXEC = 0o2000000;
const RENAME_NOREPLACE = 1;
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const UTIME_OMIT = 0x3fff_fffe;
const ATTRIBUTE_BYTES_MAX = 65_536;
/** Offsets of names are u32. */
const NAME_BYTES_MAX = 0xffff_ffff;
const EMPTY = new Uint8Array(1);

/** Numbers of the two calls that older libcs do not wrap. Source: the kernel's syscall tables. */
const numbers: Readonly<Record<string, { readonly getdents64: number; readonly mknodat: number }>> = {
  x64: { getdents64: 217, mknodat: 259 },
  arm64: { getdents64: 61, mknodat: 33 },
  riscv64: { getdents64: 61, mknodat: 33 },
  loong64: { getdents64: 61, mknodat: 33 },
};

const prototypes = {
  openat: 'int openat(int, const void*, int, uint)',
  close: 'int close(int)',
  statx: 'int statx(int, const void*, int, uint, void*)',
  pread: 'long pread(int, void*, size_t, long)',
  pwrite: 'long pwrite(int, const void*, size_t, long)',
  ftruncate: 'int ftruncate(int, long)',
  lseek: 'long lseek(int, long, int)',
  posix_fadvise: 'int posix_fadvise(int, long, long, int)',
  readlinkat: 'long readlinkat(int, const void*, void*, size_t)',
  mkdirat: 'int mkdirat(int, const void*, uint)',
  symlinkat: 'int symlinkat(const void*, int, const void*)',
  linkat: 'int linkat(int, const void*, int, const void*, int)',
  renameat: 'int renameat(int, const void*, int, const void*)',
  renameat2: 'int renameat2(int, const void*, int, const void*, uint)',
  unlinkat: 'int unlinkat(int, const void*, int)',
  fchown: 'int fchown(int, uint, uint)',
  fchownat: 'int fchownat(int, const void*, uint, uint, int)',
  fchmod: 'int fchmod(int, uint)',
  fchmodat: 'int fchmodat(int, const void*, uint, int)',
  futimens: 'int futimens(int, const void*)',
  utimensat: 'int utimensat(int, const void*, const void*, int)',
  llistxattr: 'long llistxattr(const void*, void*, size_t)',
  flistxattr: 'long flistxattr(int, void*, size_t)',
  lgetxattr: 'long lgetxattr(const void*, const void*, void*, size_t)',
  fsetxattr: 'int fsetxattr(int, const void*, const void*, size_t, int)',
  lsetxattr: 'int lsetxattr(const void*, const void*, const void*, size_t, int)',
  syncfs: 'int syncfs(int)',
  // Declared with fixed parameters: integers go to the same registers as in the variadic form on these machines.
  syscall: 'long syscall(long, long, const void*, ulong, ulong)',
} as const;

type Functions = Readonly<Record<keyof typeof prototypes, AsyncNative>>;

/** Loads libc. @returns the calls, or the reason why `node:fs` has to do. */
export function loadLibcCalls(): SystemCalls | string {
  const table = numbers[process.arch];
  if (process.platform !== 'linux' || table === undefined) return `no libc calls for '${process.platform} ${process.arch}'`;
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi;
  } catch (error) {
    return `koffi cannot be loaded: ${(error as Error).message}`;
  }
  const reasons: string[] = [];
  for (const library of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
    try {
      const libc = koffi.load(library);
      const functions = Object.fromEntries(Object.entries(prototypes).map(([name, prototype]) => [name, libc.func(prototype)]));
      return new LibcCalls(library, functions as Functions, () => -koffi.errno(), table);
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  return reasons.join('; ');
}

class LibcCalls implements SystemCalls {
  readonly capabilities: SystemCapabilities;
  readonly record: StatRecord = new StatRecord();
  readonly #c: Functions;
  readonly #failed: () => number;
  readonly #numbers: { readonly getdents64: number; readonly mknodat: number };
  readonly #statx = new Uint8Array(256);
  readonly #words = new Uint32Array(this.#statx.buffer);
  readonly #halves = new Uint16Array(this.#statx.buffer);
  readonly #times = new Uint32Array(8);
  readonly #scratch = new Uint8Array(ATTRIBUTE_BYTES_MAX);

  constructor(library: string, functions: Functions, failed: () => number, table: { readonly getdents64: number; readonly mknodat: number }) {
    this.capabilities = { implementation: library, attributes: true, specials: true, holes: true, timestampNanoseconds: 1 };
    this.#c = functions;
    this.#failed = failed;
    this.#numbers = table;
  }

  #result(value: number): number {
    return value < 0 ? this.#failed() : value;
  }

  openAt(directory: number, name: Uint8Array, flags: number, mode: number): number {
    return this.#result(this.#c.openat(directory, name, flags | O_CLOEXEC, mode));
  }

  close(fd: number): number {
    return this.#result(this.#c.close(fd));
  }

  statAt(directory: number, name: Uint8Array): number {
    return this.#stat(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
  }

  statFd(fd: number): number {
    return this.#stat(fd, EMPTY, AT_EMPTY_PATH);
  }

  #stat(fd: number, name: Uint8Array, flags: number): number {
    if (this.#c.statx(fd, name, flags, STATX_BASIC_AND_BIRTH, this.#statx) < 0) return this.#failed();
    const words = this.#words;
    const record = this.record;
    record.links = words[4]!;
    record.uid = words[5]!;
    record.gid = words[6]!;
    record.mode = this.#halves[14]!;
    record.inodeLow = words[8]!;
    record.inodeHigh = words[9]!;
    record.size = words[10]! + words[11]! * 0x1_0000_0000;
    record.blocks = words[12]! + words[13]! * 0x1_0000_0000;
    record.accessedSeconds = words[16]! + (words[17]! | 0) * 0x1_0000_0000;
    record.accessedNanoseconds = words[18]!;
    record.hasCreated = (words[0]! & 0x800) !== 0;
    record.createdSeconds = words[20]! + (words[21]! | 0) * 0x1_0000_0000;
    record.createdNanoseconds = words[22]!;
    record.changedSeconds = words[24]! + (words[25]! | 0) * 0x1_0000_0000;
    record.changedNanoseconds = words[26]!;
    record.modifiedSeconds = words[28]! + (words[29]! | 0) * 0x1_0000_0000;
    record.modifiedNanoseconds = words[30]!;
    record.specialMajor = words[32]!;
    record.specialMinor = words[33]!;
    record.deviceMajor = words[34]!;
    record.deviceMinor = words[35]!;
    return 0;
  }

  names(fd: number): NameList | number {
    const page = this.#scratch;
    let bytes = new Uint8Array(4096);
    let offsets = new Uint32Array(128);
    let used = 0;
    let count = 0;
    for (;;) {
      const filled = this.#c.syscall(this.#numbers.getdents64, fd, page, page.length, 0);
      if (filled < 0) return this.#failed();
      if (filled === 0) return { bytes, offsets, count };
      if (used + filled > bytes.length) {
        if (used + filled > NAME_BYTES_MAX) throw new LimitError('directory name bytes', used + filled, NAME_BYTES_MAX, 'directory');
        bytes = grown(bytes, used + filled);
      }
      for (let at = 0; at < filled; at += page[at + 16]! | page[at + 17]! << 8) {
        const start = at + 19;
        // `.` and `..`: a dot followed by NUL, or by a dot and NUL.
        if (page[start] === 0x2e && (page[start + 1] === 0 || page[start + 1] === 0x2e && page[start + 2] === 0)) continue;
        if (count === offsets.length) {
          const larger = new Uint32Array(count * 2);
          larger.set(offsets);
          offsets = larger;
        }
        offsets[count++] = used;
        for (let from = start; ; from += 1) {
          const byte = page[from]!;
          bytes[used++] = byte;
          if (byte === 0) break;
        }
      }
    }
  }

  read(fd: number, target: Uint8Array, offset: number): number {
    return this.#result(this.#c.pread(fd, target, target.length, offset));
  }

  write(fd: number, bytes: Uint8Array, offset: number): number {
    return this.#result(this.#c.pwrite(fd, bytes, bytes.length, offset));
  }

  truncate(fd: number, size: number): number {
    return this.#result(this.#c.ftruncate(fd, size));
  }

  deviceSize(fd: number): number {
    return this.#result(this.#c.lseek(fd, 0, SEEK_END));
  }

  seek(fd: number, offset: number, data: boolean): number {
    return this.#result(this.#c.lseek(fd, offset, data ? SEEK_DATA : SEEK_HOLE));
  }

  adviseSequential(fd: number): void {
    this.#c.posix_fadvise(fd, 0, 0, 2);
  }

  readLink(directory: number, name: Uint8Array): Uint8Array | number {
    const length = this.#c.readlinkat(directory, name, this.#scratch, this.#scratch.length);
    return length < 0 ? this.#failed() : this.#scratch.slice(0, length);
  }

  makeDirectory(directory: number, name: Uint8Array, mode: number): number {
    return this.#result(this.#c.mkdirat(directory, name, mode));
  }

  makeSymlink(directory: number, name: Uint8Array, target: Uint8Array): number {
    return this.#result(this.#c.symlinkat(target, directory, name));
  }

  makeSpecial(directory: number, name: Uint8Array, stat: NodeStat): number {
    const device = deviceNumber(stat.deviceMajor ?? 0, stat.deviceMinor ?? 0);
    return this.#result(this.#c.syscall(this.#numbers.mknodat, directory, name, modeType(stat.type) | 0o600, device));
  }

  link(fromDirectory: number, from: Uint8Array, toDirectory: number, to: Uint8Array): number {
    return this.#result(this.#c.linkat(fromDirectory, from, toDirectory, to, 0));
  }

  rename(directory: number, from: Uint8Array, to: Uint8Array, replace: boolean): number {
    if (replace) return this.#result(this.#c.renameat(directory, from, directory, to));
    const result = this.#result(this.#c.renameat2(directory, from, directory, to, RENAME_NOREPLACE));
    if (result !== -errno.EINVAL && result !== -errno.ENOSYS) return result;
    // The filesystem does not know the flag: a hard link also refuses to replace.
    const linked = this.link(directory, from, directory, to);
    return linked < 0 ? linked : this.unlink(directory, from, false);
  }

  unlink(directory: number, name: Uint8Array, isDirectory: boolean): number {
    return this.#result(this.#c.unlinkat(directory, name, isDirectory ? AT_REMOVEDIR : 0));
  }

  chownFd(fd: number, uid: number, gid: number): number {
    return this.#result(this.#c.fchown(fd, uid, gid));
  }

  chownAt(directory: number, name: Uint8Array, uid: number, gid: number): number {
    return this.#result(this.#c.fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW));
  }

  chmodFd(fd: number, mode: number): number {
    return this.#result(this.#c.fchmod(fd, mode));
  }

  chmodAt(directory: number, name: Uint8Array, mode: number): number {
    return this.#result(this.#c.fchmodat(directory, name, mode, 0));
  }

  #timespecs(accessed: Timestamp | undefined, modified: Timestamp): Uint32Array {
    const times = this.#times;
    times[0] = accessed === undefined ? 0 : accessed.seconds >>> 0;
    times[1] = accessed === undefined ? 0 : Math.floor(accessed.seconds / 0x1_0000_0000);
    times[2] = accessed === undefined ? UTIME_OMIT : accessed.nanoseconds;
    times[4] = modified.seconds >>> 0;
    times[5] = Math.floor(modified.seconds / 0x1_0000_0000);
    times[6] = modified.nanoseconds;
    return times;
  }

  setTimesFd(fd: number, accessed: Timestamp | undefined, modified: Timestamp): number {
    return this.#result(this.#c.futimens(fd, this.#timespecs(accessed, modified)));
  }

  setTimesAt(directory: number, name: Uint8Array, accessed: Timestamp | undefined, modified: Timestamp): number {
    return this.#result(this.#c.utimensat(directory, name, this.#timespecs(accessed, modified), AT_SYMLINK_NOFOLLOW));
  }

  mayHaveAttributes(fd: number): boolean {
    return this.#c.flistxattr(fd, null, 0) !== 0;
  }

  listAttributes(directory: number, name: Uint8Array): Uint8Array | number {
    const length = this.#c.llistxattr(procPath(directory, name), this.#scratch, this.#scratch.length);
    return length < 0 ? this.#failed() : this.#scratch.slice(0, length);
  }

  getAttribute(directory: number, name: Uint8Array, attribute: string): Uint8Array | number {
    const length = this.#c.lgetxattr(procPath(directory, name), attributeName(attribute), this.#scratch, this.#scratch.length);
    return length < 0 ? this.#failed() : this.#scratch.slice(0, length);
  }

  setAttributeFd(fd: number, attribute: string, value: Uint8Array): number {
    return this.#result(this.#c.fsetxattr(fd, attributeName(attribute), value, value.length, 0));
  }

  setAttributeAt(directory: number, name: Uint8Array, attribute: string, value: Uint8Array): number {
    return this.#result(this.#c.lsetxattr(procPath(directory, name), attributeName(attribute), value, value.length, 0));
  }

  syncFilesystem(fd: number): Promise<number> {
    return new Promise((resolve) => {
      // errno is not carried over from the worker thread; a failed syncfs means lost writes, which is EIO.
      this.#c.syncfs.async(fd, (error: Error | null, result: number) => resolve(error !== null || result < 0 ? -errno.EIO : 0));
    });
  }
}

function grown(bytes: Uint8Array<ArrayBuffer>, needed: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(NAME_BYTES_MAX, Math.max(needed, bytes.length * 2)));
  larger.set(bytes);
  return larger;
}

/** An attribute's name as the system wants it: its bytes and a NUL. */
function attributeName(text: string): Uint8Array {
  const bytes = attributeNameBytes(text);
  const name = new Uint8Array(bytes.length + 1);
  name.set(bytes);
  return name;
}
