/**
 * System calls through `node:fs`, for machines where koffi cannot be loaded. Losses: no extended attributes, no fifos,
 * devices or sockets, holes are read as data, times are set to microseconds. Each shows in `capabilities`.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import type { NodeStat, Timestamp } from '../../core/index.ts';
import { StatRecord } from './stat-record.ts';
import { errno, procPath, type NameList, type SystemCalls, type SystemCapabilities } from './system-calls.ts';

const BILLION = 1_000_000_000n;

/** The path without its NUL, as `node:fs` wants it. */
function pathOf(directory: number, name: Uint8Array): Buffer {
  const path = procPath(directory, name);
  return Buffer.from(path.buffer, path.byteOffset, path.length - 1);
}

/** Runs a call of `node:fs`. @returns its result when that is a number, 0, or the negative errno. */
function attempt(call: () => unknown): number {
  try {
    const result = call();
    return typeof result === 'number' ? result : 0;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).errno;
    if (code === undefined) throw error;
    return code;
  }
}

/** Seconds in the middle of the microsecond: rounding on the way through a double cannot leave it. */
function seconds(time: Timestamp): number {
  return time.seconds + (Math.floor(time.nanoseconds / 1000) + 0.5) / 1e6;
}

/** See the header; `reason` says why libc is not used. */
export class NodeCalls implements SystemCalls {
  readonly capabilities: SystemCapabilities;
  readonly record: StatRecord = new StatRecord();

  constructor(reason: string) {
    this.capabilities = { implementation: 'node:fs', reason, attributes: false, specials: false, holes: false, timestampNanoseconds: 1000 };
  }

  openAt(directory: number, name: Uint8Array, flags: number, mode: number): number {
    return attempt(() => fs.openSync(pathOf(directory, name), flags, mode));
  }

  close(fd: number): number {
    return attempt(() => fs.closeSync(fd));
  }

