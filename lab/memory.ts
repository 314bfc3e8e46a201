/**
 * Peak memory of whole processes: backup, second backup, restore and check of one large file and of very many small ones, in
 * directories and in a Bacula volume. The bound is 200 MB (10^6 bytes) of resident memory, threads, native libraries and shared memory included.
 */
import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { volumeJob, writeVolume } from './bacula-volume.ts';
import { Checks } from './checks.ts';
import { holdfast, jsonOf } from './holdfast.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

const MEGABYTES_MAX = 200;
const PIECE = 1 << 20;

/** Half incompressible, half text that repeats in parts: both paths of the engine work. */
function writeLargeFile(file: string, mebibytes: number, seed: number): void {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed & 0xff), Buffer.alloc(16));
  const zeroes = Buffer.alloc(PIECE);
  const fd = openSync(file, 'wx');
  try {
    for (let i = 0; i < mebibytes; i += 1) {
      const random = cipher.update(zeroes);
      const text = Buffer.from(random.subarray(0, PIECE / 2).toString('hex').slice(0, PIECE), 'latin1');
      writeSync(fd, i % 2 === 0 ? random : text);
    }
  } finally {
    closeSync(fd);
  }
}

function writeSmallFiles(directory: string, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const sub = path.join(directory, `d${Math.floor(i / 1000)}`);
    if (i % 1000 === 0) mkdirSync(sub, { recursive: true });
    writeFileSync(path.join(sub, `file-${i}`), `small file ${i} ${i * 7919}\n`);
  }
}

type Runs = readonly (readonly [string, readonly string[]])[];

async function measure(context: ScenarioContext, source: string, label: string): Promise<Checks> {
  const repository = path.join(context.workDirectory, 'repository');
  const target = path.join(context.workDirectory, 'restored');
  await holdfast(['init', repository]);
  const checks = await measureRuns(context, label, [
    ['first backup', ['backup', source, '--repo', repository, '--json']],
    ['second backup', ['backup', source, '--repo', repository, '--json']],
    ['second backup that reads everything', ['backup', source, '--repo', repository, '--parent', 'none', '--json']],
    ['restore', ['restore', `${repository}::latest::${source}`, target, '--json']],
    ['check --read-data', ['check', repository, '--read-data', '--json']],
  ]);
  rmSync(target, { recursive: true, force: true });
  return checks;
}

async function measureVolume(context: ScenarioContext, files: number): Promise<Checks> {
  const volume = path.join(context.workDirectory, 'volume');
  const repository = path.join(context.workDirectory, 'repository');
  await writeVolume(volume, files);
  await holdfast(['init', repository]);
  const source = `${volume}::job=${volumeJob}`;
  return measureRuns(context, `volume of ${files} files`, [
    ['first backup', ['backup', source, '--repo', repository, '--json']],
    ['second backup', ['backup', source, '--repo', repository, '--json']],
    ['listing', ['ls', '-R', source]],
    ['check --read-data', ['check', volume, '--read-data', '--json']],
  ]);
}

async function measureRuns(context: ScenarioContext, label: string, runs: Runs): Promise<Checks> {
  const checks = new Checks(context);
  for (const [name, parameters] of runs) {
    const result = await holdfast(parameters);
    const what = `${label}: ${name}`;
    checks.expect(`${what} succeeds (${result.seconds.toFixed(1)} s)`, result.status === 0, `exit ${result.status}: ${result.stderr.slice(-300)}`);
    checks.expect(`${what} stays below ${MEGABYTES_MAX} MB: ${result.peakMegabytes.toFixed(0)} MB`, result.peakMegabytes > 0 && result.peakMegabytes <= MEGABYTES_MAX, `${result.peakMegabytes.toFixed(0)} MB`);
    if (name.startsWith('second')) {
      const { chunksNew } = jsonOf(result);
      checks.expect(`${what} stores no new chunk`, chunksNew === 0, `${String(chunksNew)} new chunks`);
    }
  }
  return checks;
}

async function run(context: ScenarioContext, size: { readonly mebibytes: number; readonly files: number }): Promise<{ passed: number; failed: number; skipped: number }> {
  const large = path.join(context.workDirectory, 'large', 'file');
  mkdirSync(path.dirname(large));
  writeLargeFile(large, size.mebibytes, context.seed);
  const first = (await measure({ ...context, workDirectory: mkdir(context, 'a') }, path.dirname(large), `${size.mebibytes} MiB`)).tally;
  rmSync(path.dirname(large), { recursive: true });
  const small = path.join(context.workDirectory, 'small');
  writeSmallFiles(small, size.files);
  const second = (await measure({ ...context, workDirectory: mkdir(context, 'b') }, small, `${size.files} files`)).tally;
  return { passed: first.passed + second.passed, failed: first.failed + second.failed, skipped: 0 };
}

function mkdir(context: ScenarioContext, name: string): string {
  const directory = path.join(context.workDirectory, name);
  mkdirSync(directory);
  return directory;
}

/** For each change: 512 MiB and 50,000 files. */
export const memoryQuick: Scenario = {
  name: 'memory-quick', needs: [], quick: true, run: (context) => run(context, { mebibytes: 512, files: 50_000 }),
};

/** The promise in full: 4 GiB and a million files. */
export const memoryFull: Scenario = {
  name: 'memory-full', needs: [], quick: false, run: (context) => run(context, { mebibytes: 4096, files: 1_000_000 }),
};

/** The promise for a Bacula job of a million files. */
export const memoryBacula: Scenario = {
  name: 'memory-bacula', needs: [], quick: false, run: async (context) => (await measureVolume(context, 1_000_000)).tally,
};
