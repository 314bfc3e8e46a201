/** The hive in this folder, for tests. */
import { readPacked } from '../../testdata/packed.ts';

/** Bytes of the hive that hivex wrote. */
export function madeHive(): Promise<Uint8Array> {
  return readPacked('registry/testdata/made.hive');
}
