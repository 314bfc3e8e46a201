/**
 * The system calls that the adapters need, relative to directory descriptors so that no path is ever walked twice and
 * no symlink is followed by accident. Two implementations: libc through koffi (complete), `node:fs` (see its losses in
 * {@link SystemCapabilities}). Linux only: both rely on `/proc/self/fd`.
 *
 * Convention: a call returns its result, 0 or more, or the negative errno. Nothing here throws for what the system says.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import { ToolError, type NodeStat, type Timestamp } from '../../core/index.ts';
import type { StatRecord } from './stat-record.ts';

/** What the calls can do. Each `false` is a loss that trees and sinks report. */
export interface SystemCapabilities {
  /** `libc.so.6`, … or `node:fs`. */
  readonly implementation: string;
  /** Why libc is not used; undefined when it is. */
  readonly reason?: string;
  /** Extended attributes, with them ACLs and file capabilities. */
  readonly attributes: boolean;
  /** Fifos, device nodes and sockets can be made. */
  readonly specials: boolean;
  /** Holes can be found. */
  readonly holes: boolean;
  /** Precision in nanoseconds with which times can be set. */
  readonly timestampNanoseconds: number;
}

/** Names of a directory, each NUL-terminated in `bytes` at `offsets[i]`; `.` and `..` are left out. In no order. */
export interface NameList {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  readonly count: number;
}

/**
 * System calls; `name` arguments are NUL-terminated ({@link cString}) and hold no slash, `directory` is an open
 * descriptor. All but `syncFilesystem` block. Never follows a symlink in `name`.
 */
export interface SystemCalls {
  readonly capabilities: SystemCapabilities;
  /** Filled by `statAt` and `statFd`. */
  readonly record: StatRecord;
  /** `O_CLOEXEC` is added. @returns a descriptor for `close`. */
  openAt(directory: number, name: Uint8Array, flags: number, mode: number): number;
  close(fd: number): number;
  statAt(directory: number, name: Uint8Array): number;
  statFd(fd: number): number;
  /** `fd` must be readable (not `O_PATH`). */
  names(fd: number): NameList | number;
  read(fd: number, target: Uint8Array, offset: number): number;
  write(fd: number, bytes: Uint8Array, offset: number): number;
  truncate(fd: number, size: number): number;
  /** Bytes of a block device. */
  deviceSize(fd: number): number;
  /** Next data (`data` true) or hole at or after `offset`; `-ENXIO` when there is no more data. */
  seek(fd: number, offset: number, data: boolean): number;
  adviseSequential(fd: number): void;
  readLink(directory: number, name: Uint8Array): Uint8Array | number;
  makeDirectory(directory: number, name: Uint8Array, mode: number): number;
  makeSymlink(directory: number, name: Uint8Array, target: Uint8Array): number;
  /** `stat` gives type and device; mode 0600. */
  makeSpecial(directory: number, name: Uint8Array, stat: NodeStat): number;
  link(fromDirectory: number, from: Uint8Array, toDirectory: number, to: Uint8Array): number;
  /** Within one directory. `-EEXIST` when `replace` is false and `to` exists. */
  rename(directory: number, from: Uint8Array, to: Uint8Array, replace: boolean): number;
  unlink(directory: number, name: Uint8Array, isDirectory: boolean): number;
  chownFd(fd: number, uid: number, gid: number): number;
  chownAt(directory: number, name: Uint8Array, uid: number, gid: number): number;
  chmodFd(fd: number, mode: number): number;
  /** Follows a symlink: only for what was just made and is none. */
  chmodAt(directory: number, name: Uint8Array, mode: number): number;
  setTimesFd(fd: number, accessed: Timestamp | undefined, modified: Timestamp): number;
  setTimesAt(directory: number, name: Uint8Array, accessed: Timestamp | undefined, modified: Timestamp): number;
  /** False when an open file surely has no attribute: much cheaper than listing them by name. */
  mayHaveAttributes(fd: number): boolean;
  /** NUL-terminated names back to back. */
  listAttributes(directory: number, name: Uint8Array): Uint8Array | number;
  /** Names of attributes are texts as `attributeNameText` makes them, here and below. */
  getAttribute(directory: number, name: Uint8Array, attribute: string): Uint8Array | number;
  setAttributeFd(fd: number, attribute: string, value: Uint8Array): number;
  setAttributeAt(directory: number, name: Uint8Array, attribute: string, value: Uint8Array): number;
  /** After it resolves with 0, all that was written to the filesystem of `fd` survives a crash. */
  syncFilesystem(fd: number): Promise<number>;
}

/** `open` flag of Linux that `node:fs` does not name: a descriptor for the place only. */
export const O_PATH = 0o10000000;

/** Appends the NUL that system calls want. */
export function cString(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length + 1);
  copy.set(bytes);
  return copy;
}

/** `/proc/self/fd/<directory>/<name>`, NUL-terminated: a path for calls that have no `at` form. `name` may be `.`. */
export function procPath(directory: number, name: Uint8Array): Uint8Array {
  const prefix = `/proc/self/fd/${directory}/`;
  const path = Buffer.allocUnsafe(prefix.length + name.length);
  path.write(prefix, 0, 'latin1');
  path.set(name, prefix.length);
  return path;
}

const errnoNames = new Map(Object.entries(os.constants.errno).map(([name, value]) => [value, name]));

/** `ENOENT` for 2 or −2. */
export function errnoName(errno: number): string {
  return errnoNames.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

/** The error for a negative result; `action` says what was done to which path. */
export function systemError(action: string, errno: number): ToolError {
  const name = errnoName(errno);
  const hint = name === 'ENOSPC' || name === 'EDQUOT' ? ': the disk is full' : '';
  return new ToolError(`${action}: ${name}${hint}`, { errno: name });
}

/** Errno numbers of this platform. */
export const errno: Readonly<Record<keyof typeof os.constants.errno, number>> = os.constants.errno;

/** Flags for opening a directory to work below it: needs no permission to read it. */
export const openPlace: number = O_PATH | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;
