/** What a reparse point makes of a file. Source: Microsoft, [MS-FSCC] section 2.1.2; for Linux's own: forefst, docs/attributes/REPARSE_POINT. */
import type { NodeType } from '../../../core/index.ts';
import type { ReparsePoint } from './record.ts';
import { unitsText } from './record.ts';

const TAG = { mountPoint: 0xa000_0003, symlink: 0xa000_000c, linuxSymlink: 0xa000_001d, unixSocket: 0x8000_0023, linuxFifo: 0x8000_0024 } as const;
const BACKSLASH = 0x5c;
const SLASH = 0x2f;
/** What Windows puts before absolute targets. */
const NAMESPACE = [0x5c, 0x3f, 0x3f, 0x5c];

/** The type that a reparse point gives its file; undefined where it stands for the content in a way of its own. */
export function reparseType({ tag }: ReparsePoint): NodeType | undefined {
  switch (tag) {
    case TAG.mountPoint: case TAG.symlink: case TAG.linuxSymlink: return 'symlink';
    case TAG.unixSocket: return 'socket';
    case TAG.linuxFifo: return 'fifo';
    default: return undefined;
  }
}

function substituteName({ tag, data }: ReparsePoint): Uint8Array | undefined {
  const head = tag === TAG.symlink ? 12 : 8;
  if (data.length < head) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const start = head + view.getUint16(0, true);
  const end = start + view.getUint16(2, true);
  return end <= data.length ? unitsText(data.subarray(start, end)) : undefined;
}

/** The target of a link, with slashes; undefined where there is none. */
export function reparseTarget(point: ReparsePoint): Uint8Array | undefined {
  if (point.tag === TAG.linuxSymlink) return point.data.length > 4 ? point.data.slice(4) : undefined;
  if (point.tag !== TAG.symlink && point.tag !== TAG.mountPoint) return undefined;
  const name = substituteName(point);
  if (name === undefined || name.length === 0) return undefined;
  const start = NAMESPACE.every((byte, i) => name[i] === byte) ? NAMESPACE.length : 0;
  return name.slice(start).map((byte) => (byte === BACKSLASH ? SLASH : byte));
}
