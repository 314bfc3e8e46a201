/** Runs scenarios one after the other: looks at their needs, gives each a folder, adds up their checks. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CorpusLookup } from './corpus.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

/** How a run behaves; the machine is asked through functions so that tests can stand in for it. */
export interface RunOptions {
  /** A missing program, or a corpus that is there and broken, fails instead of skipping: CI installs all programs. */
  readonly strict: boolean;
  /** Keeps the scenarios' folders for a look. */
  readonly keep: boolean;
  readonly seed: number;
  hasProgram(name: string): boolean;
  isRoot(): boolean;
  /** Asked only when a scenario needs it, because it may unpack. */
  corpus(): CorpusLookup;
  log(line: string): void;
}

/** What is missing for a scenario, and whether a strict run forgives that. */
interface Missing {
  readonly reasons: readonly string[];
  readonly forgivable: boolean;
}

function missingOf(scenario: Scenario, options: RunOptions): Missing {
  const programs = scenario.needs.filter((need) => need !== 'root' && need !== 'corpus' && !options.hasProgram(need));
  const reasons = programs.map((name) => `'${name}' is not on PATH`);
  let forgivable = programs.length === 0;
  if (scenario.needs.includes('root') && !options.isRoot()) reasons.push('not root');
  if (scenario.needs.includes('corpus')) {
    const found = options.corpus();
    if ('reason' in found) {
      reasons.push(`no corpus: ${found.reason}`);
      forgivable &&= !found.broken;
    }
  }
  return { reasons, forgivable };
}

function context(scenario: Scenario, options: RunOptions, workDirectory: string): ScenarioContext {
  const found = scenario.needs.includes('corpus') ? options.corpus() : undefined;
  const base = { log: (message: string) => options.log(`  ${message}`), workDirectory, seed: options.seed };
  return found !== undefined && 'folder' in found ? { ...base, corpus: found.folder } : base;
}

async function runOne(scenario: Scenario, options: RunOptions): Promise<Tally> {
  const { reasons, forgivable } = missingOf(scenario, options);
  if (reasons.length > 0) {
    const failed = options.strict && !forgivable;
    options.log(`${failed ? 'FAILED' : 'SKIPPED'} ${scenario.name}: ${reasons.join(', ')}`);
    return { passed: 0, failed: failed ? 1 : 0, skipped: failed ? 0 : 1 };
  }
  const workDirectory = mkdtempSync(path.join(tmpdir(), 'holdfast-lab-'));
  options.log(`RUN ${scenario.name} (seed ${options.seed})`);
  try {
    const tally = await scenario.run(context(scenario, options, workDirectory));
    if (tally.passed + tally.failed + tally.skipped > 0) return tally;
    options.log('  it checked nothing');
    return { ...tally, failed: 1 };
  } catch (error) {
    options.log(`  ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    if (options.keep) options.log(`  kept '${workDirectory}'`);
    else rmSync(workDirectory, { recursive: true, force: true });
  }
}

/** Runs all given scenarios and adds up their checks. A scenario that throws or checks nothing is one failure. */
export async function runScenarios(scenarios: readonly Scenario[], options: RunOptions): Promise<Tally> {
  let total: Tally = { passed: 0, failed: 0, skipped: 0 };
  for (const scenario of scenarios) {
    const begun = performance.now();
    const tally = await runOne(scenario, options);
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    options.log(`${tally.failed > 0 ? 'FAILED' : 'DONE'} ${scenario.name}: ${formatTally(tally)}, ${seconds} s`);
    total = { passed: total.passed + tally.passed, failed: total.failed + tally.failed, skipped: total.skipped + tally.skipped };
  }
  return total;
}

/** The closing line that CI adds up. */
export function formatTally(tally: Tally): string {
  return `${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`;
}
