/** Disk images as a layer: probing, opening one with the files that it names, internal snapshots. */
import * as path from 'node:path';
import { NotFoundError, type BlockSource } from '../../core/index.ts';
import { createZstd } from '../../engine/index.ts';
import { openImage, probeImage, type DiskImage, type ImageFormatName } from '../../formats/images/index.ts';
import { DiskTree } from './disk-tree.ts';
import { isLocked, lockedError } from './key-remarks.ts';
import { Owner } from './owner.ts';
import type { Arrival, DiskPlace, LayerInfo, OpenOptions } from './place.ts';
import { contextOf } from './tables.ts';

/** A file that an image may name, under the name it has here. */
export interface CompanionFile {
  readonly name: string;
  open(): Promise<BlockSource>;
}

/** How an image is opened. */
export interface ImageFile {
  readonly name: string;
  readonly files: readonly CompanionFile[];
  readonly format?: ImageFormatName | undefined;
}

/** The format of a disk image, as its magic number says; reads little and never throws for bad content. Undefined for all else: raw disks never are one. */
export async function imageFormat(source: BlockSource): Promise<ImageFormatName | undefined> {
  return (await probeImage(source))?.format;
}

function lastPart(name: string): string {
  return name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
}

/**
 * Finds what an image names among the files that the user listed behind it, by the last part of the name: directories of the
 * machine that it came from mean nothing here. A VDI names its parent by number only: it has the files in the order in which they are listed.
 */
function resolver(files: readonly CompanionFile[]): (name: string) => Promise<BlockSource> {
  let unnamed = 0;
  return (name) => {
    const wanted = lastPart(name);
    const file = name.startsWith('uuid:')
      ? files[unnamed++]
      : files.find((one) => path.posix.basename(one.name) === wanted) ?? files.find((one) => path.posix.basename(one.name).toLowerCase() === wanted.toLowerCase());
    if (file === undefined) return Promise.reject(new NotFoundError(`Find '${name}': it is not among the files that were given`, { reference: name }));
    return file.open();
  };
}

function layerOf({ facts }: DiskImage): LayerInfo {
  const { parent, ...rest } = facts;
  return { layer: 'image', ...rest, ...(parent === undefined ? {} : { parent: parent.names[0] ?? '' }) };
}

/** The place that a disk is. */
export function arriveAtDisk(image: DiskImage, name: string, more: Partial<LayerInfo> = {}): Arrival {
  const tree = new DiskTree(image);
  return { place: { kind: 'disk', disks: [image], image, name, view: { tree, id: tree.rootId, path: new Uint8Array() } }, layer: { ...layerOf(image), ...more }, owned: image };
}

/** The place that several disks are, which belong together; `names` are those of their files. */
export function arriveAtDisks(disks: readonly [DiskImage, ...DiskImage[]], names: readonly string[]): Arrival {
  const [first] = disks;
  const arrival = arriveAtDisk(first, names.join(','), { disks: disks.length });
  const owner = new Owner();
  for (const disk of disks) owner.own(disk);
  return { ...arrival, place: { ...arrival.place as DiskPlace, disks, files: disks.map(({ facts }, i) => ({ name: names[i] ?? '', format: facts.format })) }, owned: owner };
}

/** The same error with what to write, when it is about a file that an image names. `given`: the image and the files behind it. */
function referenceError(error: unknown, given: readonly string[]): unknown {
  const reference = error instanceof NotFoundError ? error.data['reference'] : undefined;
  if (!(error instanceof NotFoundError) || typeof reference !== 'string') return error;
  const wanted = reference.startsWith('uuid:') ? 'PARENT' : lastPart(reference);
  return new NotFoundError(`${error.message}; list it behind the image, as in '${[...given, wanted].join(',')}'`, error.data, error);
}

/**
 * Opens an image, which then owns `source`; after a failure it is closed. `files` are those that it may name; without a `format` the magic number decides.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError} a file that it names is not among them; no key fits.
 */
export async function openImageFile(source: BlockSource, { name, files, format }: ImageFile, options: OpenOptions): Promise<DiskImage> {
  try {
    const zstd = await createZstd();
    const image = await openImage(source, { unzstd: (frame, target) => { zstd.decompress(frame, target); }, resolveReference: resolver(files), ...contextOf(options) }, format);
    // Only one that a key opened gets here.
    if (image.facts.variant.includes('LUKS')) options.keyUse?.opened();
    for (const remark of image.facts.remarks) options.onNote?.(`${name}: ${remark}`);
    return image;
  } catch (error) {
    await source.close();
    throw isLocked(error) ? lockedError(error) : referenceError(error, [name, ...files.map((file) => file.name)]);
  }
}

/** The disk as it was in an internal snapshot. @throws {NotFoundError} */
export async function enterDiskSnapshot(image: DiskImage, name: string, snapshot: string): Promise<Arrival> {
  const { format, snapshots } = image.facts;
  if (image.openSnapshot === undefined || snapshots === undefined) throw new NotFoundError(`Open snapshot '${snapshot}' of '${name}': this ${format} image has no internal snapshots`, { snapshot });
  return arriveAtDisk(await image.openSnapshot(snapshot), name, { snapshot });
}
