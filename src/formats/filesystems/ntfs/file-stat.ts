/** `lstat` of a file. Source: libfsntfs project, "NTFS format specification", "The standard information attribute". */
import { FormatError, type NodeStat, type NodeType } from '../../../core/index.ts';
import type { AttributeSegments } from './attribute-list.ts';
import { smallAttribute } from './content.ts';
import { type FileKind, kindOf } from './file-kind.ts';
import type { Inodes } from './inodes.ts';
import { ATTRIBUTE, FILE_FLAG } from './ntfs.layout.ts';
import { type RecordPlace, type RecordState, visitAttributes } from './record.ts';
import { type Ownership, readOwnership } from './security.ts';
import { rootOnly, type SecurityStore } from './security-store.ts';
import { timeAt } from './times.ts';

/** Bytes of the attribute before version 3 of NTFS, and with what version 3 added. */
const OLD_BYTES = 48;
const NEW_BYTES = 72;
const DESCRIPTOR_BYTES_MAX = 256 << 10;
/** Bytes before the content of a resident attribute, and of the head of one in clusters. */
const HEAD_BYTES = 24;
const CLUSTER_HEAD_BYTES = 64;

/** A file's standard information. */
export interface StandardInformation {
  readonly view: DataView;
  /** Attributes of DOS and Windows. */
  readonly flags: number;
  /** Number of its security descriptor; 0 when it has one of its own. */
  readonly securityId: number;
}

/** All that `stat` found out, for those who ask for more. */
export interface FileFacts {
  readonly segments: AttributeSegments;
  readonly information: StandardInformation;
  readonly kind: FileKind;
  readonly stat: NodeStat;
}

/** @throws {FormatError} when it is absent or short. */
async function standardInformation(segments: AttributeSegments): Promise<StandardInformation> {
  const attribute = await segments.first(ATTRIBUTE.standardInformation, '');
  if (attribute === undefined || !attribute.resident || attribute.value.length < OLD_BYTES) {
    throw new FormatError('Read file', { structure: 'MFT record', field: 'standardInformation', found: segments.record.number, expected: 'times and attributes in the record' });
  }
  const { value } = attribute;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return { view, flags: view.getUint32(32, true), securityId: value.length >= NEW_BYTES ? view.getUint32(52, true) : 0 };
}

/** The security descriptor as stored; undefined when the file has none. @throws {FormatError} @throws {IntegrityError} */
export async function descriptorOf(inodes: Inodes, store: SecurityStore, segments: AttributeSegments, { securityId }: StandardInformation): Promise<Uint8Array | undefined> {
  if (securityId !== 0) return store.descriptor(securityId);
  return smallAttribute(inodes.volume, segments, { type: ATTRIBUTE.securityDescriptor, name: '' }, DESCRIPTOR_BYTES_MAX);
}

async function ownershipOf(inodes: Inodes, store: SecurityStore, segments: AttributeSegments, information: StandardInformation): Promise<Ownership> {
  if (information.securityId !== 0) return store.ownership(information.securityId);
  const bytes = await descriptorOf(inodes, store, segments, information);
  return bytes === undefined ? rootOnly : readOwnership(bytes);
}

/** The mode that WSL keeps; of special files without an owner there, ntfs-3g wrote them, which keeps the mode in the access list alone. */
function linuxMode({ type, linux }: FileKind): number | undefined {
  return linux.uid === undefined && type !== 'file' && type !== 'directory' ? undefined : linux.mode;
}

/** What a walk can tell of a record without looking elsewhere. */
interface PlainFacts {
  informationAt: number;
  size: number;
}

/** Place of the times, and size of the content, of a record that needs no second look; undefined for all others. */
function plainFacts(place: RecordPlace): PlainFacts | undefined {
  const { view } = place;
  const facts: PlainFacts = { informationAt: -1, size: 0 };
  let isPlain = true;
  visitAttributes(place, (type, { at, size }) => {
    if (type === ATTRIBUTE.standardInformation) facts.informationAt = size >= HEAD_BYTES + NEW_BYTES && view.getUint8(at + 8) === 0 && view.getUint32(at + 16, true) >= NEW_BYTES ? at + view.getUint16(at + 20, true) : -1;
    else if (type === ATTRIBUTE.data && view.getUint8(at + 9) === 0) facts.size = contentSize(view, at, size);
    else isPlain = type !== ATTRIBUTE.list && type !== ATTRIBUTE.reparsePoint && type !== ATTRIBUTE.extendedAttributes;
    return !isPlain;
  });
  const end = place.at + place.bytes;
  return isPlain && facts.size >= 0 && facts.informationAt >= 0 && facts.informationAt + NEW_BYTES <= end ? facts : undefined;
}

