/**
 * qcow2 images, versions 2 and 3: compressed clusters (deflate, Zstandard), backing files, internal snapshots, extended L2 entries,
 * external data files, LUKS with a key. Refcounts are not looked at: reading does not need them, so images that were not closed properly can be read.
 * Source: QEMU documentation, `docs/interop/qcow2.txt`. Not supported: encryption other than LUKS.
 */
import { type BlockSource, defaultLimits, FormatError, NotFoundError, type ProbeVerdict, readRange, UnsupportedError } from '../../../core/index.ts';
import { damagedVerdict, type ImageContext, openParent, openReference } from '../chain.ts';
import type { DiskImage, ImageFacts, ImageFormatName } from '../image.ts';
import { MappedImage } from '../mapped-image.ts';
import { decryptedFile } from '../../partitions/luks/luks.ts';
import { windowOf } from '../../partitions/parts.ts';
import type { PlaceField } from '../../mapping/run.ts';
import { ClusterMap, type ClusterFiles } from './cluster-map.ts';
import { hasQcow2Magic, type Qcow2Header, readQcow2Header } from './header.ts';
import { type Qcow2Snapshot, readSnapshots } from './snapshot.ts';
import { clusterUnpacker } from './unpack.ts';

/** Bytes of unpacked clusters to keep: what one large read wants, and its neighbour. */
const UNPACKED_BYTES = 4 << 20;

/** QEMU's names of formats, as they stand in the header. */
const backingFormats: Readonly<Record<string, ImageFormatName>> = {
  raw: 'raw', file: 'raw', host_device: 'raw', qcow2: 'qcow2', vhdx: 'vhdx', vpc: 'vhd', vmdk: 'vmdk', vdi: 'vdi',
};

/** Recognises the magic number; the header must hold. */
export async function probeQcow2(source: BlockSource): Promise<ProbeVerdict> {
  if (!await hasQcow2Magic(source)) return { match: 'no' };
  try {
    return { match: 'yes', version: String((await readQcow2Header(source, defaultLimits)).version) };
  } catch (error) {
    return damagedVerdict(error);
  }
}

function formatOfBacking({ backingFormat }: Qcow2Header): ImageFormatName | undefined {
  if (backingFormat === undefined || backingFormat === '') return undefined;
  const known = Object.hasOwn(backingFormats, backingFormat) ? backingFormats[backingFormat] : undefined;
  if (known === undefined) throw new UnsupportedError(`Open backing file of qcow2 image: its format '${backingFormat}' is not known`, { format: backingFormat });
  return known;
}

function factsOf(header: Qcow2Header, snapshots: readonly Qcow2Snapshot[]): ImageFacts {
  const remarks = [
    ...(header.dirty ? ['it was not closed properly; that touches only reference counts, which reading does not need'] : []),
    ...(header.corrupt ? ['it is marked as corrupt by whoever wrote it last'] : []),
  ];
  return {
    format: 'qcow2', version: String(header.version), size: header.size, sectorSize: 512, clusterBytes: 2 ** header.clusterBits, compression: header.compression,
    variant: [header.externalData ? 'external data' : 'sparse', ...(header.extendedL2 ? ['extended L2'] : []), ...(header.luks === undefined ? [] : ['LUKS'])].join(', '),
    ...(header.backingName === undefined ? {} : { parent: { names: [header.backingName] } }),
    ...(header.externalData && header.dataFileName !== undefined ? { extents: [header.dataFileName] } : {}),
    ...(snapshots.length === 0 ? {} : { snapshots: snapshots.map(({ id, name, timeMs, size }) => ({ id, name, timeMs, size })) }),
    remarks,
  };
}

async function readL1(file: BlockSource, offset: number, entries: number): Promise<Uint8Array> {
  if (offset + entries * 8 > file.size) {
    throw new FormatError('Read qcow2 L1 table', { structure: 'qcow2 L1 table', field: 'offset', found: offset, expected: `${entries * 8} bytes before the end '${file.size}' of the file` });
  }
  return readRange(file, offset, entries * 8);
}

const place: PlaceField = { structure: 'qcow2 L2 table', field: 'host cluster offset' };

