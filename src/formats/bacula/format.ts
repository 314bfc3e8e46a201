/** Bacula volumes as a Format: recognised by the head of the first block and the label in it. */
import { type BlockSource, defaultLimits, type Format, HoldfastError, type OpenContext, type ProbeVerdict, readRange } from '../../core/index.ts';
import { blockVersion, HEAD_BYTES_MIN } from './block.ts';
import { readVolumeHead } from './volume-head.ts';
import { type BaculaVolumeSet, openVolumeSet } from './volume-set.ts';

/** Opens one volume as a set of one; use `openVolumeSet` for several. */
export const baculaFormat: Format<BaculaVolumeSet> = {
  name: 'bacula',
  async probe(source: BlockSource): Promise<ProbeVerdict> {
    if (source.size < HEAD_BYTES_MIN) return { match: 'no' };
    const version = blockVersion(await readRange(source, 0, HEAD_BYTES_MIN), 0);
    if (version === undefined) return { match: 'no' };
    if (version === 'BB01') return { match: 'damaged', reason: "block format 'BB01' is not supported" };
    try {
      const { fault } = await readVolumeHead('volume', source, defaultLimits);
      return fault === undefined ? { match: 'yes', version } : { match: 'damaged', reason: fault };
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return { match: 'damaged', reason: error.message };
    }
  },
  open: (source: BlockSource, context: OpenContext) => openVolumeSet([{ name: 'volume', source }], context),
};
