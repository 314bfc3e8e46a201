/**
 * Loss of power on a real kernel and filesystem: a QEMU guest runs backups, forgets and collections on an ext4 disk while QEMU logs each write. Afterwards the disk
 * is built again as it stood at each flush, with a random part of the writes that were still under way, mounted, checked, and all that was acknowledged is restored.
 */
import path from 'node:path';
import { Checks } from './checks.ts';
import { runTool } from './bacula/tool.ts';
import { makeGuest, runGuest } from './power-loss/guest.ts';
import { applyPending, imageOf, lookAfterOutage } from './power-loss/outage.ts';
import { Replay, readWriteLog, type LoggedWrite } from './power-loss/write-log.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const ROUNDS = 12;
const POINTS_MAX = Number(process.env['HOLDFAST_POWER_LOSS_POINTS'] ?? 150);
const GUEST_TIMEOUT_MS = 1_200_000;

/** Numbers in [0, 1), the same for the same seed. Source: the mulberry32 generator. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Positions of flushes, evenly thinned out. */
function pointsOf(log: readonly LoggedWrite[]): readonly number[] {
  const flushes = log.flatMap((entry, i) => (entry.isFlush ? [i] : []));
  const step = Math.max(1, flushes.length / POINTS_MAX);
  return Array.from({ length: Math.min(flushes.length, POINTS_MAX) }, (_, i) => flushes[Math.floor(i * step)] ?? 0);
}

async function run(context: ScenarioContext): Promise<Tally> {
  const checks = new Checks(context);
  const { workDirectory, seed } = context;
  const guest = await makeGuest(path.join(workDirectory, 'guest'), ROUNDS);
  const empty = path.join(workDirectory, 'empty.img');
  const disk = path.join(workDirectory, 'disk.img');
  const log = path.join(workDirectory, 'writes.log');
  await runTool(['sh', '-c', 'truncate -s 192M "$1" && mkfs.ext4 -q -b 4096 "$1" && cp --sparse=always "$1" "$2"', 'disk', empty, disk]);
  const console_ = await runGuest(guest, disk, log, GUEST_TIMEOUT_MS);
  checks.expect('the guest ran its rounds', console_.includes('DRIVER-DONE'), console_.slice(-600));
  const entries = readWriteLog(log);
  const points = pointsOf(entries);
  context.log(`${entries.filter(({ isFlush }) => isFlush).length} flushes among ${entries.length} entries; ${points.length} of them are tried`);
  checks.expect('the log has flushes', points.length > 20, `${points.length}`);
  const random = generator(seed);
  const trial = path.join(workDirectory, 'trial.img');
  let at = 0;
  let snapshots = 0;
  const violations: string[] = [];
  for (const point of points) {
    const replay = new Replay(log, empty);
    for (; at <= point; at += 1) replay.apply(entries[at] as LoggedWrite);
    replay.close();
    imageOf(empty, trial);
    const next = entries.findIndex((entry, i) => i > point && entry.isFlush);
    applyPending(log, trial, entries.slice(point + 1, next < 0 ? entries.length : next), random);
    const result = await lookAfterOutage(trial, workDirectory);
    snapshots += result.snapshots;
    for (const one of result.violations) violations.push(`at entry ${point}: ${one}`);
  }
  context.log(`${points.length} outages, ${snapshots} acknowledged snapshots restored and compared, ${violations.length} violations`);
  checks.expect('no outage took anything that was acknowledged', violations.length === 0, violations.slice(0, 5).join(' | '));
  checks.expect('snapshots were there to be compared', snapshots > points.length, `${snapshots}`);
  return checks.tally;
}

/** Ten to twenty minutes: the guest has no acceleration. For nights. */
export const scenario: Scenario = {
  name: 'power-loss', needs: ['root', 'qemu-system-x86_64', 'debootstrap', 'busybox', 'cpio', 'mke2fs', 'mkfs.ext4', 'mount', 'apt-get'], quick: false, run,
};
