/**
 * `npm run soak -- --days 7` (real time, resumable) and `npm run soak -- --simulated-days 30` (minutes): see README.md.
 * Exit code 0 when all limits hold, 1 when one fails or a step failed, 2 when called wrongly, 130 when stopped.
 */
import { UsageError } from '../src/core/index.ts';
import { endProcess } from '../src/services/cli/end-process.ts';
import { keepProcessSmall, returnFreedMemory } from '../src/services/process-memory.ts';
import type { Verdict } from './limits.ts';
import { parseOptions, replayLine, type Options } from './options.ts';
import { writeReport } from './report.ts';
import { runSession, type Session } from './session.ts';

function print(verdicts: readonly Verdict[]): void {
  const words = { true: 'holds', false: 'FAILS', 'not judged': 'not judged' } as const;
  for (const { name, holds, found, allowed } of verdicts) console.log(`${words[`${holds}`]} ${name}: ${found} (allowed ${allowed})`);
}

function report(options: Options, session: Session): number {
  if (session.cycles.length === 0) return 1;
  const verdicts = writeReport(options.out ?? options.work, options.name, session.cycles, session.settings);
  print(verdicts);
  const failed = verdicts.filter((one) => one.holds === false).length;
  const unjudged = verdicts.filter((one) => one.holds === 'not judged').length;
  if (failed > 0) console.log(`seed ${session.settings.seed}; repeat with: ${replayLine(session.settings)}`);
  console.log(`${verdicts.length - failed - unjudged} passed, ${failed} failed, ${unjudged} skipped`);
  return failed > 0 ? 1 : 0;
}

async function main(words: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort(); });
  try {
    const options = parseOptions(words);
    const session = await runSession(options, stop.signal, (line) => { console.log(line); });
    const code = report(options, session);
    return stop.signal.aborted ? 130 : code;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  }
}

// As the command line does: a simulated run has the store in this process.
keepProcessSmall();
returnFreedMemory();
process.exitCode = await main(process.argv.slice(2));
await endProcess();
