/**
 * Entry of `npm run bench:dedup [-- <subject>… | --quick]`: filter, retune, grouping, locality; all without one. Writes `bench/results/dedup-<subject>.md`
 * and `.json`. `--quick` only shows that everything works: its figures mean nothing and are not written.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Cutting } from './cutting.ts';
import { measureFilter } from './filter.ts';
import { measureGrouping } from './grouping.ts';
import { pairs, type Pair } from './inputs.ts';
import { measureLocality } from './locality.ts';
import { renderReport, type Report } from './report.ts';
import { measureGrains, measureRetunes } from './retune.ts';

const RESULTS = new URL('../../../bench/results/', import.meta.url);
const WORK = process.env['TMPDIR'] ?? tmpdir();
const subjects = ['filter', 'retune', 'grouping', 'locality'] as const;
type Subject = (typeof subjects)[number];

const FILTER_SIZES: readonly number[] = [1e6, 5e6, 10e6, 20e6, 50e6, 100e6];
const FILTER_SIZES_QUICK: readonly number[] = [1e6];
const GROUPS: readonly number[] = [0, 128 << 10, 512 << 10, 2 << 20, 4 << 20];
const MEBIBYTES = 192;
const MEBIBYTES_QUICK = 32;
const LOCALITY_BYTES: number = 128 << 20;

interface Scale {
  readonly quick: boolean;
  readonly data: readonly Pair[];
}

/** What a subject found. The filter runs first, while the process is small. */
async function measure(subject: Subject, { quick, data }: Scale): Promise<Partial<Report>> {
  if (subject === 'filter') return { filter: measureFilter(quick ? FILTER_SIZES_QUICK : FILTER_SIZES, (row) => { console.log(`${row.ids / 1e6} million ids: ${(row.bytes / 1e6).toFixed(1)} MB`); }) };
  if (subject === 'grouping') {
    const grouping = [];
    for (const pair of data) grouping.push(...await measureGrouping(pair, GROUPS));
    return { grouping };
  }
  if (subject === 'locality') {
    const content = Buffer.concat(data[0]?.before ?? []).subarray(0, LOCALITY_BYTES);
    return { locality: { bytes: content.length, rows: await measureLocality(WORK, content) } };
  }
  const cutting = await Cutting.create();
  return { retunes: data.flatMap((pair) => measureRetunes(cutting, pair)), grains: data.flatMap((pair) => measureGrains(cutting, pair)) };
}

async function run(wanted: readonly Subject[], quick: boolean): Promise<void> {
  let data: readonly Pair[] = [];
  for (const subject of wanted) {
    if (subject !== 'filter' && data.length === 0) data = await pairs(join(WORK, 'holdfast-bench-dedup'), quick ? MEBIBYTES_QUICK : MEBIBYTES);
    const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, node: process.version, loadAverage: loadavg() };
    const of = subject === 'filter' ? [] : data.map(({ name, change, before }) => ({ name, change, bytes: before.reduce((sum, content) => sum + content.length, 0) }));
    const report: Report = { machine, data: of, ...await measure(subject, { quick, data }) };
    console.log(`\n${renderReport(report)}`);
    if (quick) continue;
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(new URL(`dedup-${subject}.json`, RESULTS), `${JSON.stringify(report, undefined, 1)}\n`);
    writeFileSync(new URL(`dedup-${subject}.md`, RESULTS), renderReport(report));
    console.log(`written to ${fileURLToPath(RESULTS)}`);
  }
}

const words = process.argv.slice(2);
const unknown = words.find((word) => word !== '--quick' && !subjects.some((subject) => subject === word));
if (unknown === undefined) {
  const chosen = subjects.filter((subject) => words.includes(subject));
  await run(chosen.length > 0 ? chosen : subjects, words.includes('--quick'));
} else {
  console.error(`Measure: '${unknown}' is none of '${subjects.join("', '")}'`);
  process.exitCode = 2;
}
