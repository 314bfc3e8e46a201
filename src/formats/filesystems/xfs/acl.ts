/**
 * POSIX ACLs: XFS keeps them in attributes of its own, the kernel shows them as `system.posix_acl_*` in its version 2 form.
 * Source: "XFS Algorithms & Data Structures", "Extended Attributes" (SGI_ACL_FILE); acl(5) and the kernel's posix_acl_xattr.
 */

const ENTRY_BYTES = 12;
/** Most entries of an ACL in a version 5 filesystem: what fits into 64 KiB. */
const ENTRIES_MAX = 5461;
/** Tags of named users and groups; others have no id. */
const TAG = { user: 2, group: 8 } as const;
const NO_ID = 0xffff_ffff;

/** The kernel's form of a stored ACL; undefined when it is none. */
export function aclOf(stored: Uint8Array): Uint8Array | undefined {
  if (stored.length < 4) return undefined;
  const from = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  const count = from.getUint32(0);
  if (count > ENTRIES_MAX || stored.length < 4 + count * ENTRY_BYTES) return undefined;
  const bytes = new Uint8Array(4 + count * 8);
  const to = new DataView(bytes.buffer);
  to.setUint32(0, 2, true);
  for (let i = 0; i < count; i += 1) {
    const at = 4 + i * ENTRY_BYTES;
    const tag = from.getUint32(at);
    to.setUint16(4 + i * 8, tag, true);
    to.setUint16(6 + i * 8, from.getUint16(at + 8), true);
    to.setUint32(8 + i * 8, tag === TAG.user || tag === TAG.group ? from.getUint32(at + 4) : NO_ID, true);
  }
  return bytes;
}
