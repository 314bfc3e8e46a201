/**
 * Disk images that are recognised and not read, so that their tables are not taken for the disk. Sources: QEMU's `docs/interop/qed_spec.txt` and
 * `docs/interop/parallels.txt` and its drivers of Bochs and cloop images; libewf's and AFFLIB's descriptions of their formats; the trailer `koly` of DMG.
 */
import { UnsupportedError, equalBytes, readRange, type BlockSource } from '../../core/index.ts';

const SECTOR = 512;

interface Mark {
  readonly format: string;
  readonly shown: string;
  readonly magic: Uint8Array;
  /** At the start of the last sector, not of the first. */
  readonly isTail: boolean;
}

const marks: readonly Mark[] = ([
  ['qed', 'QED', 'QED\0'], ['parallels', 'Parallels', 'WithoutFreeSpace'], ['parallels', 'Parallels', 'WithouFreSpacExt'], ['bochs', 'Bochs', 'Bochs Virtual HD Image'],
  ['cloop', 'cloop', '#!/bin/sh\n#V2.0 Format\nmodprobe cloop'], ['ewf', 'EnCase (EWF)', 'EVF\t\r\n\u00ff\0'], ['ewf', 'EnCase (EWF2)', 'EVF2\r\n\u0081\0'], ['aff', 'AFF', 'AFF10\r\n\0'], ['dmg', 'DMG', 'koly'],
] as const).map(([format, shown, magic]) => ({ format, shown, magic: Buffer.from(magic, 'latin1'), isTail: format === 'dmg' }));

/** Why a file cannot be opened as a disk without a container: it has one that is not read. Undefined for all others. `data.imageFormat` is its short name. */
export async function foreignImage(source: BlockSource, name: string): Promise<UnsupportedError | undefined> {
  if (source.size < SECTOR) return undefined;
  const [head, tail] = [await readRange(source, 0, SECTOR), await readRange(source, source.size - SECTOR, SECTOR)];
  for (const { format, shown, magic, isTail } of marks) {
    if (!equalBytes((isTail ? tail : head).subarray(0, magic.length), magic)) continue;
    return new UnsupportedError(`Open disk image '${name}': ${shown} images are recognised and not read; convert it with their own tool (such as 'qemu-img convert'), or write 'raw:' before it for the bytes as they are`, { imageFormat: format });
  }
  return undefined;
}
