/**
 * Volumes against the tools that made them: partition tables of sfdisk and sgdisk here; arrays of mdadm, volume groups of LVM, containers of
 * cryptsetup and dynamic disks as ldmtool maps them, made by a guest's kernel, every volume read whole with all disks, and without those that redundancy makes up for.
 */
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { seededBytes, seededRandom } from '../../src/core/testing/random.ts';
import { Checks } from '../checks.ts';
import { makeKernelGuest, runInGuest } from '../filesystems/kernel-guest.ts';
import type { Scenario, ScenarioContext } from '../scenario.ts';
import { compareJob } from './compare.ts';
import { guestProgram } from './guest-volumes.ts';
import { LDM_KINDS, ldmJob } from './ldm-jobs.ts';
import { luksJob } from './luks-jobs.ts';
import { LVM_KINDS, lvmJob } from './lvm-jobs.ts';
import { MD_KINDS, mdJob } from './md-jobs.ts';
import { checkRandomTable } from './random-table.ts';
import { type JobResult, jobFiles, RANDOM_BYTES, sumsOf, type VolumeJob } from './volume-job.ts';

/** What the guest's kernel needs for arrays, volume groups and containers, each behind what it depends on. */
const modules = [
  'crc32c_generic', 'dm-mod', 'dm-bio-prison', 'dm-bufio', 'libcrc32c', 'dm-persistent-data', 'dm-thin-pool', 'dm-cache', 'dm-cache-smq', 'dm-writecache', 'dm-snapshot', 'dm-log', 'dm-region-hash', 'dm-mirror', 'md-mod', 'raid0',
  'raid1', 'raid10', 'linear', 'async_tx', 'xor', 'async_xor', 'raid6_pq', 'async_pq', 'async_memcpy', 'async_raid6_recov', 'raid456', 'dm-raid', 'dm-crypt', 'cryptd', 'crypto_simd',
  'aesni-intel', 'xts', 'ecb', 'authenc', 'essiv', 'sha512_generic', 'af_alg', 'algif_skcipher', 'algif_hash',
];
/** Arrangements of a full run: all levels and layouts of md, all types of LVM, all kinds of containers, dynamic disks of each form. */
const COUNTS = { md: MD_KINDS, lvm: LVM_KINDS, luks: 7, ldm: LDM_KINDS } as const;
const TABLES = 60;
/** Arrangements that one guest makes: about ten minutes. */
const JOBS_A_GUEST = 16;

function jobsOf(random: () => number): readonly VolumeJob[] {
  const jobs = [
    ...Array.from({ length: COUNTS.md }, (_, i) => mdJob(i, random)), ...Array.from({ length: COUNTS.lvm }, (_, i) => lvmJob(i, random)),
    ...Array.from({ length: COUNTS.luks }, (_, i) => luksJob(i, random)), ...Array.from({ length: COUNTS.ldm }, (_, i) => ldmJob(i, random)),
  ];
  const wanted = process.env['HOLDFAST_IMAGES'] === undefined ? jobs.length : Number(process.env['HOLDFAST_IMAGES']);
  // A few, yet of each kind.
  return jobs.filter((_, i) => Math.floor((i + 1) * wanted / jobs.length) > Math.floor(i * wanted / jobs.length));
}

/** Has a guest make some arrangements in `work`, then reads them. */
async function checkJobs(work: string, jobs: readonly VolumeJob[], guest: Awaited<ReturnType<typeof makeKernelGuest>>, checks: Checks): Promise<number> {
  for (const { name, disks, content } of jobs) {
    disks.forEach((bytes, i) => {
      const file = path.join(work, jobFiles.disk(name, i));
      writeFileSync(file, content?.(i) ?? '');
      truncateSync(file, bytes);
    });
  }
  writeFileSync(path.join(work, jobFiles.jobs), JSON.stringify(jobs));
  await runInGuest(guest, work, guestProgram, { timeoutMs: 3_600_000 });
  const results = JSON.parse(readFileSync(path.join(work, jobFiles.results), 'utf8')) as readonly JobResult[];
  let readings = 0;
  for (const job of jobs) {
    const files = job.disks.map((_, i) => path.join(work, jobFiles.disk(job.name, i)));
    const result = results.find(({ name }) => name === job.name);
    const sums = sumsOf(result?.output ?? '');
    if (result?.status !== 0 || sums.length === 0) checks.expect(`${job.name} is made`, false, `ended with '${result?.status ?? 'nothing'}': ${result?.output.slice(-600) ?? 'the guest did not get there'}`);
    else {
      const { differences, readings: count } = await compareJob(files, job, sums);
      readings += count;
      checks.expect(`${job.name}: ${sums.length} volumes, ${count} readings`, differences.length === 0, differences.slice(0, 6).join('; '));
    }
    for (const file of files) rmSync(file);
  }
  return readings;
}

async function run({ seed, workDirectory, log }: ScenarioContext): Promise<Checks['tally']> {
  const checks = new Checks({ log });
  const random = seededRandom(seed);
  for (let i = 0; i < TABLES; i += 1) {
    const { how, difference } = await checkRandomTable(path.join(workDirectory, 'table.raw'), random);
    checks.expect(`table ${i}: ${how}`, difference === undefined, difference ?? '');
  }
  const jobs = jobsOf(random);
  const guest = await makeKernelGuest(path.join(workDirectory, 'guest'), modules);
  const work = path.join(workDirectory, 'work');
  mkdirSync(work);
  writeFileSync(path.join(work, jobFiles.random), seededBytes(RANDOM_BYTES, seed));
  let readings = 0;
  for (let i = 0; i < jobs.length; i += JOBS_A_GUEST) readings += await checkJobs(work, jobs.slice(i, i + JOBS_A_GUEST), guest, checks);
  log(`${jobs.length} arrangements, ${readings} volumes read whole`);
  return checks.tally;
}

/** See the header. */
export const scenario: Scenario = { name: 'partitions', needs: ['root', 'qemu-system-x86_64', 'sfdisk', 'sgdisk', 'mdadm', 'lvm', 'cryptsetup', 'ldmtool', 'cpio', 'busybox'], quick: false, run };
