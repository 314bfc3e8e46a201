/**
 * Extended attributes of OS/2 heritage, in which WSL keeps owner, mode and device.
 * Source: Microsoft [MS-FSCC], section 2.4.15 (FILE_FULL_EA_INFORMATION); "File permissions for WSL" for the names.
 */
import { FormatError } from '../../../core/index.ts';

/** What WSL says about a file; absent fields were not said. */
export interface LinuxMetadata {
  readonly uid?: number;
  readonly gid?: number;
  /** With the bits of the type. */
  readonly mode?: number;
  readonly major?: number;
  readonly minor?: number;
}

/** Values by name, in capitals. @throws {FormatError} */
export function parseExtendedAttributes(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<string, Uint8Array>();
  for (let at = 0; at + 8 <= bytes.length;) {
    const next = view.getUint32(at, true);
    const nameLength = bytes[at + 5] as number;
    const valueAt = at + 8 + nameLength + 1;
    const end = valueAt + view.getUint16(at + 6, true);
    if (end > bytes.length || (next !== 0 && (next < 8 || next % 4 !== 0))) {
      throw new FormatError('Read extended attributes', { structure: 'NTFS $EA', field: 'NextEntryOffset', offset: at, found: next, expected: `a multiple of 4; the entry in ${bytes.length} bytes` });
    }
    found.set(Buffer.from(bytes.subarray(at + 8, at + 8 + nameLength)).toString('latin1').toUpperCase(), bytes.subarray(valueAt, end));
    if (next === 0) break;
    at += next;
  }
  return found;
}

function numberAt(value: Uint8Array | undefined, at: number): number | undefined {
  return value === undefined || value.length < at + 4 ? undefined : new DataView(value.buffer, value.byteOffset).getUint32(at, true);
}

/** WSL's part of them. @throws {FormatError} */
export function linuxMetadata(bytes: Uint8Array): LinuxMetadata {
  const values = parseExtendedAttributes(bytes);
  const facts = {
    uid: numberAt(values.get('$LXUID'), 0), gid: numberAt(values.get('$LXGID'), 0), mode: numberAt(values.get('$LXMOD'), 0), major: numberAt(values.get('$LXDEV'), 0), minor: numberAt(values.get('$LXDEV'), 4),
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
