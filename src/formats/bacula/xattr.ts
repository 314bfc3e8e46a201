/** Linux extended attributes, stream 1998: repeated { magic, name length, name, value length, value }. Source: Bacula's public `xattr_t` serialisation. */
import { checkLimit, FormatError, type Limits, attributeNameText } from '../../core/index.ts';

const MAGIC = 0x005c5884;

/**
 * Adds the attributes of one record to `into`, by full name. Values are copies.
 * @throws {FormatError} @throws {LimitError}
 */
export function parseXattrs(bytes: Uint8Array, limits: Limits, into: Map<string, Uint8Array>): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const length = (field: string): number => {
    if (at + 4 > bytes.length) throw fault(field, at, bytes.length);
    at += 4;
    return view.getUint32(at - 4);
  };
  const part = (field: string): Uint8Array => {
    const size = length(field);
    checkLimit(limits, 'xattrBytesMax', size, field);
    if (at + size > bytes.length) throw fault(field, at, size);
    at += size;
    return bytes.slice(at - size, at);
  };
  while (at < bytes.length) {
    const magic = length('magic');
    if (magic !== MAGIC) throw fault('magic', at - 4, magic);
    const name = part('name');
    into.set(attributeNameText(name), part('value'));
    checkLimit(limits, 'xattrsMax', into.size, 'extended attributes');
  }
}

function fault(field: string, offset: number, found: number): FormatError {
  return new FormatError('Read extended attributes', { structure: 'xattr', field, offset, found });
}