/** Bytes of a content; negative where a closer look is needed. */
function contentSize(view: DataView, at: number, size: number): number {
  if (view.getUint8(at + 8) === 0) return view.getUint32(at + 16, true) + HEAD_BYTES <= size ? view.getUint32(at + 16, true) : -1;
  return size >= CLUSTER_HEAD_BYTES && view.getUint32(at + 52, true) < 2 ** 20 ? view.getUint32(at + 52, true) * 0x1_0000_0000 + view.getUint32(at + 48, true) : -1;
}

/**
 * The same as {@link factsOf} tells in `stat`, by hand and at once, for listings: of files that are only what their own record says, with a
 * descriptor that is known. Undefined for all others. @throws {FormatError}
 */
export function plainStat(store: SecurityStore, number: number, place: RecordPlace, state: RecordState): NodeStat | undefined {
  const facts = plainFacts(place);
  if (facts === undefined) return undefined;
  const { view } = place;
  const { informationAt: at } = facts;
  const securityId = view.getUint32(at + 52, true);
  if ((view.getUint32(at + 32, true) & (FILE_FLAG.system | FILE_FLAG.reparsePoint)) !== 0 || securityId === 0) return undefined;
  const owner = store.ownership(securityId);
  if (owner instanceof Promise) return undefined;
  const { isDirectory, linkCount } = state;
  return {
    type: isDirectory ? 'directory' : 'file', size: isDirectory ? 0 : facts.size, mode: owner.mode, uid: owner.uid, gid: owner.gid, modified: timeAt(view, at + 8), accessed: timeAt(view, at + 24),
    changed: timeAt(view, at + 16), created: timeAt(view, at), links: isDirectory ? 1 : Math.max(1, linkCount), inode: number,
  };
}

/** The type that {@link factsOf} would tell, of files that are only what their own record says; undefined for all others. @throws {FormatError} */
export function plainType(place: RecordPlace, { isDirectory }: RecordState): NodeType | undefined {
  const { view } = place;
  let flags = -1;
  let isPlain = true;
  visitAttributes(place, (type, { at, size }) => {
    if (type === ATTRIBUTE.standardInformation) flags = size >= HEAD_BYTES + OLD_BYTES && view.getUint8(at + 8) === 0 && view.getUint32(at + 16, true) >= OLD_BYTES && view.getUint16(at + 20, true) + OLD_BYTES <= size ? view.getUint32(at + view.getUint16(at + 20, true) + 32, true) : -1;
    else isPlain = type !== ATTRIBUTE.list && type !== ATTRIBUTE.reparsePoint && type !== ATTRIBUTE.extendedAttributes;
    return !isPlain;
  });
  return !isPlain || flags < 0 || (flags & (FILE_FLAG.system | FILE_FLAG.reparsePoint)) !== 0 ? undefined : isDirectory ? 'directory' : 'file';
}

/** Everything about a file but its content. @throws {NotFoundError} @throws {FormatError} @throws {IntegrityError} */
export async function factsOf(inodes: Inodes, store: SecurityStore, segments: AttributeSegments): Promise<FileFacts> {
  const information = await standardInformation(segments);
  const kind = await kindOf(inodes, segments, information.flags);
  const owner = await ownershipOf(inodes, store, segments, information);
  const { view } = information;
  const { linux, type } = kind;
  const { record } = segments;
  const stat: NodeStat = {
    type, size: kind.size, mode: type === 'symlink' ? 0o777 : (linuxMode(kind) ?? owner.mode) & 0o7777, uid: linux.uid ?? owner.uid, gid: linux.gid ?? owner.gid,
    modified: timeAt(view, 8), accessed: timeAt(view, 24), changed: timeAt(view, 16), created: timeAt(view, 0),
    links: type === 'directory' ? 1 : Math.max(1, record.linkCount), inode: record.number,
    ...(kind.major === undefined || kind.minor === undefined ? {} : { deviceMajor: kind.major, deviceMinor: kind.minor }),
  };
  return { segments, information, kind, stat };
}
