/**
 * VHDX images: fixed, dynamic, differencing; a log that was not replayed is replayed in memory, the file is never written.
 * Source: Microsoft [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format".
 */
import { type BlockSource, equalBytes, type ProbeVerdict, readRange, utf8 } from '../../../core/index.ts';
import { damagedVerdict, type ImageContext, openParent } from '../chain.ts';
import type { DiskImage } from '../image.ts';
import { MappedImage } from '../mapped-image.ts';
import { PatchedSource } from '../../mapping/patched-source.ts';
import { VhdxBlockMap } from './block-map.ts';
import { readRegions, readVhdxHeader, type VhdxHeader } from './header.ts';
import { replayLog } from './log.ts';
import { readVhdxMetadata, type VhdxMetadata } from './metadata.ts';
import { FILE_SIGNATURE, GUID } from './vhdx.layout.ts';

/** Recognises the file's signature; one of its headers must hold. */
export async function probeVhdx(source: BlockSource): Promise<ProbeVerdict> {
  if (source.size < FILE_SIGNATURE.length || !equalBytes(await readRange(source, 0, FILE_SIGNATURE.length), utf8(FILE_SIGNATURE))) return { match: 'no' };
  try {
    return { match: 'yes', version: String((await readVhdxHeader(source)).version) };
  } catch (error) {
    return damagedVerdict(error);
  }
}

function variantOf({ parent, fixed }: VhdxMetadata): string {
  if (parent !== undefined) return 'differencing';
  return fixed ? 'fixed' : 'dynamic';
}

/** The file as it is once its log is replayed. */
async function replayed(file: BlockSource, header: VhdxHeader, context: ImageContext): Promise<{ readonly file: BlockSource; readonly remarks: readonly string[] }> {
  if (header.logGuid === GUID.none) return { file, remarks: header.remarks };
  const { patches, fileBytes, entries } = await replayLog(file, header, context.limits);
  const remark = `it was not closed properly: ${entries} entries of its log were replayed in memory`;
  return { file: new PatchedSource(file, patches, fileBytes), remarks: [...header.remarks, remark] };
}

/**
 * Opens a VHDX image and its parents.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {NotFoundError}
 */
export async function openVhdx(source: BlockSource, context: ImageContext): Promise<DiskImage> {
  const header = await readVhdxHeader(source);
  const { file, remarks } = await replayed(source, header, context);
  const { bat, metadata: region } = await readRegions(file);
  const metadata = await readVhdxMetadata(file, region, context.limits);
  const reserved = [bat, region, { offset: header.log.offset, length: header.log.length }];
  const map = new VhdxBlockMap(file, metadata, { bat, reserved }, context.tableBytes);
  const { size, sectorSize, blockBytes } = metadata;
  const parent = metadata.parent === undefined ? undefined : await openParent(context, metadata.parent, 'vhdx');
  return new MappedImage({
    format: 'vhdx', version: String(header.version), variant: variantOf(metadata), size, sectorSize, clusterBytes: blockBytes, identity: header.dataWriteGuid,
    ...(metadata.parent === undefined ? {} : { parent: metadata.parent }), remarks,
  }, { map, ...(parent === undefined ? {} : { parent }), owned: parent === undefined ? [file] : [parent, file], place: { structure: 'VHDX BAT', field: 'FileOffsetMB' } });
}
