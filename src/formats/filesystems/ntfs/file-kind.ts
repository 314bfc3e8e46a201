/**
 * What a file is to Unix: beside plain files and directories, reparse points, the special files of WSL, and those of Interix (system files
 * with a mark), as ntfs-3g writes them.
 * Source: Microsoft [MS-FSCC], section 2.1.2; behaviour observed of ntfs-3g 2022.10.3 for Interix files.
 */
import { type NodeType, textOf } from '../../../core/index.ts';
import { wtf8Of } from '../wtf8.ts';
import type { AttributeSegments } from './attribute-list.ts';
import { openContent, readAll, smallAttribute } from './content.ts';
import { type LinuxMetadata, linuxMetadata } from './extended-attributes.ts';
import type { Inodes } from './inodes.ts';
import { linkTarget } from './link-target.ts';
import { unitsOf } from './names.ts';
import { ATTRIBUTE, FILE_FLAG, REPARSE_TAG } from './ntfs.layout.ts';
import { linuxLink, parseReparse, REPARSE_BYTES_MAX, type ReparsePoint, windowsLink } from './reparse.ts';

const EXTENDED_BYTES_MAX = 64 << 10;
/** A mark, then a target of at most 4,096 code units or two numbers. */
const INTERIX_BYTES_MAX = 8 + 2 * 4096;
const INTERIX_DEVICE_BYTES = 24;

/** What a file is. */
export interface FileKind {
  readonly type: NodeType;
  /** Bytes of content or of the target. */
  readonly size: number;
  readonly target?: Uint8Array;
  readonly major?: number;
  readonly minor?: number;
  readonly reparse?: ReparsePoint;
  readonly linux: LinuxMetadata;
}

const linuxTypes: ReadonlyMap<number, NodeType> = new Map<number, NodeType>([
  [REPARSE_TAG.lxSocket, 'socket'], [REPARSE_TAG.lxFifo, 'fifo'], [REPARSE_TAG.lxCharacter, 'character'], [REPARSE_TAG.lxBlock, 'block'],
]);

async function reparseOf(inodes: Inodes, segments: AttributeSegments, flags: number): Promise<ReparsePoint | undefined> {
  if ((flags & FILE_FLAG.reparsePoint) === 0) return undefined;
  const bytes = await smallAttribute(inodes.volume, segments, { type: ATTRIBUTE.reparsePoint, name: '' }, REPARSE_BYTES_MAX);
  return bytes === undefined ? undefined : parseReparse(bytes);
}

/** What a reparse point makes of a file; undefined when it leaves the file what it is. */
async function reparseKind(inodes: Inodes, number: number, reparse: ReparsePoint, linux: LinuxMetadata): Promise<FileKind | undefined> {
  const link = windowsLink(reparse, inodes.volume.limits);
  const target = link !== undefined ? await linkTarget(inodes, number, link) : reparse.tag === REPARSE_TAG.lxSymlink ? linuxLink(reparse) : undefined;
  if (target !== undefined) return { type: 'symlink', size: target.length, target, reparse, linux };
  const type = linuxTypes.get(reparse.tag);
  if (type === undefined) return undefined;
  const device = type === 'character' || type === 'block' ? { major: linux.major ?? 0, minor: linux.minor ?? 0 } : {};
  return { type, size: 0, reparse, linux, ...device };
}

/** A system file that Interix gave a meaning; undefined for all others. */
async function interixKind(inodes: Inodes, segments: AttributeSegments, size: number, flags: number): Promise<Omit<FileKind, 'linux'> | undefined> {
  const hidden = (flags & FILE_FLAG.hidden) !== 0;
  if (size <= 1) return hidden ? undefined : { type: size === 0 ? 'fifo' : 'socket', size: 0 };
  if (size <= 8 || size > INTERIX_BYTES_MAX) return undefined;
  const source = await openContent(inodes.volume, segments.some(ATTRIBUTE.data, ''));
  if (source === undefined) return undefined;
  const bytes = await readAll(source);
  const mark = textOf(bytes.subarray(0, 8));
  if (mark === 'IntxLNK\u0001') {
    const target = wtf8Of(unitsOf(bytes.subarray(8)));
    return { type: 'symlink', size: target.length, target };
  }
  if (size !== INTERIX_DEVICE_BYTES || (mark !== 'IntxCHR\0' && mark !== 'IntxBLK\0')) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { type: mark === 'IntxCHR\0' ? 'character' : 'block', size: 0, major: view.getUint32(8, true), minor: view.getUint32(16, true) };
}

/** What the file of a record is; `flags` are its attributes. @throws {FormatError} @throws {IntegrityError} */
export async function kindOf(inodes: Inodes, segments: AttributeSegments, flags: number): Promise<FileKind> {
  const { volume } = inodes;
  const extended = segments.has(ATTRIBUTE.extendedAttributes, '') ? await smallAttribute(volume, segments, { type: ATTRIBUTE.extendedAttributes, name: '' }, EXTENDED_BYTES_MAX) : undefined;
  const linux = extended === undefined ? {} : linuxMetadata(extended);
  const reparse = await reparseOf(inodes, segments, flags);
  const special = reparse === undefined ? undefined : await reparseKind(inodes, segments.record.number, reparse, linux);
  if (special !== undefined) return special;
  const known = reparse === undefined ? { linux } : { linux, reparse };
  if (segments.record.isDirectory) return { type: 'directory', size: 0, ...known };
  const data = await segments.first(ATTRIBUTE.data, '');
  const size = data === undefined ? 0 : data.resident ? data.value.length : data.dataSize;
  const interix = (flags & FILE_FLAG.system) !== 0 && reparse === undefined && data !== undefined ? await interixKind(inodes, segments, size, flags) : undefined;
  return { type: 'file', size, ...interix, ...known };
}