/** A qcow2 image with its snapshots. */
class Qcow2Image extends MappedImage {
  readonly #header: Qcow2Header;
  readonly #snapshots: readonly Qcow2Snapshot[];
  readonly #files: ClusterFiles;
  readonly #parent: DiskImage | undefined;
  readonly #tableBytes: number;

  constructor(parts: { readonly header: Qcow2Header; readonly snapshots: readonly Qcow2Snapshot[]; readonly files: ClusterFiles; readonly dataFiles: readonly BlockSource[]; readonly parent: DiskImage | undefined; readonly tableBytes: number }, map: ClusterMap) {
    const { header, snapshots, files, parent } = parts;
    const owned = [...(parent === undefined ? [] : [parent]), ...parts.dataFiles, files.file];
    super(factsOf(header, snapshots), { map, owned, ...(parent === undefined ? {} : { parent }), place });
    this.#header = header;
    this.#snapshots = snapshots;
    this.#files = files;
    this.#parent = parent;
    this.#tableBytes = parts.tableBytes;
  }

  async openSnapshot(nameOrId: string): Promise<DiskImage> {
    const snapshot = this.#snapshots.find(({ name }) => name === nameOrId) ?? this.#snapshots.find(({ id }) => id === nameOrId);
    if (snapshot === undefined) {
      throw new NotFoundError(`Open snapshot '${nameOrId}' of qcow2 image: it has ${this.#snapshots.map(({ name }) => `'${name}'`).join(', ') || 'none'}`, { snapshot: nameOrId });
    }
    const { l1Offset, l1Entries, size } = snapshot;
    const header = { ...this.#header, size, l1Offset, l1Entries };
    const coverage = 2 ** header.clusterBits * (2 ** header.clusterBits / (header.extendedL2 ? 16 : 8));
    if (l1Entries < Math.ceil(size / coverage)) throw new FormatError('Open qcow2 snapshot', { structure: 'qcow2 snapshot', field: 'l1_size', found: l1Entries, expected: `at least ${Math.ceil(size / coverage)}` });
    const map = new ClusterMap(header, this.#files, await readL1(this.#files.file, l1Offset, l1Entries), this.#tableBytes);
    const { snapshots: _, ...facts } = this.facts;
    return new MappedImage({ ...facts, size, variant: 'internal snapshot' }, {
      map, owned: [], ...(this.#parent === undefined ? {} : { parent: this.#parent }), place,
    });
  }
}

/**
 * Opens a qcow2 image, its data file and backing files.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError} also where it is encrypted and no key fits.
 */
export async function openQcow2(file: BlockSource, context: ImageContext): Promise<DiskImage> {
  const header = await readQcow2Header(file, context.limits);
  const snapshots = await readSnapshots(file, header, context.limits);
  const l1 = await readL1(file, header.l1Offset, header.l1Entries);
  const unpack = clusterUnpacker(file, 2 ** header.clusterBits, { compression: header.compression, budget: UNPACKED_BYTES, fast: context.unzstd });
  const checked = new ClusterMap(header, { file, data: file, unpack }, l1, context.tableBytes);
  const opened: BlockSource[] = [];
  try {
    const stored = header.externalData ? await openDataFile(header, context) : file;
    if (stored !== file) opened.push(stored);
    const dataFiles = [...opened];
    const { luks } = header;
    // Sectors of data are encrypted by their place in the file; tables are not.
    const data = luks === undefined ? stored : await decryptedFile(windowOf(file, luks.offset, luks.length), stored, context);
    const parent = header.backingName === undefined ? undefined : await openParent(context, { names: [header.backingName] }, formatOfBacking(header));
    if (parent !== undefined) opened.push(parent);
    const files: ClusterFiles = { file, data, unpack };
    const map = data === file ? checked : new ClusterMap(header, files, l1, context.tableBytes);
    return new Qcow2Image({ header, snapshots, files, dataFiles, parent, tableBytes: context.tableBytes }, map);
  } catch (error) {
    for (const one of opened) await one.close();
    throw error;
  }
}

function openDataFile(header: Qcow2Header, context: ImageContext): Promise<BlockSource> {
  if (header.dataFileName === undefined) throw new FormatError('Open qcow2 image', { structure: 'qcow2 header extension', field: 'external data file name', expected: 'a name, as its feature bit says' });
  return openReference(context, [header.dataFileName], 'data file');
}
