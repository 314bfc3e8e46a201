/** Grains of stored data: how coarse, for which class of streams, and how to find data that was stored in another. */
export { coverUnits } from './cover.ts';
export { averageOf, GRAIN_MAX, isAllowed, splitParameters, UNIT_BYTES_MAX } from './grain.ts';
export type { Grain } from './grain.ts';
export { defaultTuner, initialTuner, tuneClass } from './policy.ts';
export type { ClassCounts, ClassState, TunerSettings, TunerState } from './policy.ts';
export { nextTuner, noCounts, storedGrains, tunerParameters } from './record.ts';
export type { ClassGrains, ManifestParameters, ParametersOf, StoredGrains } from './record.ts';
export { classOf, streamClasses } from './stream-class.ts';
export type { StreamClass } from './stream-class.ts';
export { UnitCutter, UnitList } from './units.ts';
