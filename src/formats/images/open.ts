/** Recognising and opening disk images of all formats. */
import { type BlockSource, type Format, FormatError, type OpenContext, type ProbeVerdict } from '../../core/index.ts';
import { type ImageContext, tableBytesAt } from './chain.ts';
import type { DiskImage, ImageFormatName, ImageOpenContext } from './image.ts';
import { openQcow2, probeQcow2 } from './qcow2/qcow2.ts';
import { openRaw } from './raw.ts';
import { openVdi, probeVdi } from './vdi/vdi.ts';
import { openVhd, probeVhd } from './vhd/vhd.ts';
import { openVhdx, probeVhdx } from './vhdx/vhdx.ts';
import { openVmdk, probeVmdk } from './vmdk/vmdk.ts';

interface Driver {
  readonly name: ImageFormatName;
  probe(source: BlockSource): Promise<ProbeVerdict>;
  open(source: BlockSource, context: ImageContext): Promise<DiskImage>;
}

/** VHD last: fixed ones are known only by their end. */
const drivers: readonly Driver[] = [
  { name: 'qcow2', probe: probeQcow2, open: openQcow2 },
  { name: 'vhdx', probe: probeVhdx, open: openVhdx },
  { name: 'vmdk', probe: probeVmdk, open: openVmdk },
  { name: 'vdi', probe: probeVdi, open: openVdi },
  { name: 'vhd', probe: probeVhd, open: openVhd },
  { name: 'raw', probe: () => Promise.resolve({ match: 'no' }), open: (source) => Promise.resolve(openRaw(source)) },
];

/** What {@link probeImage} recognised. */
export interface RecognisedImage {
  readonly format: ImageFormatName;
  readonly verdict: Exclude<ProbeVerdict, { readonly match: 'no' }>;
}

/** Recognises an image by its magic number; never `raw`. Reads little, and never throws for bad content. */
export async function probeImage(source: BlockSource): Promise<RecognisedImage | undefined> {
  for (const { name, probe } of drivers) {
    const verdict = await probe(source);
    if (verdict.match !== 'no') return { format: name, verdict };
  }
  return undefined;
}

async function formatOf(source: BlockSource): Promise<ImageFormatName> {
  const found = await probeImage(source);
  if (found !== undefined) return found.format;
  throw new FormatError('Open disk image', { structure: 'image', field: 'magic', expected: drivers.map(({ name }) => name).filter((name) => name !== 'raw').join(', ') });
}

/** Parents were opened for the child: when theirs fails, nobody else would close the file. */
async function openInChain(file: BlockSource, format: ImageFormatName | undefined, context: ImageOpenContext, depth: number): Promise<DiskImage> {
  try {
    return await openAt(file, format, context, depth);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openAt(source: BlockSource, format: ImageFormatName | undefined, context: ImageOpenContext, depth: number): Promise<DiskImage> {
  // Without a format that someone vouches for, a parent is what its bytes say, and raw when they say nothing.
  const name = format ?? (depth > 0 ? (await probeImage(source))?.format ?? 'raw' : await formatOf(source));
  const driver = drivers.find((one) => one.name === name) as Driver;
  return driver.open(source, { ...context, depth, tableBytes: tableBytesAt(context.limits.imageTableBytesMax, depth), openImage: openInChain });
}

/**
 * Opens an image of any format; `format` undefined: the one that the magic number says. The image then owns `source`; on failure it
 * remains the caller's.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError} a file that the image names was not given.
 */
export function openImage(source: BlockSource, context: ImageOpenContext, format?: ImageFormatName): Promise<DiskImage> {
  return openAt(source, format, context, 0);
}

/** The formats one by one, in the order in which they are probed; `raw` matches nothing. */
export const imageFormats: readonly Format<DiskImage>[] = drivers.map(({ name, probe }) => ({
  name,
  probe,
  open: (source: BlockSource, context: OpenContext) => openImage(source, context, name),
}));
