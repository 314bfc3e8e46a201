/** What earlier snapshots say to the next backup: its parent, and how coarsely to store what. */
import type { Limits, ObjectStore } from '../../core/index.ts';
import { parametersOf, type ChunkingPolicy, type ChunkingSettings } from '../ingest/lanes.ts';
import { readManifests, resolveManifest, type DamagedManifest, type Manifest } from '../snapshots/manifest.ts';
import { nextTuner, storedGrains, tunerParameters, type ClassCounts, type StreamClass, type TunerState } from '../tuner/index.ts';
import type { RepositoryConfig } from './config.ts';

/** What it is found in. */
export interface HistoryParts {
  readonly objects: ObjectStore;
  readonly limits: Limits;
  readonly config: RepositoryConfig;
  note(text: string): void;
}

/** The dataset, and the caller's wishes. */
export interface HistoryRequest {
  readonly host: string;
  readonly sources: readonly string[];
  readonly parent?: string;
  readonly chunking?: ChunkingPolicy;
  readonly tuning?: 'auto' | 'off';
}

/** What a backup starts from. */
export interface History {
  readonly parent: Manifest | undefined;
  readonly chunking: ChunkingSettings;
  /** Where the tuner stands. */
  readonly state: TunerState;
  /** What the new snapshot's manifest says about its grains, so that the next backup goes on from there. */
  record(counts: Readonly<Record<StreamClass, ClassCounts>>): Record<string, number>;
}

/** Reads all manifests: the newest of the same host and sources is the dataset's, and any may have data in other grains. @throws {NotFoundError} no such parent. */
export async function readHistory({ objects, limits, config, note }: HistoryParts, request: HistoryRequest): Promise<History> {
  const onDamaged: DamagedManifest = (id, error) => {
    note(`Snapshot ${id.slice(0, 12)} can't be compared with: ${error.message}`); // what is stored now is whole all the same
  };
  const all = await readManifests(objects, limits, onDamaged);
  const latest = latestOf(all.filter(({ host, sources }) => host === request.host && sources.join('\0') === request.sources.join('\0')));
  const isNamed = request.parent !== undefined && request.parent !== 'auto';
  const parent = isNamed ? await resolveManifest(objects, request.parent, limits, () => undefined) : request.parent === 'auto' ? latest : undefined;
  const of = (streamClass: StreamClass): ReturnType<typeof parametersOf> => parametersOf(config, streamClass);
  const state = nextTuner((latest ?? parent)?.parameters, of, request.tuning !== 'off');
  const grains = storedGrains(state, all.map(({ parameters }) => parameters), of);
  return {
    parent, state,
    chunking: { policy: request.chunking ?? 'auto', fastcdc: config.fastcdc, fixedBlockBytes: config.fixedBlockBytes, grains },
    record: (counts) => tunerParameters(state, grains, counts),
  };
}

/** By the writers' clocks. */
function latestOf(manifests: readonly Manifest[]): Manifest | undefined {
  return manifests.reduce<Manifest | undefined>((best, manifest) => (best === undefined || manifest.time > best.time ? manifest : best), undefined);
}
