/**
 * VHD images: fixed, dynamic, differencing.
 * Source: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0.
 */
import { type BlockSource, type ProbeVerdict } from '../../../core/index.ts';
import { damagedVerdict, type ImageContext, openParent } from '../chain.ts';
import type { DiskImage } from '../image.ts';
import { MappedImage } from '../mapped-image.ts';
import type { BlockMap } from '../../mapping/run.ts';
import { VhdBlockMap } from './block-map.ts';
import { hasVhdCookie, readFooter, readVhdHeader } from './header.ts';

/**
 * Recognises the footer, at the end or its copy at the start. A guest can write a footer into the last sector of its raw disk, which then shows
 * as a fixed VHD: the same bytes without that sector.
 */
export async function probeVhd(source: BlockSource): Promise<ProbeVerdict> {
  if (!await hasVhdCookie(source)) return { match: 'no' };
  try {
    await readFooter(source);
    return { match: 'yes', version: '1.0' };
  } catch (error) {
    return damagedVerdict(error);
  }
}

/**
 * Opens a VHD image and its parents.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError}
 */
export async function openVhd(file: BlockSource, context: ImageContext): Promise<DiskImage> {
  const footer = await readFooter(file);
  const { size, variant, identity, remarks } = footer;
  const common = { format: 'vhd', version: '1.0', variant, size, sectorSize: 512, identity } as const;
  const place = { structure: 'VHD BAT', field: 'entry' };
  if (variant === 'fixed') {
    const whole: BlockMap = { runAt: (offset, lengthMax) => ({ kind: 'data', file, at: offset, length: lengthMax }) };
    return new MappedImage({ ...common, remarks }, { map: whole, owned: [file], place });
  }
  const header = await readVhdHeader(file, footer, context.limits);
  const map = new VhdBlockMap(file, footer, header, context.tableBytes);
  const parent = header.parent === undefined ? undefined : await openParent(context, header.parent, 'vhd');
  return new MappedImage({ ...common, clusterBytes: header.blockBytes, ...(header.parent === undefined ? {} : { parent: header.parent }), remarks },
    { map, ...(parent === undefined ? {} : { parent }), owned: parent === undefined ? [file] : [parent, file], place });
}
