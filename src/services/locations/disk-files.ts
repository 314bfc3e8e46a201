/** Files as disks: an image, with the files that it names if they were given; a file without a container; several disks that belong together. */
import type { BlockSource } from '../../core/index.ts';
import type { DiskImage, ImageFormatName } from '../../formats/images/index.ts';
import { foreignImage } from './foreign-image.ts';
import { isDisk } from './guest-layer.ts';
import { arriveAtDisk, arriveAtDisks, imageFormat, openImageFile, type CompanionFile } from './image-layer.ts';
import { nameOf, openContent, openIf } from './node-source.ts';
import { owning } from './owner.ts';
import type { Arrival, NodePlace, OpenOptions } from './place.ts';

/** The disk in a file that is an image by its magic number, or that has the given format; undefined where it is none. @throws as `openImage`. */
export async function enterImage(place: NodePlace, options: OpenOptions, format?: ImageFormatName): Promise<Arrival | undefined> {
  let is = format;
  const source = await openIf(place, async (one) => (is ??= await imageFormat(one)) !== undefined);
  return source === undefined ? undefined : arriveAtDisk(await openImageFile(source, { name: nameOf(place), files: [], format: is }, options), nameOf(place));
}

async function openRaw(source: BlockSource, name: string, options: OpenOptions): Promise<DiskImage> {
  const foreign = await foreignImage(source, name);
  if (foreign !== undefined) throw foreign;
  return openImageFile(source, { name, files: [], format: 'raw' }, options);
}

/** The disk that a file without a container that is known is. @throws {UnsupportedError} it is an image of a kind that is not read. */
export async function enterRaw(place: NodePlace, options: OpenOptions): Promise<Arrival> {
  return owning(async (owner) => arriveAtDisk(await openRaw(owner.own(await openContent(place)), nameOf(place), options), nameOf(place)));
}

/**
 * Several files as the disks that they are, in order. One that an image named is no disk of its own, and one with nothing known on it is left out with
 * a note. Undefined where the first is no disk. @throws as `openImage`, for each.
 */
export async function enterDisks(places: readonly NodePlace[], options: OpenOptions): Promise<Arrival | undefined> {
  return owning(async (owner) => {
    const named = new Set<NodePlace>();
    const disks: { readonly image: DiskImage; readonly name: string }[] = [];
    for (const [i, place] of places.entries()) {
      if (named.has(place)) continue;
      const name = nameOf(place);
      const source = owner.own(await openContent(place));
      const format = await imageFormat(source);
      // Those behind it first: they are listed the nearest first.
      const files = [...places.slice(i + 1), ...places.slice(0, i)].map((other): CompanionFile => ({
        name: nameOf(other),
        open: () => {
          named.add(other);
          return openContent(other);
        },
      }));
      const image = owner.own(format === undefined ? await openRaw(source, name, options) : await openImageFile(source, { name, files, format }, options));
      if (format !== undefined || await isDisk(image)) disks.push({ image, name });
      else if (i === 0) {
        await owner.close();
        return undefined;
      } else {
        await image.close();
        options.onNote?.(`'${name}' is left out: no image names it, and nothing that is known is on it`);
      }
    }
    const [first, ...others] = disks;
    if (first === undefined) return undefined;
    if (others.length === 0) return arriveAtDisk(first.image, first.name);
    return arriveAtDisks([first.image, ...others.map(({ image }) => image)], disks.map(({ name }) => name));
  });
}
