/**
 * Decides the grain of each class of streams for the next backup of a dataset, from what the last ones found. Much that is known already
 * speaks for a finer grain (a change drags less unchanged data along), little for a coarser one (fewer entries in index and recipes).
 * A step needs the same verdict from several backups in a row, and a while of rest follows each, so that grains do not swing.
 *
 * Pure functions: the state travels in manifests, nothing is remembered elsewhere.
 */
import { GRAIN_MAX, type Grain } from './grain.ts';
import type { StreamClass } from './stream-class.ts';

/** What a backup found in one class: content that was read and cut, so without files that the parent snapshot vouched for. */
export interface ClassCounts {
  readonly bytes: number;
  /** Of these, bytes that were stored before. */
  readonly bytesKnown: number;
}

/** Where a class stands. */
export interface ClassState {
  readonly grain: Grain;
  /** Backups in a row that wanted a finer (negative) or coarser (positive) grain. */
  readonly votes: number;
  /** Backups until another step may follow. */
  readonly rest: number;
}

/** States of all classes. */
export type TunerState = Readonly<Record<StreamClass, ClassState>>;

/** Shares and counts that decide. */
export interface TunerSettings {
  /** More than this share known: finer. */
  readonly finerAbove: number;
  /** Less than this share known: coarser. */
  readonly coarserBelow: number;
  /** Backups that must agree. */
  readonly votes: number;
  /** Backups of rest after a step. */
  readonly rest: number;
  /** A backup that read less of a class says nothing about it. */
  readonly bytesMin: number;
}

/** Finer above 80 % known, coarser below 20 %, after three backups that agree. */
export const defaultTuner: TunerSettings = Object.freeze({ finerAbove: 0.8, coarserBelow: 0.2, votes: 3, rest: 5, bytesMin: 64 << 20 });

const START: ClassState = { grain: 0, votes: 0, rest: 0 };

/** Before the first backup: the chunker's own sizes. */
export const initialTuner: TunerState = Object.freeze({ image: START, packed: START, text: START, binary: START });

/** The state for the next backup of a class. `isAllowed` says which grains its parameters permit. */
export function tuneClass(state: ClassState, counts: ClassCounts, isAllowed: (grain: Grain) => boolean, settings: TunerSettings = defaultTuner): ClassState {
  const rest = Math.max(0, state.rest - 1);
  if (counts.bytes < settings.bytesMin) return { ...state, rest };
  const share = counts.bytesKnown / counts.bytes;
  const wish = share > settings.finerAbove ? -1 : share < settings.coarserBelow ? 1 : 0;
  const grain = state.grain + wish;
  if (wish === 0 || grain < -1 || grain > GRAIN_MAX || !isAllowed(grain as Grain)) return { grain: state.grain, votes: 0, rest };
  const votes = Math.sign(state.votes) === wish ? state.votes + wish : wish;
  if (Math.abs(votes) < settings.votes || rest > 0) return { grain: state.grain, votes, rest };
  return { grain: grain as Grain, votes: 0, rest: settings.rest };
}