  statAt(directory: number, name: Uint8Array): number {
    return attempt(() => this.#fill(fs.lstatSync(pathOf(directory, name), { bigint: true })));
  }

  statFd(fd: number): number {
    return attempt(() => this.#fill(fs.fstatSync(fd, { bigint: true })));
  }

  #fill(stat: fs.BigIntStats): void {
    const record = this.record;
    record.mode = Number(stat.mode);
    record.links = Number(stat.nlink);
    record.uid = Number(stat.uid);
    record.gid = Number(stat.gid);
    record.inodeHigh = Number(stat.ino >> 32n);
    record.inodeLow = Number(stat.ino & 0xffff_ffffn);
    record.size = Number(stat.size);
    record.blocks = Number(stat.blocks);
    [record.accessedSeconds, record.accessedNanoseconds] = split(stat.atimeNs);
    [record.modifiedSeconds, record.modifiedNanoseconds] = split(stat.mtimeNs);
    [record.changedSeconds, record.changedNanoseconds] = split(stat.ctimeNs);
    [record.createdSeconds, record.createdNanoseconds] = split(stat.birthtimeNs);
    // Node fills in the change time where the filesystem has no birth time: not to be told apart, so not reported.
    record.hasCreated = stat.birthtimeNs !== 0n && stat.birthtimeNs !== stat.ctimeNs;
    [record.specialMajor, record.specialMinor] = majorMinor(stat.rdev);
    [record.deviceMajor, record.deviceMinor] = majorMinor(stat.dev);
  }

  names(fd: number): NameList | number {
    let names: Buffer[] = [];
    const result = attempt(() => {
      names = fs.readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
    });
    if (result < 0) return result;
    const bytes = new Uint8Array(names.reduce((sum, name) => sum + name.length + 1, 0));
    const offsets = new Uint32Array(names.length);
    let used = 0;
    for (const [i, name] of names.entries()) {
      offsets[i] = used;
      bytes.set(name, used);
      used += name.length + 1;
    }
    return { bytes, offsets, count: names.length };
  }

  read(fd: number, target: Uint8Array, offset: number): number {
    return attempt(() => fs.readSync(fd, target, 0, target.length, offset));
  }

  write(fd: number, bytes: Uint8Array, offset: number): number {
    return attempt(() => fs.writeSync(fd, bytes, 0, bytes.length, offset));
  }

  truncate(fd: number, size: number): number {
    return attempt(() => fs.ftruncateSync(fd, size));
  }

  deviceSize(fd: number): number {
    return deviceSize(fd);
  }

  seek(): number {
    return -errno.EINVAL;
  }

  adviseSequential(): void {
    // A hint only; the kernel finds out by itself.
  }

  readLink(directory: number, name: Uint8Array): Uint8Array | number {
    let target: Uint8Array = new Uint8Array(0);
    const result = attempt(() => {
      target = fs.readlinkSync(pathOf(directory, name), { encoding: 'buffer' });
    });
    return result < 0 ? result : target;
  }

  makeDirectory(directory: number, name: Uint8Array, mode: number): number {
    return attempt(() => fs.mkdirSync(pathOf(directory, name), { mode }));
  }

  makeSymlink(directory: number, name: Uint8Array, target: Uint8Array): number {
    return attempt(() => fs.symlinkSync(Buffer.from(target.subarray(0, -1)), pathOf(directory, name)));
  }

  makeSpecial(_directory: number, _name: Uint8Array, _stat: NodeStat): number {
    return -errno.ENOSYS;
  }

  link(fromDirectory: number, from: Uint8Array, toDirectory: number, to: Uint8Array): number {
    return attempt(() => fs.linkSync(pathOf(fromDirectory, from), pathOf(toDirectory, to)));
  }

  rename(directory: number, from: Uint8Array, to: Uint8Array, replace: boolean): number {
    if (replace) return attempt(() => fs.renameSync(pathOf(directory, from), pathOf(directory, to)));
    const linked = this.link(directory, from, directory, to);
    return linked < 0 ? linked : this.unlink(directory, from, false);
  }

  unlink(directory: number, name: Uint8Array, isDirectory: boolean): number {
    const path = pathOf(directory, name);
    return attempt(() => (isDirectory ? fs.rmdirSync(path) : fs.unlinkSync(path)));
  }

  chownFd(fd: number, uid: number, gid: number): number {
    return attempt(() => fs.fchownSync(fd, uid, gid));
  }

  chownAt(directory: number, name: Uint8Array, uid: number, gid: number): number {
    return attempt(() => fs.lchownSync(pathOf(directory, name), uid, gid));
  }

  chmodFd(fd: number, mode: number): number {
    return attempt(() => fs.fchmodSync(fd, mode));
  }

  chmodAt(directory: number, name: Uint8Array, mode: number): number {
    return attempt(() => fs.chmodSync(pathOf(directory, name), mode));
  }

  setTimesFd(fd: number, accessed: Timestamp | undefined, modified: Timestamp): number {
    return attempt(() => fs.futimesSync(fd, seconds(accessed ?? modified), seconds(modified)));
  }

  setTimesAt(directory: number, name: Uint8Array, accessed: Timestamp | undefined, modified: Timestamp): number {
    return attempt(() => fs.lutimesSync(pathOf(directory, name), seconds(accessed ?? modified), seconds(modified)));
  }

  mayHaveAttributes(): boolean {
    return true;
  }

  listAttributes(): number {
    return -errno.ENOTSUP;
  }

  getAttribute(): number {
    return -errno.ENOTSUP;
  }

  setAttributeFd(): number {
    return -errno.ENOTSUP;
  }

  setAttributeAt(): number {
    return -errno.ENOTSUP;
  }

  /** `sync` without arguments waits for every filesystem: more than asked, never less. */
  syncFilesystem(): Promise<number> {
    return new Promise((resolve) => {
      const child = spawn('sync', { stdio: 'ignore' });
      child.on('error', () => resolve(-errno.ENOSYS));
      child.on('exit', (code) => resolve(code === 0 ? 0 : -errno.EIO));
    });
  }
}

function split(nanoseconds: bigint): [number, number] {
  const rest = ((nanoseconds % BILLION) + BILLION) % BILLION;
  return [Number((nanoseconds - rest) / BILLION), Number(rest)];
}

function majorMinor(device: bigint): [number, number] {
  return [
    Number((device >> 8n & 0xfffn) | (device >> 32n & 0xffff_f000n)),
    Number((device & 0xffn) | (device >> 12n & 0xffff_ff00n)),
  ];
}

/** Bytes of a block device: `node:fs` has no seek to the end, so the last readable byte is searched for. */
function deviceSize(fd: number): number {
  const probe = new Uint8Array(1);
  const readable = (at: number): boolean => fs.readSync(fd, probe, 0, 1, at) === 1;
  if (!readable(0)) return 0;
  let low = 0;
  let high = 512;
  while (high < Number.MAX_SAFE_INTEGER && readable(high)) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (readable(middle)) low = middle;
    else high = middle;
  }
  return high;
}
