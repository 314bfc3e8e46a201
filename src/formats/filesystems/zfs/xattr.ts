/**
 * Extended attributes: in a list among the system attributes, or as files of a directory of their own.
 * Source: OpenZFS `module/os/linux/zfs/zpl_xattr.c` (comment at its head), `include/sys/zfs_acl.h` (aces).
 */
import { attributeNameText, type BlockSource, checkLimit, FormatError, type Limits, readRange } from '../../../core/index.ts';
import { attributeNumber, type AttributeValues } from './attributes.ts';
import { nfs4Acl } from './nfs4-acl.ts';
import { decodeNvList } from './nvlist.ts';

/** Spaces of names that Linux knows; FreeBSD stores names of the user's space without one. */
const spaces = ['user.', 'trusted.', 'security.', 'system.'];

/** An attribute that is a file. */
export interface AttributeFile {
  readonly name: Uint8Array;
  readonly content: BlockSource;
}

/** The name as Linux shows it. */
export function fullAttributeName(name: string): string {
  return spaces.some((space) => name.startsWith(space)) ? name : `user.${name}`;
}

/**
 * All extended attributes of a file by full name. `filesOf` gives the files of a directory by its object number.
 * @throws {FormatError} @throws {LimitError} @throws {IntegrityError}
 */
export async function extendedAttributes(values: AttributeValues, limits: Limits, filesOf: (object: number) => AsyncIterable<AttributeFile>): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  const add = (name: string, value: Uint8Array): void => {
    found.set(name, value);
    checkLimit(limits, 'xattrsMax', found.size, 'attributes of a ZFS file');
  };
  const directory = attributeNumber(values, 'ZPL_XATTR') ?? 0;
  if (directory !== 0) {
    for await (const { name, content } of filesOf(directory)) {
      checkLimit(limits, 'xattrBytesMax', content.size, 'attribute of a ZFS file');
      add(fullAttributeName(attributeNameText(name)), await readRange(content, 0, content.size));
    }
  }
  const list = values.get('ZPL_DXATTR');
  if (list !== undefined && list.length > 0) {
    for (const [name, value] of decodeNvList(list)) {
      if (!(value instanceof Uint8Array)) throw new FormatError('Read ZFS attributes', { structure: 'ZPL_DXATTR', field: name, found: typeof value, expected: 'an array of bytes' });
      add(fullAttributeName(name), value.slice());
    }
  }
  const acl = nfs4Acl(values);
  if (acl !== undefined && !found.has('system.posix_acl_access')) add('system.nfs4_acl', acl);
  return found;
}
