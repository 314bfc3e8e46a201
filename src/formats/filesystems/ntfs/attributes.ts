/**
 * Extended attributes as ntfs-3g names them: `user.NAME` for named streams of at most 64 KiB, and under `system.ntfs_…` what a restore to
 * NTFS through ntfs-3g needs: the security descriptor, the attributes of DOS, the short name, reparse data and object identifier.
 */
import { attributeNameText, checkLimit, utf8 } from '../../../core/index.ts';
import { wtf8Of } from '../wtf8.ts';
import type { AttributeSegments } from './attribute-list.ts';
import { openContent, readAll, smallAttribute } from './content.ts';
import type { FileFacts, StandardInformation } from './file-stat.ts';
import { OVERLAY_STREAM } from './overlay-file.ts';
import type { Inodes } from './inodes.ts';
import { ATTRIBUTE, FILE_FLAG, REPARSE_TAG } from './ntfs.layout.ts';
import type { NamedStream } from '../filesystem.ts';

/** Longer streams are streams only: ntfs-3g and the kernel have no larger attributes. */
const STREAM_BYTES_MAX = 64 << 10;
const OTHER_BYTES_MAX = 64 << 10;

/** Streams beside the content. Those of compression are part of the content. @throws {FormatError} */
export async function namedStreams({ segments, kind }: FileFacts): Promise<readonly NamedStream[]> {
  const streams: NamedStream[] = [];
  for (const name of segments.names(ATTRIBUTE.data)) {
    if (name === '' || (name === OVERLAY_STREAM && kind.reparse?.tag === REPARSE_TAG.compressed)) continue;
    const first = await segments.first(ATTRIBUTE.data, name);
    if (first !== undefined) streams.push({ name, size: first.resident ? first.value.length : first.dataSize });
  }
  return streams;
}

/** DOS attributes as ntfs-3g gives them: little-endian, with a flag for directories and one for files with no other. */
function dosAttributes({ flags }: StandardInformation, segments: AttributeSegments): Uint8Array {
  const shown = segments.record.isDirectory ? flags | FILE_FLAG.directory : flags & ~FILE_FLAG.directory;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, shown === 0 ? FILE_FLAG.normal : shown, true);
  return bytes;
}

/** An attribute's name as a map's key; undefined for one that cannot be shown. */
function streamKey(name: string): string | undefined {
  return name.includes('\0') ? undefined : attributeNameText(new Uint8Array(Buffer.concat([utf8('user.'), wtf8Of(name)])));
}

/** All attributes of a file. @throws {FormatError} @throws {LimitError} */
export async function extendedAttributes(inodes: Inodes, facts: FileFacts, descriptor: Uint8Array | undefined): Promise<ReadonlyMap<string, Uint8Array>> {
  const { volume } = inodes;
  const { segments, information, kind } = facts;
  const found = new Map<string, Uint8Array>();
  const streams = await namedStreams(facts);
  checkLimit(volume.limits, 'xattrsMax', streams.length, `streams of MFT record ${segments.record.number}`);
  let bytes = 0;
  for (const { name, size } of streams) {
    const key = streamKey(name);
    if (key === undefined || size > STREAM_BYTES_MAX) continue;
    bytes += size;
    checkLimit(volume.limits, 'xattrBytesMax', bytes, `streams of MFT record ${segments.record.number}`);
    try {
      const source = await openContent(volume, segments.some(ATTRIBUTE.data, name));
      if (source !== undefined) found.set(key, await readAll(source));
    } catch (error) {
      volume.problems.note(`MFT record ${segments.record.number} stream '${name}'`, error);
    }
  }
  found.set('system.ntfs_attrib', dosAttributes(information, segments));
  if (descriptor !== undefined) found.set('system.ntfs_acl', descriptor);
  if (kind.reparse !== undefined) found.set('system.ntfs_reparse_data', kind.reparse.bytes);
  const objectId = await smallAttribute(volume, segments, { type: ATTRIBUTE.objectId, name: '' }, OTHER_BYTES_MAX);
  if (objectId !== undefined) found.set('system.ntfs_object_id', objectId);
  const extended = await smallAttribute(volume, segments, { type: ATTRIBUTE.extendedAttributes, name: '' }, OTHER_BYTES_MAX);
  if (extended !== undefined) found.set('system.ntfs_ea', extended);
  const short = (await inodes.names(segments.record.number)).find(({ isShort }) => isShort);
  if (short !== undefined) found.set('system.ntfs_dos_name', wtf8Of(short.units));
  return found;
}
