/**
 * Entry of `npm run bench:micro [-- <milliseconds a case> | --quick]`: measures all subjects, writes `bench/results/micro.md` and `micro.json`.
 * `--quick` only shows that everything works: its figures mean nothing and are not written.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { aeadSuite } from './aead.ts';
import { chunkerSuite } from './chunker.ts';
import { compareWithC } from './chunker-c.ts';
import { crcSuite } from './crc.ts';
import { crossMeasure } from './cross-check.ts';
import { filterSuite } from './filter.ts';
import { hashSuite } from './hash.ts';
import { indexSuite } from './index-store.ts';
import { paritySuite } from './parity.ts';
import { renderReport, type Report } from './report.ts';
import { measure } from './suite.ts';
import { WEAVE_ROUNDS, weaveRows } from './weave.ts';
import { ROUNDS, wireRows } from './wire.ts';

const RESULTS = new URL('../../../bench/results/', import.meta.url);
const KERNEL_ROUNDS = 15;
const QUICK_MS = 5;

async function measureAll(timeMs: number, kernelRounds: number): Promise<Report> {
  const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, node: process.version, loadAverage: loadavg() };
  const [chunking, hashing] = [chunkerSuite(), await hashSuite()];
  const suites: Report['suites'][number][] = [];
  for (const suite of [chunking, hashing, crcSuite(), filterSuite(), aeadSuite(), paritySuite()]) {
    console.log(`measuring: ${suite.title}`);
    suites.push({ title: suite.title, unit: suite.unit, harness: 'tinybench', rows: measure(suite, timeMs) });
  }
  for (const suite of [chunking, hashing]) {
    console.log(`cross-check: ${suite.title}`);
    suites.push({ title: suite.title, unit: suite.unit, harness: 'benchmark.js', rows: crossMeasure(suite, timeMs) });
  }
  console.log('measuring: wire');
  const wire = await wireRows(timeMs);
  const harness = `CPU time of both ends, least of ${ROUNDS} rounds in turns`;
  suites.push({ title: 'Frames of the wire', unit: 'bytes', harness, rows: wire.frames });
  suites.push({ title: 'Handshakes of the wire', unit: 'handshakes', harness, rows: wire.handshakes });
  console.log('measuring: weaving');
  suites.push({ title: 'Weaving of volumes', unit: 'bytes', harness: `CPU time, least of ${WEAVE_ROUNDS} rounds in turns`, rows: await weaveRows() });
  console.log('measuring: indexes');
  const indexRows = await indexSuite(undefined, timeMs);
  suites.push({
    title: 'Chunk indexes', unit: 'ids', harness: 'tinybench, means; ratio to the slowest',
    rows: indexRows.map((row) => ({ group: row.call, name: row.index, perSecond: row.idsPerSecond, ratio: row.ratio })),
  });
  console.log('measuring: kernel against C');
  const kernelAgainstC = compareWithC(kernelRounds);
  return { machine, timeMs, suites, ...(kernelAgainstC === undefined ? {} : { kernelAgainstC }) };
}

function write(report: Report): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(new URL('micro.json', RESULTS), `${JSON.stringify(report, undefined, 1)}\n`);
  writeFileSync(new URL('micro.md', RESULTS), renderReport(report));
  console.log(`written to ${fileURLToPath(RESULTS)}`);
}

const [word = '500'] = process.argv.slice(2);
const timeMs = word === '--quick' ? QUICK_MS : Number(word);
if (timeMs > 0) {
  const report = await measureAll(timeMs, word === '--quick' ? 1 : KERNEL_ROUNDS);
  console.log(`\n${renderReport(report)}`);
  if (word !== '--quick') write(report);
} else {
  console.error(`Measure: '${word}' is neither milliseconds nor --quick`);
  process.exitCode = 2;
}
