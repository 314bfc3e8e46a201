/**
 * Requests of the kernel, decoded. The kernel is trusted to mean well, not to be of a version that we know: whatever is shorter than its
 * structure, has a name without an end or says more data than it brought is refused, and the session answers EIO.
 */
import { FormatError, type Layout, type Fields, type View } from '../../core/index.ts';
import { createIn, forgetOne, getxattrIn, handleIn, inHeader, initIn, lseekIn, opcodes, openIn, readIn, rename2In, setattrFlags, setattrIn } from './abi.layout.ts';

/** What every request says. `uid`, `gid` and `pid` are the caller's. */
export interface RequestHeader {
  readonly opcode: number;
  /** Names the request in its reply. */
  readonly unique: number;
  readonly node: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** Fields that `setattr` is to change. */
export interface SetAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  /** A time of the caller's choice is to be set, not the present. */
  readonly setsTimes: boolean;
}

/** What is asked for. Names and data are views of the request's buffer. */
export type Operation =
  | { readonly op: 'init'; readonly major: number; readonly minor: number; readonly readaheadMax: number; readonly flags: number }
  | { readonly op: 'lookup' | 'unlink' | 'rmdir'; readonly name: Uint8Array }
  | { readonly op: 'forget'; readonly forgotten: readonly { readonly node: number; readonly lookups: number }[] }
  | { readonly op: 'getattr' | 'readlink' | 'statfs' | 'destroy' }
  | { readonly op: 'setattr'; readonly set: SetAttributes }
  | { readonly op: 'rename'; readonly directory: number; readonly flags: number; readonly from: Uint8Array; readonly to: Uint8Array }
  | { readonly op: 'open' | 'opendir'; readonly flags: number }
  | { readonly op: 'create'; readonly flags: number; readonly mode: number; readonly name: Uint8Array }
  | { readonly op: 'read' | 'readdir' | 'readdirplus'; readonly handle: number; readonly offset: number; readonly size: number }
  | { readonly op: 'write'; readonly handle: number; readonly offset: number; readonly data: Uint8Array }
  | { readonly op: 'release' | 'releasedir' | 'flush' | 'fsync' | 'fsyncdir'; readonly handle: number }
  | { readonly op: 'getxattr'; readonly size: number; readonly name: Uint8Array }
  | { readonly op: 'listxattr'; readonly size: number }
  | { readonly op: 'lseek'; readonly handle: number; readonly offset: number; readonly whence: number }
  | { readonly op: 'interrupt'; readonly interrupted: number }
  | { readonly op: 'unknown' };

/** One request. */
export type FuseRequest = RequestHeader & Operation;

/** The body of one request, read from its start to its end. */
class Body {
  readonly #bytes: Uint8Array;
  readonly #opcode: number;
  #at: number = inHeader.size;

  constructor(bytes: Uint8Array, opcode: number) {
    this.#bytes = bytes;
    this.#opcode = opcode;
  }

