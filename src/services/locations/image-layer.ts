/** Disk images as a layer: probing, opening one with the files that it names, internal snapshots. */
import * as path from 'node:path';
import { NotFoundError, defaultLimits, type BlockSource } from '../../core/index.ts';
import { createZstd } from '../../engine/index.ts';
import { openImage, probeImage, type DiskImage, type ImageFormatName } from '../../formats/images/index.ts';
import { DiskTree } from './disk-tree.ts';
import type { Arrival, DiskPlace, LayerInfo, OpenOptions } from './place.ts';

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

/** Whether bytes are a disk image; reads little and never throws for bad content. Raw disks never are. */
export async function isImage(source: BlockSource): Promise<boolean> {
  return await probeImage(source) !== undefined;
}

function lastPart(name: string): string {
  return name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
}

/**
 * Finds what an image names among the files that the user listed behind it, by the last part of the name: directories of the
 * machine that it came from mean nothing here. A VDI names its parent by number only: it has the files in the order in which they are listed.
 */
function resolver(files: readonly CompanionFile[], onUse: (file: CompanionFile) => void): (name: string) => Promise<BlockSource> {
  let unnamed = 0;
  return (name) => {
    const wanted = lastPart(name);
    const file = name.startsWith('uuid:')
      ? files[unnamed++]
      : files.find((one) => path.posix.basename(one.name) === wanted) ?? files.find((one) => path.posix.basename(one.name).toLowerCase() === wanted.toLowerCase());
    if (file === undefined) return Promise.reject(new NotFoundError(`Find '${name}': list it behind the image, as in 'image,${wanted}'`, { reference: name }));
    onUse(file);
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

/** The place that several disks are, which belong together. */
export function arriveAtDisks(disks: readonly [DiskImage, ...DiskImage[]], name: string): Arrival {
  const [first] = disks;
  const arrival = arriveAtDisk(first, name, { disks: disks.length });
  return { ...arrival, place: { ...arrival.place as DiskPlace, disks }, owned: { close: async () => { for (const disk of disks) await disk.close(); } } };
}

/**
 * Opens an image, which then owns `source`; after a failure it is closed. `files` are those that it may name; without a `format` the magic number decides.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError} a file that it names is not among them.
 */
export async function enterImage(source: BlockSource, file: ImageFile, options: OpenOptions): Promise<Arrival> {
  return arriveAtDisk(await openImageFile(source, file, options), file.name);
}

/** The image itself; as {@link enterImage}. `onUse` is called for each of `files` that it names. */
export async function openImageFile(source: BlockSource, { name, files, format }: ImageFile, options: OpenOptions, onUse: (file: CompanionFile) => void = () => undefined): Promise<DiskImage> {
  try {
    const zstd = await createZstd();
    const image = await openImage(source, { limits: defaultLimits, unzstd: (frame, target) => { zstd.decompress(frame, target); }, resolveReference: resolver(files, onUse), ...(options.keys === undefined ? {} : { keys: options.keys }), ...(options.signal === undefined ? {} : { signal: options.signal }) }, format);
    for (const remark of image.facts.remarks) options.onNote?.(`${name}: ${remark}`);
    return image;
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The disk as it was in an internal snapshot. @throws {NotFoundError} */
export async function enterDiskSnapshot(image: DiskImage, name: string, snapshot: string): Promise<Arrival> {
  if (image.openSnapshot === undefined) throw new NotFoundError(`Open snapshot '${snapshot}' of '${name}': ${image.facts.format} images have no internal snapshots`, { snapshot });
  return arriveAtDisk(await image.openSnapshot(snapshot), name, { snapshot });
}
