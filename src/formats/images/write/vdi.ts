/** Writes dynamic VDI images, version 1.1: header, block map, blocks in the disk's order. What is known of the format: see `vdi.layout.ts`. */
import { type BlockSource, utf8 } from '../../../core/index.ts';
import { VDI_BLOCK, VDI_SIGNATURE, VDI_TYPE, VDI_VERSION, vdiLayout } from '../vdi/vdi.layout.ts';
import { planClusters, roundUp, writeClusters, writeTable } from './plan.ts';
import { CountingSink, type ImageSink } from './sink.ts';
import type { WriteOptions } from './write.ts';

const BLOCK_BYTES = 1 << 20;
const MAP_AT = 512;
/** From the signature's next field to the end of the last UUID, as VirtualBox counts. */
const HEADER_BYTES = 400;

/** Writes the source's disk; its size is rounded up to whole sectors. @throws whatever source or sink throw. @throws {LimitError} */
export async function writeVdi(source: BlockSource, to: ImageSink, { limits, identity }: WriteOptions): Promise<void> {
  const sink = new CountingSink(to);
  const plan = await planClusters(source, BLOCK_BYTES, limits);
  const offData = roundUp(MAP_AT + plan.count * 4, 4096);
  const fileInfo = new Uint8Array(64);
  fileInfo.set(utf8('<<< holdfast virtual disk image >>>\n'));
  await sink.write(vdiLayout.encode({
    fileInfo, signature: VDI_SIGNATURE, version: VDI_VERSION, headerSize: HEADER_BYTES, imageType: VDI_TYPE.dynamic, imageFlags: 0, comment: new Uint8Array(256), offBlocks: MAP_AT, offData,
    cylinders: 0, heads: 0, sectors: 0, sectorSize: 512, dummy: 0, diskSize: roundUp(source.size, 512), blockSize: BLOCK_BYTES, blockExtra: 0, blocks: plan.count, blocksAllocated: plan.used,
    uuidCreate: identity, uuidModify: identity, uuidLinkage: new Uint8Array(16), uuidParentModify: new Uint8Array(16),
  }));
  await sink.skipTo(MAP_AT);
  let next = 0;
  await writeTable(sink, { count: plan.count, entryBytes: 4 }, (view, at, index) => { view.setUint32(at, plan.has(index) ? next++ : VDI_BLOCK.free, true); });
  await sink.skipTo(offData);
  await writeClusters(source, plan, sink);
}
