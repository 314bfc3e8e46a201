/** VDI images, version 1.1: dynamic, static, differencing. What is known of the format: see `vdi.layout.ts`. */
import { type BlockSource, FormatError, type ProbeVerdict, readRange, UnsupportedError } from '../../../core/index.ts';
import { damagedVerdict, type ImageContext, openParent } from '../chain.ts';
import { guidText } from '../../mapping/guid.ts';
import type { DiskImage, ImageFacts, ParentFacts } from '../image.ts';
import { MappedImage } from '../mapped-image.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { checkEntry, TableCache } from '../../mapping/table-cache.ts';
import { VDI_BLOCK, VDI_SIGNATURE, VDI_TYPE, VDI_VERSION, vdiLayout } from './vdi.layout.ts';

const STRUCTURE = vdiLayout.name;
const PART_BYTES = 32 << 10;

interface VdiHeader {
  readonly facts: ImageFacts;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly mapOffset: number;
  readonly dataOffset: number;
  /** Bytes before the content of each block. */
  readonly extraBytes: number;
}

function fault(field: keyof typeof vdiLayout.offsets, found: number, expected: string): FormatError {
  return new FormatError('Read VDI header', { structure: STRUCTURE, field, offset: vdiLayout.offsets[field], found, expected });
}

async function readHeader(file: BlockSource): Promise<VdiHeader> {
  const view = vdiLayout.view(await readRange(file, 0, Math.min(file.size, vdiLayout.size)));
  if (view.signature !== VDI_SIGNATURE) throw fault('signature', view.signature, String(VDI_SIGNATURE));
  if (view.version !== VDI_VERSION) throw new UnsupportedError(`Open VDI image: version '${view.version >>> 16}.${view.version & 0xffff}', expected 1.1`);
  const variant = (Object.keys(VDI_TYPE) as (keyof typeof VDI_TYPE)[]).find((name) => VDI_TYPE[name] === view.imageType);
  if (variant === undefined) throw fault('imageType', view.imageType, '1 to 4');
  if (variant === 'undo') throw new UnsupportedError("Open VDI image: type 'undo' is not read");
  const { diskSize, blockSize: blockBytes, blocks, offBlocks: mapOffset, offData: dataOffset, blockExtra: extraBytes } = view;
  if (blockBytes < 512 || blockBytes > 2 ** 31 || Math.log2(blockBytes) % 1 !== 0) throw fault('blockSize', blockBytes, 'a power of two of at least 512');
  if (view.sectorSize !== 512) throw fault('sectorSize', view.sectorSize, '512');
  if (blocks < Math.ceil(diskSize / blockBytes)) throw fault('blocks', blocks, `at least ${Math.ceil(diskSize / blockBytes)}`);
  if (mapOffset < vdiLayout.size || mapOffset + blocks * 4 > file.size) throw fault('offBlocks', mapOffset, `behind the header, and ${blocks * 4} bytes before the end '${file.size}' of the file`);
  if (dataOffset < mapOffset + blocks * 4) throw fault('offData', dataOffset, `behind the block map, which ends at ${mapOffset + blocks * 4}`);
  if (extraBytes > blockBytes) throw fault('blockExtra', extraBytes, `at most ${blockBytes}`);
  const linkage = guidText(view.uuidLinkage);
  const parent: ParentFacts | undefined = variant === 'differencing' ? { names: [`uuid:${linkage}`], identity: linkage } : undefined;
  return {
    blockBytes, blocks, mapOffset, dataOffset, extraBytes,
    facts: {
      format: 'vdi', version: '1.1', variant, size: diskSize, sectorSize: 512, clusterBytes: blockBytes, identity: guidText(view.uuidCreate),
      ...(parent === undefined ? {} : { parent }), remarks: [],
    },
  };
}

/** Recognises the signature; the header must hold. */
export async function probeVdi(source: BlockSource): Promise<ProbeVerdict> {
  const at = vdiLayout.offsets.signature;
  if (source.size < at + 4 || Buffer.from(await readRange(source, at, 4)).readUInt32LE(0) !== VDI_SIGNATURE) return { match: 'no' };
  try {
    return { match: 'yes', version: (await readHeader(source)).facts.version };
  } catch (error) {
    return damagedVerdict(error);
  }
}

class VdiBlockMap implements BlockMap {
  readonly #file: BlockSource;
  readonly #header: VdiHeader;
  readonly #cache: TableCache;

  constructor(file: BlockSource, header: VdiHeader, tableBytes: number) {
    this.#file = file;
    this.#header = header;
    this.#cache = new TableCache(file, { partBytes: PART_BYTES, budget: tableBytes, structure: 'VDI block map' });
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const at = Math.floor(offset / this.#header.blockBytes) * 4;
    const partAt = at - at % PART_BYTES;
    const found = this.#cache.get(this.#header.mapOffset + partAt);
    if (found instanceof Promise) return found.then((view) => this.#inPart(view, at - partAt, offset, lengthMax));
    return this.#inPart(found, at - partAt, offset, lengthMax);
  }

  #inPart(view: DataView, at: number, offset: number, lengthMax: number): Run {
    checkEntry(view, at, 4, 'VDI block map');
    const { blockBytes, extraBytes, dataOffset, blocks } = this.#header;
    const skip = offset % blockBytes;
    const length = Math.min(lengthMax, blockBytes - skip);
    const index = view.getUint32(at, true);
    if (index === VDI_BLOCK.free) return { kind: 'parent', length };
    if (index === VDI_BLOCK.zero) return { kind: 'hole', length };
    if (index >= blocks) throw new FormatError('Map VDI block', { structure: 'VDI block map', field: `entry ${Math.floor(offset / blockBytes)}`, found: index, expected: `less than ${blocks}` });
    return { kind: 'data', length, file: this.#file, at: dataOffset + index * (blockBytes + extraBytes) + extraBytes + skip };
  }
}

/**
 * Opens a VDI image and its parents, which it names `uuid:…`: a VDI knows no file names.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError}
 */
export async function openVdi(file: BlockSource, context: ImageContext): Promise<DiskImage> {
  const header = await readHeader(file);
  const { facts } = header;
  const parent = facts.parent === undefined ? undefined : await openParent(context, facts.parent, 'vdi');
  return new MappedImage(facts, {
    map: new VdiBlockMap(file, header, context.tableBytes), ...(parent === undefined ? {} : { parent }), owned: parent === undefined ? [file] : [parent, file],
    place: { structure: 'VDI block map', field: 'entry' },
  });
}
