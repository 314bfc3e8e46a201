/**
 * NFSv4 access control lists, in the form of the attribute `system.nfs4_acl` of the Linux NFS client: XDR of nfsace4 entries.
 * Only lists that say more than the mode: Linux itself enforces none of ZFS's, FreeBSD and illumos do.
 * Source: OpenZFS `include/sys/zfs_acl.h` (zfs_ace_hdr_t, zfs_ace_t), RFC 7530 section 6.2.1 (nfsace4).
 */
import { utf8 } from '../../../core/index.ts';
import { attributeNumber, type AttributeValues } from './attributes.ts';
import { viewOf } from './words.ts';

const FLAG_TRIVIAL = 4;
/** Kinds of whom an entry is about, among its flags. */
const WHO_MASK = 0x7040;
const owners: ReadonlyMap<number, string> = new Map([[0x1000, 'OWNER@'], [0x2040, 'GROUP@'], [0x4000, 'EVERYONE@']]);
const GROUP = 0x40;

/** The attribute's value; undefined when the list says no more than the mode, or is of an old form. */
export function nfs4Acl(values: AttributeValues): Uint8Array | undefined {
  const flags = attributeNumber(values, 'ZPL_FLAGS') ?? FLAG_TRIVIAL;
  const aces = values.get('ZPL_DACL_ACES');
  const count = attributeNumber(values, 'ZPL_DACL_COUNT') ?? 0;
  if (Math.floor(flags / FLAG_TRIVIAL) % 2 === 1 || aces === undefined || count === 0) return undefined;
  const view = viewOf(aces);
  const words: number[] = [];
  const parts: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    if (at + 8 > aces.length) return undefined;
    const who = view.getUint16(at + 2, true) & WHO_MASK;
    const special = owners.get(who);
    const type = view.getUint16(at, true);
    const mask = view.getUint32(at + 4, true);
    if (special === undefined && at + 16 > aces.length) return undefined;
    const name = special ?? String(view.getUint32(at + 8, true));
    words.push(type, view.getUint16(at + 2, true) & ~(WHO_MASK & ~GROUP), mask);
    parts.push(entryOf(words.splice(0), name));
    // Entries for objects carry two identifiers more; nothing writes them.
    at += special === undefined ? 16 : 8;
  }
  const head = new Uint8Array(4);
  viewOf(head).setUint32(0, count);
  return new Uint8Array(Buffer.concat([head, ...parts]));
}

function entryOf(words: readonly number[], who: string): Uint8Array {
  const name = utf8(who);
  const bytes = new Uint8Array(16 + Math.ceil(name.length / 4) * 4);
  const view = viewOf(bytes);
  words.forEach((word, i) => view.setUint32(4 * i, word));
  view.setUint32(12, name.length);
  bytes.set(name, 16);
  return bytes;
}
