/** Requests as the kernel would send them, for tests. */
import { forgetOne, getxattrIn, inHeader, lseekIn, opcodes, openIn, readIn, rename2In, setattrIn } from '../abi.layout.ts';

/** What a test gives; the rest is made up. */
export interface RequestWish {
  readonly node?: number;
  readonly body?: readonly Uint8Array[];
}

/** A whole request. */
export function requestBytes(opcode: number, { node = 1, body = [] }: RequestWish = {}): Uint8Array {
  const len = body.reduce((sum, part) => sum + part.length, inHeader.size);
  return Buffer.concat([inHeader.encode({ len, opcode, unique: 7, nodeid: node, uid: 1, gid: 2, pid: 3, padding: 0 }), ...body]);
}

/** A name and its NUL. */
export function nameBytes(name: string): Uint8Array {
  return Buffer.from(`${name}\0`, 'latin1');
}

/** Body of read, readdir, readdirplus; data follows for write. */
export function rangeBody(handle: number, offset: number, size: number): Uint8Array {
  return readIn.encode({ fh: handle, offset, size, read_flags: 0, lock_owner: new Uint8Array(8), flags: 0, padding: 0 });
}

/** A write. */
export function writeRequest(handle: number, offset: number, data: Uint8Array): Buffer {
  return Buffer.from(requestBytes(opcodes.write, { body: [rangeBody(handle, offset, data.length), data] }));
}

/** One well-formed request of every kind. */
export function everyRequest(): readonly Uint8Array[] {
  const { lookup, forget, batchForget, getattr, setattr, readlink, unlink, rename2, open, read, write, release, getxattr, listxattr, readdirplus, lseek, create } = opcodes;
  const handle = new Uint8Array(24).fill(1, 0, 1);
  const times = { atime: -5, mtime: 0, ctime: 0, atimensec: 0, mtimensec: 0, ctimensec: 0 };
  return [
    requestBytes(lookup, { body: [nameBytes('a')] }), requestBytes(forget, { body: [handle.subarray(0, 8)] }),
    requestBytes(batchForget, { body: [getxattrIn.encode({ size: 2, padding: 0 }), forgetOne.encode({ nodeid: 3, nlookup: 1 }), forgetOne.encode({ nodeid: 4, nlookup: 9 })] }),
    requestBytes(getattr, { body: [new Uint8Array(16)] }), requestBytes(readlink), requestBytes(unlink, { body: [nameBytes('\xff')] }),
    requestBytes(setattr, { body: [setattrIn.encode({ valid: 8, padding: 0, fh: 0, size: 77, lock_owner: new Uint8Array(8), ...times, mode: 0, unused4: 0, uid: 0, gid: 0, unused5: 0 })] }),
    requestBytes(rename2, { body: [rename2In.encode({ newdir: 1, flags: 1, padding: 0 }), nameBytes('a'), nameBytes('b')] }),
    requestBytes(open, { body: [openIn.encode({ flags: 0, open_flags: 0 })] }), requestBytes(create, { body: [new Uint8Array(16), nameBytes('new')] }),
    requestBytes(read, { body: [rangeBody(1, 0, 4096)] }), requestBytes(readdirplus, { body: [rangeBody(1, 0, 4096)] }),
    requestBytes(write, { body: [rangeBody(1, 5, 3), Buffer.from('abc')] }), requestBytes(release, { body: [handle] }),
    requestBytes(getxattr, { body: [getxattrIn.encode({ size: 0, padding: 0 }), nameBytes('user.x')] }), requestBytes(listxattr, { body: [getxattrIn.encode({ size: 10, padding: 0 })] }),
    requestBytes(lseek, { body: [lseekIn.encode({ fh: 1, offset: 3, whence: 3, padding: 0 })] }),
  ];
}
