/**
 * The tuner in a manifest's `parameters`: for each class `<class>.grain`, `.votes` and `.rest` (what the snapshot was stored with), `.grains` (in which
 * grains its data may be, a bit for each from the finest on), `.bytes` and `.bytesKnown` (what was read). The next backup of the dataset goes on from
 * there; nothing is remembered elsewhere.
 */
import type { ChunkerParameters } from '../chunking/index.ts';
import { GRAIN_MAX, isAllowed, type Grain } from './grain.ts';
import { initialTuner, tuneClass, type ClassCounts, type ClassState, type TunerState } from './policy.ts';
import { streamClasses, type StreamClass } from './stream-class.ts';

/** Parameters as a manifest holds them. */
export type ManifestParameters = Readonly<Record<string, string | number>>;

/** How a class is stored, and in which grains parts of it may have been stored before. */
export interface ClassGrains {
  readonly grain: Grain;
  readonly grains: readonly Grain[];
}

/** Of all classes. */
export type StoredGrains = Readonly<Record<StreamClass, ClassGrains>>;

/** Chunker parameters of each class. */
export type ParametersOf = (streamClass: StreamClass) => ChunkerParameters;

const COUNT_MAX = 1_000;
const allGrains: readonly Grain[] = [-1, 0, 1, 2];
/** All of them, as bits. */
const GRAIN_BITS = 15;

function bitOf(grain: Grain): number {
  return 1 << grain + 1;
}

function mapClasses<T>(make: (streamClass: StreamClass) => T): Record<StreamClass, T> {
  return Object.fromEntries(streamClasses.map((streamClass) => [streamClass, make(streamClass)])) as Record<StreamClass, T>;
}

/** Counts before a backup read anything. */
export function noCounts(): Record<StreamClass, { bytes: number; bytesKnown: number }> {
  return mapClasses(() => ({ bytes: 0, bytesKnown: 0 }));
}

/** What goes into the manifest. */
export function tunerParameters(state: TunerState, stored: StoredGrains, counts: Readonly<Record<StreamClass, ClassCounts>>): Record<string, number> {
  const parameters: Record<string, number> = {};
  for (const streamClass of streamClasses) {
    const grains = stored[streamClass].grains.reduce<number>((bits, grain) => bits | bitOf(grain), 0);
    for (const [name, value] of Object.entries({ ...state[streamClass], grains, ...counts[streamClass] })) parameters[`${streamClass}.${name}`] = value;
  }
  return parameters;
}

/** A number within bounds, or 0: manifests of other builds and of strangers are read here. */
function bounded(parameters: ManifestParameters, key: string, [least, most]: readonly [number, number]): number {
  const value = parameters[key];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most ? value : 0;
}

function stateIn(parameters: ManifestParameters, streamClass: StreamClass): ClassState {
  return {
    grain: bounded(parameters, `${streamClass}.grain`, [-1, GRAIN_MAX]) as Grain, votes: bounded(parameters, `${streamClass}.votes`, [-COUNT_MAX, COUNT_MAX]),
    rest: bounded(parameters, `${streamClass}.rest`, [0, COUNT_MAX]),
  };
}

/**
 * The state for the next backup of a dataset whose latest snapshot has `parameters`; where a grain is not allowed, grain 0. `learn` false keeps
 * grains as they are.
 */
export function nextTuner(parameters: ManifestParameters | undefined, parametersOf: ParametersOf, learn: boolean): TunerState {
  if (parameters === undefined) return initialTuner;
  return mapClasses((streamClass) => {
    const allowed = (grain: Grain): boolean => isAllowed(parametersOf(streamClass), grain);
    const before = stateIn(parameters, streamClass);
    const state = allowed(before.grain) ? before : initialTuner[streamClass];
    const most = Number.MAX_SAFE_INTEGER;
    const counts = { bytes: bounded(parameters, `${streamClass}.bytes`, [0, most]), bytesKnown: bounded(parameters, `${streamClass}.bytesKnown`, [0, most]) };
    return learn ? tuneClass(state, counts, allowed) : state;
  });
}

/**
 * The grains of a state, and all in which data of the repository's snapshots may be: it is looked for in each of them. They become fewer only
 * when snapshots are forgotten: a snapshot inherits those before it, because it refers to what they stored.
 */
export function storedGrains(state: TunerState, snapshots: Iterable<ManifestParameters>, parametersOf: ParametersOf): StoredGrains {
  const used = mapClasses((streamClass) => bitOf(0) | bitOf(state[streamClass].grain));
  for (const parameters of snapshots) {
    for (const streamClass of streamClasses) used[streamClass] |= bounded(parameters, `${streamClass}.grains`, [0, GRAIN_BITS]);
  }
  return mapClasses((streamClass) => ({
    grain: state[streamClass].grain,
    grains: allGrains.filter((grain) => (used[streamClass] & bitOf(grain)) !== 0 && isAllowed(parametersOf(streamClass), grain)),
  }));
}
