/**
 * The reader of ReFS 3.4 to 3.14. Read from documentation alone (see `refs.layout.ts`): never compared with what Windows writes, so that
 * everything about it is experimental.
 */
import { HoldfastError, readRange, textOf, type BlockSource, type ProbeVerdict } from '../../../core/index.ts';
import { guidText } from '../../mapping/guid.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver } from '../filesystem.ts';
import { BOOT_BYTES, isRefs, openVolume, readBootSector, type RefsVolume } from './bootstrap.ts';
import { findObject } from './object-table.ts';
import { unitsText } from './record.ts';
import { RefsFilesystem } from './refs-filesystem.ts';
import { OBJECT } from './refs.layout.ts';
import { leavesOf } from './tree.ts';

/** Key of the row with the label. */
const LABEL = 0x510;

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  try {
    if (source.size < BOOT_BYTES) return { match: 'no' };
    const sector = await readRange(source, 0, BOOT_BYTES);
    if (!isRefs(sector)) return { match: 'no' };
    return { match: 'yes', version: `ReFS ${readBootSector(sector).version}` };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return { match: 'damaged', reason: error.message };
  }
}

async function labelOf(volume: RefsVolume): Promise<string | undefined> {
  const { pages, limits, remarks } = volume;
  try {
    for await (const { node } of leavesOf(await findObject(volume, OBJECT.volumeInformation), { pages, limits })) {
      for (let i = 0; i < node.count; i += 1) {
        const { key, value } = node.row(i);
        if (key.length >= 2 && new DataView(key.buffer, key.byteOffset).getUint16(0, true) === LABEL) return textOf(unitsText(value));
      }
    }
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    remarks.push(`the label cannot be read: ${error.message}`);
  }
  return undefined;
}

async function open(sources: readonly BlockSource[], { limits }: FilesystemContext): Promise<Filesystem> {
  const source = sources[0] as BlockSource;
  const volume = await openVolume(source, limits);
  const { boot, remarks } = volume;
  const label = await labelOf(volume);
  if (boot.size > source.size) remarks.push(`the volume is cut: it has ${boot.size} bytes and ${source.size} are here`);
  if (volume.compressed) remarks.push('the volume is compressed: only files within the metadata can be read');
  remarks.push('ReFS is read from documentation alone and was never compared with Windows', 'the last checkpoint is shown: the log is not replayed, and whether the volume was unmounted in order is not known', `volume GUID ${guidText(volume.guid)}`);
  return new RefsFilesystem(source, volume, {
    format: 'refs', version: `ReFS ${boot.version}`, uuid: boot.serial, size: boot.size, blockBytes: boot.clusterBytes, clean: false, experimental: true, remarks, ...(label === undefined || label === '' ? {} : { label }),
  });
}

/** ReFS, experimental. */
export const refsDriver: FilesystemDriver = { name: 'refs', probe, open };
