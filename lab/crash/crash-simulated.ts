/** Scenario: a power cut and a kill at every point of every workload, and a sample of other faults, in two processes, on a simulated disk. Nothing of this machine but time is involved. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { Checks } from '../checks.ts';
import { repositoryRoot } from '../environment.ts';
import type { Scenario } from '../scenario.ts';
import type { Row } from './campaign.ts';

const SHARES = 2;
/** Each trial makes and drops a few MB: collected young they cost nothing. */
const NODE_WORDS: readonly string[] = ['--max-semi-space-size=64'];

/** How a campaign in a process of its own ended. */
export interface CampaignEnd {
  readonly status: number;
  readonly rows: readonly Row[];
  /** What broke, with its replay. */
  readonly broken: readonly string[];
  readonly stderr: string;
}

/** Runs `npm run crash` with these words. */
export async function campaignProcess(words: readonly string[]): Promise<CampaignEnd> {
  const child = spawn(process.execPath, [...NODE_WORDS, path.join(repositoryRoot(), 'dist', 'lab', 'crash', 'main.js'), ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  const status = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => { resolve(code ?? 128); });
  });
  const lines = stdout.split('\n');
  return {
    status, stderr, rows: lines.flatMap((line) => (line.startsWith('counts ') ? JSON.parse(line.slice(7)) as Row[] : [])),
    broken: lines.filter((line) => line.startsWith('BROKEN') || line.startsWith('  replay')),
  };
}

/** One row for each workload and fault. */
function added(rows: readonly Row[]): readonly Row[] {
  const sums = new Map<string, Row>();
  for (const row of rows) {
    const key = `${row.workload} ${row.fault}`;
    const sum = sums.get(key);
    sums.set(key, sum === undefined ? { ...row } : { ...sum, tried: sum.tried + row.tried, failed: sum.failed + row.failed });
  }
  return [...sums.values()];
}

/** Crashes of a simulated machine. */
export const crashSimulated: Scenario = {
  name: 'crash-simulated',
  needs: [],
  quick: true,
  async run(context) {
    const checks = new Checks(context);
    const seed = context.seed % 1_000_000;
    const ends = await Promise.all(Array.from({ length: SHARES }, (_, i) => campaignProcess(['--quick', '--seed', String(seed), '--share', `${i}/${SHARES}`])));
    for (const end of ends) {
      for (const line of end.broken) context.log(line);
      checks.expect('a campaign ends by itself', end.status <= 1 && end.stderr === '', end.stderr.slice(-600));
    }
    const rows = added(ends.flatMap((end) => end.rows));
    for (const { workload, fault, points, due, tried, failed } of rows) {
      checks.expect(`${workload}, ${fault}: ${tried} outcomes at ${points} points keep all promises`, failed === 0 && tried === due, `${failed} of ${tried} broke one, ${due} were to be tried`);
    }
    const sum = (of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0);
    context.log(`${sum(({ tried }) => tried)} outcomes; power cuts at ${sum(({ fault, points }) => (fault === 'cut' ? points : 0))} points`);
    return checks.tally;
  },
};
