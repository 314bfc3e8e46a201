/**
 * Writes qcow2 images, version 3: header, refcounts, L1, L2 tables, then the clusters in the disk's order. Source: QEMU documentation, `docs/interop/qcow2.txt`.
 */
import type { BlockSource } from '../../../core/index.ts';
import { headerLayout, headerV3Layout, QCOW2_MAGIC } from '../qcow2/qcow2.layout.ts';
import { planClusters, roundUp, writeClusters, writeTable } from './plan.ts';
import { CountingSink, type ImageSink } from './sink.ts';
import type { WriteOptions } from './write.ts';

const CLUSTER_BITS = 16;
const CLUSTER = 2 ** CLUSTER_BITS;
/** "Used once": the bit of L1 and L2 entries. */
const COPIED_HIGH = 0x8000_0000;
const REFCOUNT_BYTES = 2;

/** Clusters of each part of a file whose refcounts cover it itself. */
function sizeParts(tables: number, l1: number, data: number): { readonly table: number; readonly blocks: number; readonly total: number } {
  let blocks = 1;
  for (;;) {
    const table = Math.ceil(blocks * 8 / CLUSTER);
    const total = 1 + table + blocks + l1 + tables + data;
    const needed = Math.ceil(total / (CLUSTER / REFCOUNT_BYTES));
    if (needed <= blocks) return { table, blocks, total };
    blocks = needed;
  }
}

/** Writes the source's disk; its size is rounded up to whole sectors. @throws whatever source or sink throw. @throws {LimitError} */
export async function writeQcow2(source: BlockSource, to: ImageSink, { limits }: WriteOptions): Promise<void> {
  const sink = new CountingSink(to);
  const plan = await planClusters(source, CLUSTER, limits);
  const perTable = CLUSTER / 8;
  const l1Entries = Math.max(1, Math.ceil(plan.count / perTable));
  const l1Clusters = Math.ceil(l1Entries * 8 / CLUSTER);
  const tables = Array.from({ length: l1Entries }, (_none, i) => i).filter((i) => plan.hasAny(i * perTable, (i + 1) * perTable));
  const parts = sizeParts(tables.length, l1Clusters, plan.used);
  const l1Cluster = 1 + parts.table + parts.blocks;
  const l2Cluster = l1Cluster + l1Clusters;
  const dataCluster = l2Cluster + tables.length;

  await sink.write(headerLayout.encode({
    magic: QCOW2_MAGIC, version: 3, backing_file_offset: 0, backing_file_size: 0, cluster_bits: CLUSTER_BITS, size: roundUp(source.size, 512), crypt_method: 0, l1_size: l1Entries,
    l1_table_offset: l1Cluster * CLUSTER, refcount_table_offset: CLUSTER, refcount_table_clusters: parts.table, nb_snapshots: 0, snapshots_offset: 0,
  }));
  await sink.write(headerV3Layout.encode({ incompatible_high: 0, incompatible_features: 0, compatible_high: 0, compatible_features: 0, autoclear_high: 0, autoclear_features: 0, refcount_order: 4, header_length: 104 }));
  await sink.skipTo(CLUSTER);
  const putOffset = (view: DataView, at: number, cluster: number, mark: number): void => {
    view.setUint32(at, (Math.floor(cluster * CLUSTER / 2 ** 32) | mark) >>> 0);
    view.setUint32(at + 4, cluster * CLUSTER % 2 ** 32);
  };
  await writeTable(sink, { count: parts.blocks, entryBytes: 8 }, (view, at, index) => { putOffset(view, at, 1 + parts.table + index, 0); });
  await sink.skipTo((1 + parts.table) * CLUSTER);
  await writeTable(sink, { count: parts.total, entryBytes: REFCOUNT_BYTES }, (view, at) => { view.setUint16(at, 1); });
  await sink.skipTo(l1Cluster * CLUSTER);
  const places = new Map(tables.map((table, i) => [table, l2Cluster + i]));
  await writeTable(sink, { count: l1Entries, entryBytes: 8 }, (view, at, index) => {
    const place = places.get(index);
    if (place !== undefined) putOffset(view, at, place, COPIED_HIGH);
  });
  await sink.skipTo(l2Cluster * CLUSTER);
  let next = dataCluster;
  for (const table of tables) {
    await writeTable(sink, { count: perTable, entryBytes: 8 }, (view, at, index) => {
      const cluster = table * perTable + index;
      if (cluster < plan.count && plan.has(cluster)) putOffset(view, at, next++, COPIED_HIGH);
    });
  }
  await writeClusters(source, plan, sink);
}
