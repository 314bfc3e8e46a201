/** A run from its first cycle, or from where it was interrupted, to its last. */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UsageError } from '../src/core/index.ts';
import { CommandStore } from './command-store.ts';
import { firstCorpus, nextCorpus } from './corpus.ts';
import { runCycle, statesOf, type CycleParts, type Places } from './cycle.ts';
import { appendCycle, readCycles, type CycleRecord, type Settings } from './journal.ts';
import { LibraryStore } from './library-store.ts';
import { LiveDirectory } from './live-directory.ts';
import { CYCLES_PER_DAY, policyOf, type Options } from './options.ts';
import { SimulatedClock, clockedWorld } from './simulated-clock.ts';
import type { SoakStore } from './store.ts';
import type { Corpus } from './workshop.ts';

/** Two o'clock of a day far ahead: files of the corpus, which have real times, are always older than snapshots. */
const SIMULATED_START_MS = Date.UTC(2040, 0, 1, 2);
const DAY_MS = 86_400_000;

/** What a run leaves behind. */
export interface Session {
  readonly settings: Settings;
  readonly cycles: readonly CycleRecord[];
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], cwd: import.meta.dirname }).trim();
  } catch {
    return 'unknown'; // an installed copy has no history
  }
}

function newSettings(options: Options): Settings {
  return {
    mode: options.mode, seed: options.seed ?? randomInt(1, 2 ** 31), corpusMebibytes: options.corpusMebibytes, policy: policyOf(options.mode),
    length: options.length, startedMs: Date.now(),
    facts: { commit: commit(), node: process.version, cores: String(cpus().length) },
  };
}

/** Settings of the run that lies in the work directory; an interrupted real run goes on, anything else is made anew. */
function settingsOf(options: Options, file: string): { readonly settings: Settings; readonly resumed: boolean } {
  if (options.mode === 'real' && fs.existsSync(file)) {
    const settings = JSON.parse(fs.readFileSync(file, 'utf8')) as Settings;
    if (settings.mode !== 'real' || settings.length !== options.length || (options.seed ?? settings.seed) !== settings.seed) {
      throw new UsageError(`Go on with the run in '${options.work}': it was begun with '${settings.mode}', length '${settings.length}', seed '${settings.seed}'; use the same or another --work`);
    }
    return { settings, resumed: true };
  }
  fs.rmSync(options.work, { recursive: true, force: true });
  fs.mkdirSync(options.work, { recursive: true });
  const settings = newSettings(options);
  fs.writeFileSync(file, JSON.stringify(settings));
  return { settings, resumed: false };
}

/** Decides when a cycle may begin and which is the last one. */
interface Timetable {
  /** Resolves when the next cycle is due. @returns whether it is the last */
  next(cycle: number): Promise<boolean>;
}

function realTimetable(options: Options, settings: Settings, signal: AbortSignal): Timetable {
  let due = Date.now();
  return {
    async next() {
      await sleep(Math.max(0, due - Date.now()), undefined, { signal });
      due = Date.now() + options.everySeconds * 1000;
      return Math.max(due, Date.now()) >= settings.startedMs + settings.length * 1000;
    },
  };
}

function simulatedTimetable(clock: SimulatedClock, settings: Settings): Timetable {
  const last = settings.length * CYCLES_PER_DAY - 1;
  return {
    async next(cycle) {
      clock.advanceTo(SIMULATED_START_MS + cycle * DAY_MS / CYCLES_PER_DAY);
      return cycle >= last;
    },
  };
}

function placesIn(work: string): Places {
  const at = (name: string): string => path.join(work, name);
  return { repository: at('repository'), corpus: at('corpus'), expected: at('expected'), target: at('target') };
}

async function begin(parts: CycleParts, resumed: boolean): Promise<void> {
  fs.mkdirSync(parts.places.expected, { recursive: true });
  if (!resumed || !fs.existsSync(path.join(parts.places.repository, 'config'))) {
    fs.rmSync(parts.places.repository, { recursive: true, force: true });
    return parts.store.init();
  }
  for (const [cycle, state] of await statesOf(parts.store, parts.settings)) parts.states.set(cycle, state);
}

/** The state of a cycle; from the one before where that is known. */
function stateOf(cycle: number, settings: Settings, before: Corpus | undefined): Corpus {
  let state = before ?? firstCorpus(settings.seed, settings.corpusMebibytes);
  while (state.cycle < cycle) state = nextCorpus(state);
  return state;
}

/**
 * Runs until the asked length is reached or `signal` fires, which ends a real run such that it can go on.
 * @throws {UsageError} when the work directory holds another run. @throws what a step of a cycle throws.
 */
export async function runSession(options: Options, signal: AbortSignal, log: (line: string) => void): Promise<Session> {
  const { settings, resumed } = settingsOf(options, path.join(options.work, 'settings.json'));
  const places = placesIn(options.work);
  const clock = new SimulatedClock(SIMULATED_START_MS);
  const store: SoakStore = settings.mode === 'real' ? new CommandStore(places.repository, signal) : new LibraryStore(clockedWorld(places.repository, clock, settings.seed));
  const timetable = settings.mode === 'real' ? realTimetable(options, settings, signal) : simulatedTimetable(clock, settings);
  const parts: CycleParts = { settings, places, store, live: new LiveDirectory(places.corpus), states: new Map() };
  const journal = path.join(options.work, 'cycles.jsonl');
  const cycles = [...readCycles(journal)];
  log(`${resumed ? `goes on after cycle ${cycles.length - 1}` : 'begins'} in '${options.work}', seed ${settings.seed}`);
  await begin(parts, resumed);
  try {
    let state: Corpus | undefined;
    for (let last = false; !last;) {
      last = await timetable.next(cycles.length);
      state = stateOf(cycles.length, settings, state);
      const record = await runCycle(parts, state, last);
      appendCycle(journal, record);
      cycles.push(record);
      log(`cycle ${record.cycle}: ${record.restores.reduce((sum, one) => sum + one.files, 0)} files compared, ${record.snapshots} snapshots, store ${(record.storeBytes / 1e6).toFixed(1)} MB, ${record.costs.reduce((sum, one) => sum + one.seconds, 0).toFixed(1)} s`);
      for (const text of [...record.problems, ...record.restores.flatMap((one) => one.examples)]) log(`  ${text}`);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    log(`stopped after cycle ${cycles.length - 1}; the same command goes on`);
  }
  return { settings, cycles };
}
