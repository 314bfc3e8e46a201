/**
 * Access control lists as ext keeps them, in the form in which the kernel gives them to programs.
 * Source: Linux, fs/ext4/acl.h (version 1 on the disk) and include/uapi/linux/posix_acl_xattr.h (version 2).
 */
import { FormatError } from '../../../core/index.ts';

const STRUCTURE = 'ext access control list';
const DISK_VERSION = 1;
const KERNEL_VERSION = 2;
const HEADER_BYTES = 4;
const SHORT_BYTES = 4;
const LONG_BYTES = 8;
const UNDEFINED_ID = 0xffff_ffff;
/** Tags with an id; the others are the owner, the owning group, the mask and all others. */
const named = new Set([0x02, 0x08]);
const unnamed = new Set([0x01, 0x04, 0x10, 0x20]);

/** Converts the value of an attribute. @throws {FormatError} */
export function kernelAcl(value: Uint8Array): Uint8Array {
  const data = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length < HEADER_BYTES) throw new FormatError('Read ACL', { structure: STRUCTURE, field: 'size', found: value.length, expected: `at least ${HEADER_BYTES}` });
  const version = data.getUint32(0, true);
  if (version !== DISK_VERSION) throw new FormatError('Read ACL', { structure: STRUCTURE, field: 'a_version', found: version, expected: DISK_VERSION });
  const result = new DataView(new ArrayBuffer(HEADER_BYTES + Math.floor((value.length - HEADER_BYTES) / SHORT_BYTES) * LONG_BYTES));
  result.setUint32(0, KERNEL_VERSION, true);
  let end = HEADER_BYTES;
  for (let at = HEADER_BYTES; at < value.length;) {
    const tag = at + SHORT_BYTES <= value.length ? data.getUint16(at, true) : 0;
    const bytes = named.has(tag) ? LONG_BYTES : SHORT_BYTES;
    if ((!named.has(tag) && !unnamed.has(tag)) || at + bytes > value.length) throw new FormatError('Read ACL', { structure: STRUCTURE, field: 'e_tag', offset: at, found: tag, expected: 'a known tag, and its entry whole' });
    result.setUint16(end, tag, true);
    result.setUint16(end + 2, data.getUint16(at + 2, true), true);
    result.setUint32(end + 4, named.has(tag) ? data.getUint32(at + 4, true) : UNDEFINED_ID, true);
    at += bytes;
    end += LONG_BYTES;
  }
  return new Uint8Array(result.buffer, 0, end);
}
