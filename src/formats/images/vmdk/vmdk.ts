/**
 * VMDK images: a descriptor and its extents, or one file that is both; parents by the descriptor.
 * Source: VMware, "Virtual Disk Format 5.0" technical note. Not supported: raw device mappings, encryption.
 */
import { type BlockSource, FormatError, type ProbeVerdict, readRange, UnsupportedError } from '../../../core/index.ts';
import { damagedVerdict, type ImageContext, openParent, openReference } from '../chain.ts';
import type { DiskImage, ParentFacts } from '../image.ts';
import { MappedImage } from '../mapped-image.ts';
import { openCowd } from './cowd.ts';
import { type Descriptor, type ExtentLine, parseDescriptor } from './descriptor.ts';
import { type ExtentPart, ExtentsMap } from './extents-map.ts';
import { GrainMap } from './grain-map.ts';
import { openSeSparse } from './se-sparse.ts';
import { openSparse, type SparseExtent } from './sparse.ts';
import { MAGIC, SE_SPARSE } from './vmdk.layout.ts';

type Kind = 'descriptor' | 'sparse' | 'cowd' | 'sesparse';

const flatTypes = new Set(['FLAT', 'VMFS', 'VMFSTHIN']);
const sparseTypes = new Set(['SPARSE', 'VMFSSPARSE', 'SESPARSE']);

async function kindOf(file: BlockSource): Promise<Kind | undefined> {
  const head = Buffer.from(await readRange(file, 0, Math.min(file.size, MAGIC.descriptor.length)));
  const magic = head.toString('latin1');
  if (magic.startsWith(MAGIC.sparse)) return 'sparse';
  if (magic.startsWith(MAGIC.cowd)) return 'cowd';
  if (magic === MAGIC.descriptor) return 'descriptor';
  return head.length >= 8 && head.readBigUInt64LE(0) === BigInt(SE_SPARSE.magic) ? 'sesparse' : undefined;
}

/** Recognises the magic numbers of extents, and the first line of a descriptor. */
export async function probeVmdk(source: BlockSource): Promise<ProbeVerdict> {
  try {
    const kind = await kindOf(source);
    return kind === undefined ? { match: 'no' } : { match: 'yes', version: kind };
  } catch (error) {
    return damagedVerdict(error);
  }
}

/** Opens a file that is a sparse extent of whatever kind. */
async function openExtentFile(file: BlockSource, context: ImageContext): Promise<SparseExtent> {
  switch (await kindOf(file)) {
    case 'sparse': return openSparse(file, context.limits);
    case 'cowd': return openCowd(file, context.limits);
    case 'sesparse': return openSeSparse(file, context.limits);
    default: throw new FormatError('Open VMDK extent', { structure: 'VMDK extent', field: 'magic', offset: 0, expected: 'KDMV, COWD or SEsparse' });
  }
}

function partOf(file: BlockSource, extent: SparseExtent, bytes: number, context: ImageContext): ExtentPart {
  if (extent.bytes < bytes) throw new FormatError('Open VMDK extent', { structure: 'VMDK extent', field: 'capacity', found: extent.bytes, expected: `at least ${bytes}, as the descriptor says` });
  return { bytes, map: new GrainMap(file, extent.layout, context.tableBytes), clusterBytes: extent.layout.grainBytes, remarks: extent.remarks };
}

/** Opens one line of a descriptor; `opened` collects what is to be closed. */
async function openLine(line: ExtentLine, context: ImageContext, opened: BlockSource[]): Promise<ExtentPart> {
  if (line.access === 'NOACCESS') throw new UnsupportedError(`Open VMDK extent '${line.file}': the descriptor forbids access to it`);
  if (line.type === 'ZERO') return { bytes: line.bytes, map: { runAt: (_offset, lengthMax) => ({ kind: 'hole', length: lengthMax }) }, remarks: [] };
  if (!flatTypes.has(line.type) && !sparseTypes.has(line.type)) throw new UnsupportedError(`Open VMDK extent '${line.file}': type '${line.type}' is not read`);
  const file = await openReference(context, [line.file], 'extent');
  opened.push(file);
  if (sparseTypes.has(line.type)) return partOf(file, await openExtentFile(file, context), line.bytes, context);
  if (line.offset + line.bytes > file.size) {
    throw new FormatError('Open VMDK extent', { structure: 'VMDK descriptor', field: `extent "${line.file}"`, found: file.size, expected: `at least ${line.offset + line.bytes} bytes in the file` });
  }
  return { bytes: line.bytes, map: { runAt: (offset, lengthMax) => ({ kind: 'data', file, at: line.offset + offset, length: lengthMax }) }, remarks: [] };
}

