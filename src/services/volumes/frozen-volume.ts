/** A volume at one moment: bytes from logs of the spool, over those of the last commit, over zeroes. */
import { checkRange, type BlockSource, type Extent, type ReadOptions } from '../../core/index.ts';
import type { ExtentMap } from './extent-map.ts';
import type { SpoolLog } from './spool-log.ts';
import type { StoredVolume } from './stored-volume.ts';

/** What it is made of; nothing of it changes or closes while it is read. */
export interface VolumeLayers {
  readonly size: number;
  readonly extents: ExtentMap;
  readonly logs: ReadonlyMap<number, SpoolLog>;
  readonly base: StoredVolume | undefined;
  /** Bytes of the base that are not cut off. */
  readonly visible: number;
}

/** Fills `target`. @throws {RangeError} behind the end. */
export async function readLayers(layers: VolumeLayers, offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
  checkRange(layers, offset, target.length, 'volume');
  for (let done = 0; done < target.length;) {
    const at = offset + done;
    const extent = layers.extents.at(at);
    const isSpooled = extent !== undefined && extent.start <= at;
    const end = Math.min(offset + target.length, isSpooled ? extent.end : extent?.start ?? Infinity, !isSpooled && at < layers.visible ? layers.visible : Infinity);
    const piece = target.subarray(done, done + end - at);
    if (isSpooled) await (layers.logs.get(extent.log) as SpoolLog).readInto(extent.at + at - extent.start, piece);
    else if (at < layers.visible) await (layers.base as StoredVolume).readInto(at, piece, options);
    else piece.fill(0);
    done += piece.length;
  }
}

/** See the header. Closing it leaves the layers open. */
export class FrozenVolume implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly layers: VolumeLayers;

  constructor(layers: VolumeLayers) {
    this.layers = layers;
    this.size = layers.size;
  }

  readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    return readLayers(this.layers, offset, target, options);
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'volume');
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
