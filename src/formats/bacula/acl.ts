/**
 * POSIX ACLs as text (streams 1007 and 1008) to the binary form of the kernel's `system.posix_acl_*` attributes.
 * Source: acl(5), "ACL TEXT FORMS" (POSIX 1003.1e draft 17); Linux UAPI `posix_acl_xattr.h` (version 2, little-endian).
 */
import { FormatError, textOf } from '../../core/index.ts';

/** Numeric id of a user or group name on the machine of the backup; undefined when unknown. */
export type NameResolver = (kind: 'user' | 'group', name: string) => number | undefined;

const TAG = { USER_OBJ: 1, USER: 2, GROUP_OBJ: 4, GROUP: 8, MASK: 0x10, OTHER: 0x20 } as const;
const VERSION = 2;
const UNDEFINED_ID = 0xffffffff;

interface AclEntry {
  readonly tag: number;
  readonly permissions: number;
  readonly id: number;
}

/** A name that the resolver does not know: the ACL cannot be applied. */
export interface UnknownName {
  readonly unknownKind: 'user' | 'group';
  readonly unknownName: string;
}

function fault(line: string): FormatError {
  return new FormatError('Read ACL', { structure: 'acl', field: 'entry', found: line.slice(0, 80), expected: 'tag:qualifier:permissions' });
}

function permissionsOf(text: string, line: string): number {
  if (!/^[r-][w-][x-]$/.test(text)) throw fault(line);
  return (text[0] === 'r' ? 4 : 0) + (text[1] === 'w' ? 2 : 0) + (text[2] === 'x' ? 1 : 0);
}

function tagOf(kind: string, named: boolean, line: string): number {
  switch (kind) {
    case 'user': case 'u': return named ? TAG.USER : TAG.USER_OBJ;
    case 'group': case 'g': return named ? TAG.GROUP : TAG.GROUP_OBJ;
    case 'mask': case 'm': return TAG.MASK;
    case 'other': case 'o': return TAG.OTHER;
    default: throw fault(line);
  }
}

function parseEntry(line: string, resolve: NameResolver | undefined): AclEntry | UnknownName {
  const match = /^([a-z]+):([^:]*):([rwx-]+)$/.exec(line);
  const [, kind = '', qualifier = '', permissions = ''] = match ?? [];
  if (match === null) throw fault(line);
  const tag = tagOf(kind, qualifier !== '', line);
  const value = permissionsOf(permissions, line);
  if (tag !== TAG.USER && tag !== TAG.GROUP) return { tag, permissions: value, id: UNDEFINED_ID };
  const unknownKind = tag === TAG.USER ? 'user' : 'group';
  const id = resolve?.(unknownKind, qualifier) ?? (/^\d{1,10}$/.test(qualifier) ? Number(qualifier) : undefined);
  return id === undefined || id >= UNDEFINED_ID ? { unknownKind, unknownName: qualifier } : { tag, permissions: value, id };
}

/**
 * Encodes an ACL. Empty text (a file without one) gives undefined.
 * @throws {FormatError} when the text is no ACL.
 */
export function encodeAcl(record: Uint8Array, resolve: NameResolver | undefined): Uint8Array | UnknownName | undefined {
  const nul = record.indexOf(0);
  const text = textOf(nul < 0 ? record : record.subarray(0, nul));
  const entries: AclEntry[] = [];
  for (const raw of text.split(/[\n,]/)) {
    const line = raw.replace(/\s*#.*$/, '').trim();
    if (line === '') continue;
    const entry = parseEntry(line, resolve);
    if ('unknownName' in entry) return entry;
    entries.push(entry);
  }
  if (entries.length === 0) return undefined;
  // The kernel wants tags in this order and ids ascending within a tag.
  entries.sort((a, b) => a.tag - b.tag || a.id - b.id);
  const bytes = new Uint8Array(4 + 8 * entries.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  for (const [i, entry] of entries.entries()) {
    view.setUint16(4 + 8 * i, entry.tag, true);
    view.setUint16(6 + 8 * i, entry.permissions, true);
    view.setUint32(8 + 8 * i, entry.id, true);
  }
  return bytes;
}
