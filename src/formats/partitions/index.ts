/** Partition tables, volume groups, arrays and encrypted containers: recognise one, open it, read its volumes. */
export { memberOf, openVolumeTable, probeVolumeTable, type RecognisedVolumeTable } from './open.ts';
export type { Volume, VolumeMember, VolumeTable, VolumeTableFacts, VolumeTableName } from './volume-table.ts';
