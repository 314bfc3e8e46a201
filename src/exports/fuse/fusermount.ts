/**
 * `fusermount3`, the set-uid program of the fuse3 package: it opens the device, mounts, and sends the device's descriptor over a socket.
 * Node can't receive descriptors, so recvmsg(2) is called through koffi, which is loaded here and only when it is needed.
 *
 * Known limits: 64-bit Linux with glibc (the layouts below are its).
 * Source: fusermount3(1), unix(7), cmsg(3), recvmsg(2).
 */
import { spawn } from 'node:child_process';
import { close } from 'node:fs';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { ToolError, UnsupportedError } from '../../core/index.ts';

interface Native {
  (...words: readonly unknown[]): number;
  async(...words: readonly unknown[]): void;
}

interface Koffi {
  load(library: string): { func(prototype: string): Native };
}

interface Calls {
  readonly socketpair: Native;
  readonly recvmsg: Native;
}

const unixSockets = 1;
/** SOCK_STREAM | SOCK_CLOEXEC: a child that kept our end would keep the helper of `auto_unmount` waiting for ever. */
const streamSocket = 0o2000001;
/** MSG_CMSG_CLOEXEC: nobody else may hold the device. */
const closeOnExec = 0x4000_0000;
/** Bytes of a control message with one descriptor: header of 16, the number, padding. */
const controlBytes = 24;
const controlHead = 16;
const rightsType = 1;

function loadLibc(): Calls {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi & { struct(name: string, fields: object): unknown };
    koffi.struct('HoldfastIovec', { iov_base: 'void *', iov_len: 'size_t' });
    koffi.struct('HoldfastMsghdr', {
      msg_name: 'void *', msg_namelen: 'uint32_t', msg_iov: 'HoldfastIovec *', msg_iovlen: 'size_t', msg_control: 'void *', msg_controllen: 'size_t', msg_flags: 'int',
    });
    const libc = koffi.load('libc.so.6');
    return {
      socketpair: libc.func('int socketpair(int, int, int, _Out_ int *)'),
      recvmsg: libc.func('int64_t recvmsg(int, _Inout_ HoldfastMsghdr *, int)'),
    };
  } catch (error) {
    throw new UnsupportedError(`Mount through fusermount3: libc cannot be called: ${(error as Error).message}`, {}, error);
  }
}

let calls: Calls | undefined;

/** The descriptor that arrives at a socket. @throws {ToolError} when the other end closes without sending one. */
function receiveDevice({ recvmsg }: Calls, socket: number): Promise<number> {
  const control = Buffer.alloc(controlBytes);
  const message = {
    msg_name: null, msg_namelen: 0, msg_iov: [{ iov_base: Buffer.alloc(1), iov_len: 1 }], msg_iovlen: 1, msg_control: control, msg_controllen: controlBytes, msg_flags: 0,
  };
  return new Promise((resolve, reject) => {
    recvmsg.async(socket, message, closeOnExec, (error: Error | null, received: number) => {
      const isRights = control.readUInt32LE(8) === unixSockets && control.readUInt32LE(12) === rightsType;
      if (error === null && received > 0 && isRights) resolve(control.readInt32LE(controlHead));
      else reject(new ToolError('Mount through fusermount3: it sent no device', {}, error ?? undefined));
    });
  });
}

/** A mount that the helper made. */
export interface HelperMount {
  /** Descriptor of the device, the caller's. */
  readonly device: number;
  /** Lets the helper of `auto_unmount` end; call it when the session has ended. */
  release(): Promise<void>;
}

/**
 * Mounts a directory. `options` are those of fusermount3. With `auto_unmount` the helper
 * stays, and unmounts when this process has ended.
 * @throws {ToolError} with what the helper said. @throws {UnsupportedError} without koffi or libc.
 */
export async function mountThroughHelper(directory: string, options: readonly string[]): Promise<HelperMount> {
  calls ??= loadLibc();
  const pair = [0, 0];
  if (calls.socketpair(unixSockets, streamSocket, 0, pair) !== 0) throw new ToolError('Mount through fusermount3: no socket could be made');
  const [ours = 0, theirs = 0] = pair;
  const child = spawn('fusermount3', ['-o', options.join(','), '--', directory], { stdio: ['ignore', 'ignore', 'pipe', theirs], env: { ...process.env, LC_ALL: 'C', _FUSE_COMMFD: '3' } });
  let said = '';
  child.stderr?.on('data', (data: Buffer) => { said += data.toString(); });
  const failed = new Promise<Error | undefined>((resolve) => {
    child.once('error', resolve);
    child.once('close', () => { resolve(undefined); });
  });
  await promisify(close)(theirs);
  const release = (): Promise<void> => promisify(close)(ours);
  try {
    const device = await receiveDevice(calls, ours);
    // The helper of `auto_unmount` lives as long as our end of the socket; it must not keep this process from ending.
    child.stderr?.destroy();
    child.unref();
    return { device, release };
  } catch (error) {
    const cause = await failed;
    await release();
    throw new ToolError(`Mount '${directory}': fusermount3 failed: ${cause?.message ?? said.trim()}`, { directory }, error);
  }
}
