/** Names: UTF-16 as stored; what a tree may show. */

/** UTF-16LE bytes as a string of code units; nothing is lost. */
export function unitsOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength & ~1).toString('utf16le');
}

/** Whether a tree may show a name: not empty, no `.` or `..`, without `/` and NUL. */
export function isShowable(units: string): boolean {
  return units !== '' && units !== '.' && units !== '..' && !units.includes('/') && !units.includes('\0');
}