async function openParts(file: BlockSource, embedded: SparseExtent | undefined, descriptor: Descriptor, context: ImageContext): Promise<{ readonly parts: readonly ExtentPart[]; readonly opened: readonly BlockSource[] }> {
  const opened: BlockSource[] = [];
  const parts: ExtentPart[] = [];
  const shared = { ...context, tableBytes: Math.ceil(context.tableBytes / Math.max(1, descriptor.extents.length)) };
  try {
    for (const [index, line] of descriptor.extents.entries()) {
      // The first extent of a file with an embedded descriptor is that file, whatever name it had.
      parts.push(index === 0 && embedded !== undefined ? partOf(file, embedded, line.bytes, shared) : await openLine(line, shared, opened));
    }
  } catch (error) {
    for (const one of opened) await one.close();
    throw error;
  }
  return { parts, opened };
}

function parentOf({ parentCid, parentName }: Descriptor): ParentFacts | undefined {
  if (parentCid === undefined) return undefined;
  if (parentName === undefined) throw new FormatError('Open VMDK image', { structure: 'VMDK descriptor', field: 'parentFileNameHint', expected: 'a name, as parentCID says that there is a parent' });
  return { names: [parentName], identity: parentCid };
}

/** One extent without a descriptor: what it lacks shows as zeroes. */
function loneExtent(file: BlockSource, extent: SparseExtent, context: ImageContext): DiskImage {
  const part = partOf(file, extent, extent.bytes, context);
  return new MappedImage({
    format: 'vmdk', version: String(extent.version), variant: 'extent', size: extent.bytes, sectorSize: 512, clusterBytes: extent.layout.grainBytes, ...(extent.compressed ? { compression: 'zlib' } : {}),
    remarks: [...extent.remarks, 'it is one extent without its descriptor: what it does not hold shows as zeroes, even if the disk has a parent'],
  }, { map: part.map, owned: [file], place: { structure: 'VMDK grain table', field: 'entry' } });
}

async function readDescriptorFile(file: BlockSource, context: ImageContext): Promise<Uint8Array> {
  const bytes = Math.min(file.size, context.limits.imageTextBytesMax);
  return readRange(file, 0, bytes);
}

/**
 * Opens a VMDK image by its descriptor, or by a file with an embedded one, with its extents and parents.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError}
 */
export async function openVmdk(file: BlockSource, context: ImageContext): Promise<DiskImage> {
  const embedded = await kindOf(file) === 'descriptor' ? undefined : await openExtentFile(file, context);
  if (embedded !== undefined && embedded.descriptor === undefined) return loneExtent(file, embedded, context);
  const descriptor = parseDescriptor(embedded?.descriptor ?? await readDescriptorFile(file, context), context.limits);
  const wanted = parentOf(descriptor);
  const { parts, opened } = await openParts(file, embedded, descriptor, context);
  const owned = [...opened, file];
  try {
    const parent = wanted === undefined ? undefined : await openParent(context, wanted, 'vmdk');
    if (parent !== undefined) owned.unshift(parent);
    const map = new ExtentsMap(parts);
    const names = descriptor.extents.slice(embedded === undefined ? 0 : 1).map((line) => line.file).filter((name) => name !== '');
    const clusterBytes = parts.find((part) => part.clusterBytes !== undefined)?.clusterBytes;
    return new MappedImage({
      format: 'vmdk', version: String(embedded?.version ?? 1), variant: descriptor.createType, size: map.size, sectorSize: 512, identity: descriptor.cid,
      ...(clusterBytes === undefined ? {} : { clusterBytes }), ...(embedded?.compressed === true ? { compression: 'zlib' } : {}),
      ...(wanted === undefined ? {} : { parent: wanted }), ...(names.length === 0 ? {} : { extents: names }), remarks: parts.flatMap((part) => part.remarks),
    }, { map, ...(parent === undefined ? {} : { parent }), owned, place: { structure: 'VMDK grain table', field: 'entry' } });
  } catch (error) {
    for (const one of owned) if (one !== file) await one.close();
    throw error;
  }
}
