/** What all parts of an open volume share: its bytes, its geometry, its table of records, and what was found to be wrong. */
import type { BlockSource, Limits } from '../../../core/index.ts';
import type { ProblemList } from '../problem-list.ts';
import type { Geometry } from './boot.ts';
import type { MasterFileTable } from './mft.ts';
import type { UpcaseTable } from './upcase.ts';

/** Bytes and geometry: enough to read clusters. */
export interface ClusterSpace {
  readonly source: BlockSource;
  readonly geometry: Geometry;
  readonly limits: Limits;
}

/** An open volume. */
export interface Volume extends ClusterSpace {
  readonly mft: MasterFileTable;
  readonly upcase: UpcaseTable;
  readonly problems: ProblemList;
}