  take<F extends Fields>(table: Layout<F>): View<F> {
    const view = table.view(this.#bytes, this.#at, this.#at);
    this.#at += table.size;
    return view;
  }

  /** A name up to its NUL. It never has a slash: the kernel walks paths itself. */
  name(): Uint8Array {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end <= this.#at) throw this.#fault('name', end < 0 ? 'no end' : 'nothing', 'a name and NUL');
    const name = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return name;
  }

  data(size: number): Uint8Array {
    const left = this.#bytes.length - this.#at;
    if (size > left) throw this.#fault('size', size, `at most ${left}`);
    return this.#bytes.subarray(this.#at, this.#at + size);
  }

  forgotten(): readonly { node: number; lookups: number }[] {
    const { size: count } = this.take(getxattrIn);
    const left = this.#bytes.length - this.#at;
    if (count * forgetOne.size > left) throw this.#fault('count', count, `at most ${Math.floor(left / forgetOne.size)}`);
    return Array.from({ length: count }, () => {
      const { nodeid, nlookup } = this.take(forgetOne);
      return { node: nodeid, lookups: nlookup };
    });
  }

  #fault(field: string, found: string | number, expected: string): FormatError {
    return new FormatError('Read request of FUSE', { structure: `opcode ${this.#opcode}`, field, offset: this.#at, found, expected });
  }
}

function setAttributes({ valid, mode, uid, gid, size }: View<typeof setattrIn extends Layout<infer F> ? F : never>): SetAttributes {
  const has = (flag: number): boolean => (valid & flag) !== 0;
  return {
    ...(has(setattrFlags.mode) ? { mode } : {}),
    ...(has(setattrFlags.uid) ? { uid } : {}),
    ...(has(setattrFlags.gid) ? { gid } : {}),
    ...(has(setattrFlags.size) ? { size } : {}),
    setsTimes: (has(setattrFlags.accessed) && !has(setattrFlags.accessedNow)) || (has(setattrFlags.modified) && !has(setattrFlags.modifiedNow)),
  };
}

type Decoder = (body: Body, node: number) => Operation;

function named(op: 'lookup' | 'unlink' | 'rmdir'): Decoder {
  return (body) => ({ op, name: body.name() });
}

function opened(op: 'open' | 'opendir'): Decoder {
  return (body) => ({ op, flags: body.take(openIn).flags });
}

function onHandle(op: 'release' | 'releasedir' | 'flush' | 'fsync' | 'fsyncdir'): Decoder {
  return (body) => ({ op, handle: body.take(handleIn).fh });
}

function ranged(op: 'read' | 'readdir' | 'readdirplus'): Decoder {
  return (body) => {
    const { fh, offset, size } = body.take(readIn);
    return { op, handle: fh, offset, size };
  };
}

function plain(op: 'getattr' | 'readlink' | 'statfs' | 'destroy'): Decoder {
  return () => ({ op });
}

const decoders: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  [opcodes.init, (body) => {
    const { major, minor, max_readahead, flags } = body.take(initIn);
    return { op: 'init', major, minor, readaheadMax: max_readahead, flags };
  }],
  [opcodes.lookup, named('lookup')],
  [opcodes.unlink, named('unlink')],
  [opcodes.rmdir, named('rmdir')],
  [opcodes.forget, (body, node) => ({ op: 'forget', forgotten: [{ node, lookups: body.take(handleIn).fh }] })],
  [opcodes.batchForget, (body) => ({ op: 'forget', forgotten: body.forgotten() })],
  [opcodes.getattr, plain('getattr')],
  [opcodes.readlink, plain('readlink')],
  [opcodes.statfs, plain('statfs')],
  [opcodes.destroy, plain('destroy')],
  [opcodes.setattr, (body) => ({ op: 'setattr', set: setAttributes(body.take(setattrIn)) })],
  [opcodes.rename, (body) => ({ op: 'rename', directory: body.take(handleIn).fh, flags: 0, from: body.name(), to: body.name() })],
  [opcodes.rename2, (body) => {
    const { newdir, flags } = body.take(rename2In);
    return { op: 'rename', directory: newdir, flags, from: body.name(), to: body.name() };
  }],
  [opcodes.open, opened('open')],
  [opcodes.opendir, opened('opendir')],
  [opcodes.create, (body) => {
    const { flags, mode } = body.take(createIn);
    return { op: 'create', flags, mode, name: body.name() };
  }],
  [opcodes.read, ranged('read')],
  [opcodes.readdir, ranged('readdir')],
  [opcodes.readdirplus, ranged('readdirplus')],
  [opcodes.write, (body) => {
    const { fh, offset, size } = body.take(readIn);
    return { op: 'write', handle: fh, offset, data: body.data(size) };
  }],
  [opcodes.release, onHandle('release')],
  [opcodes.releasedir, onHandle('releasedir')],
  [opcodes.flush, onHandle('flush')],
  [opcodes.fsync, onHandle('fsync')],
  [opcodes.fsyncdir, onHandle('fsyncdir')],
  [opcodes.getxattr, (body) => ({ op: 'getxattr', size: body.take(getxattrIn).size, name: body.name() })],
  [opcodes.listxattr, (body) => ({ op: 'listxattr', size: body.take(getxattrIn).size })],
  [opcodes.lseek, (body) => {
    const { fh, offset, whence } = body.take(lseekIn);
    return { op: 'lseek', handle: fh, offset, whence };
  }],
  [opcodes.interrupt, (body) => ({ op: 'interrupt', interrupted: body.take(handleIn).fh })],
]);

/** The header alone, so that even a request whose body makes no sense gets its reply. @throws {FormatError} */
export function decodeHeader(bytes: Uint8Array): RequestHeader {
  const { len, opcode, unique, nodeid, uid, gid, pid } = inHeader.view(bytes);
  if (len !== bytes.length) throw new FormatError('Read request of FUSE', { structure: inHeader.name, field: 'len', found: len, expected: bytes.length });
  return { opcode, unique, node: nodeid, uid, gid, pid };
}

/**
 * Decodes one request as read from the device; `unknown` for operations that have no decoder. Views `bytes`.
 * @throws {FormatError} when the body is not what the operation says.
 */
export function decodeRequest(bytes: Uint8Array, header: RequestHeader = decodeHeader(bytes)): FuseRequest {
  const decoder = decoders.get(header.opcode);
  return { ...header, ...(decoder === undefined ? { op: 'unknown' } : decoder(new Body(bytes, header.opcode), header.node)) };
}
