/** What Node does not offer of pipes: their capacity, and how much waits in them. Linux, by koffi. */
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../src/core/index.ts';

/** Source: Linux, include/uapi/linux/fcntl.h and include/uapi/asm-generic/ioctls.h. */
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const FIONREAD = 0x541b;
const PIPE_BYTES_MIN = 65_536;
const POLLERR = 8;
const POLL_MS = 1;
/** Looks without a pause: a reader at work is faster than a timer. */
const SPINS = 100;

interface Koffi {
  load(name: string): { func(signature: string): (...words: readonly unknown[]) => number };
}

type Call = (...words: readonly unknown[]) => number;

let functions: { readonly fcntl: Call; readonly ioctl: Call; readonly poll: Call } | undefined;

function libc(): NonNullable<typeof functions> {
  if (functions === undefined) {
    const library = (createRequire(import.meta.url)('koffi') as Koffi).load('libc.so.6');
    functions = { fcntl: library.func('int fcntl(int fd, int command, ...)'), ioctl: library.func('int ioctl(int fd, ulong request, ...)'), poll: library.func('int poll(void *files, ulong count, int timeout)') };
  }
  return functions;
}

/**
 * Makes room for `bytes`, or for as many as the kernel allows: /proc/sys/fs/pipe-max-size for users without CAP_SYS_RESOURCE. A pipe has 64 KiB, or one page where its user has
 * very many of them. A block that finds less room goes in pieces: the storage daemon reads until the buffer of its device is full.
 */
export function makeRoom(fd: number, bytes: number): void {
  if (libc().fcntl(fd, F_GETPIPE_SZ, 'int', 0) >= bytes) return;
  for (let wanted = bytes; wanted > PIPE_BYTES_MIN; wanted >>>= 1) if (libc().fcntl(fd, F_SETPIPE_SZ, 'int', wanted) >= 0) return;
}

/** Whether all readers have gone: what waits in the pipe will wait for ever. */
function isDeserted(fd: number): boolean {
  const file = Buffer.alloc(8); // struct pollfd: int fd, short events, short revents
  file.writeInt32LE(fd, 0);
  return libc().poll(file, 1, 0) > 0 && (file.readInt16LE(6) & POLLERR) !== 0;
}

/** Resolves when the pipe is empty; with false when it never will be, because nobody reads it any more. */
export async function emptied(fd: number): Promise<boolean> {
  const waiting = new Int32Array(1);
  for (let looks = 0; ; looks += 1) {
    if (libc().ioctl(fd, FIONREAD, 'int *', waiting) !== 0) throw new ToolError('Look into the FIFO: ioctl FIONREAD failed');
    if (waiting[0] === 0) return true;
    if (looks < SPINS) await new Promise<void>((resolve) => { setImmediate(resolve); });
    else if (isDeserted(fd)) return false;
    else await sleep(POLL_MS);
  }
}
