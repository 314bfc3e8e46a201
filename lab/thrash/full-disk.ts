/**
 * Scenario: several processes on a filesystem of its own that is full for a while. They back up, read, forget, collect and check before, while there is no
 * space, and when there is again: nothing that was acknowledged is lost, every error says what the matter is, and all go on without help.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { MemoryTree } from '../../src/core/testing/memory-tree.ts';
import { Repository, nodeWorld } from '../../src/engine/index.ts';
import { Checks } from '../checks.ts';
import type { Scenario } from '../scenario.ts';
import { md5Of, treeOf } from './content.ts';
import { readJournals, type Journals } from './journal.ts';
import { prepare, start, type Place } from './thrash.ts';
import { judge } from './verdict.ts';

const PROCESSES = 4;
const FILESYSTEM_BYTES = 64 << 20;
/** Backups that there have to be before the disk is filled, and after there is space again. */
const BACKUPS_MIN = 6;
/** Failures for want of space that are waited for. */
const FAILURES_MIN = 12;
const PHASE_MS_MAX = 25_000;
const SECONDS_MAX = 90;

function isFull(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOSPC';
}

/** Takes all space that is left, to the last block. */
function fill(ballast: string): void {
  const file = openSync(ballast, 'a');
  try {
    for (const bytes of [1 << 20, 4096]) {
      try {
        for (;;) writeSync(file, Buffer.alloc(bytes, 0x5a));
      } catch (error) {
        if (!isFull(error)) throw error;
      }
    }
  } finally {
    closeSync(file);
  }
}

function count(journals: Journals, suffix: string): number {
  return [...journals.counts].reduce((sum, [what, times]) => sum + (what.endsWith(suffix) ? times : 0), 0);
}

/** Waits, and does something again and again, until so much happened or it takes too long. @returns how much happened. */
async function until(place: Place, suffix: string, least: number, meanwhile: () => void = () => undefined): Promise<number> { // oxlint-disable-line max-params -- what is waited for, and what is done
  const before = count(readJournals(place.journals), suffix);
  for (const end = performance.now() + PHASE_MS_MAX; performance.now() < end;) {
    meanwhile();
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    const more = count(readJournals(place.journals), suffix) - before;
    if (more >= least) return more;
  }
  return count(readJournals(place.journals), suffix) - before;
}

/** Whoever only reads needs no space. */
async function readAll(checks: Checks, place: Place): Promise<void> {
  const problems: string[] = [];
  const repository = await Repository.open(nodeWorld(place.repository), { mode: 'read', workers: 0 });
  const snapshots = await repository.snapshots();
  for (const { id, tags } of snapshots.slice(0, 4)) {
    const expected = await md5Of(new MemoryTree(treeOf(Number(tags[0]))));
    const found = await md5Of(await repository.openSnapshot(id)).catch(String);
    if (found !== expected && (await repository.snapshots()).some((one) => one.id === id)) problems.push(`${id}: ${found}`);
  }
  await repository.close();
  checks.expect('while there is no space, a reader reads snapshots exactly', snapshots.length > 0 && problems.length === 0, problems.join('; ') || 'no snapshot');
}

async function work(checks: Checks, place: Place, { ballast, seed }: { readonly ballast: string; readonly seed: number }): Promise<void> {
  const processes = Array.from({ length: PROCESSES }, (_, i) => start(place, `process-${i}`, { seed: seed + i, seconds: SECONDS_MAX, disk: 'full' }));
  const stop = path.join(place.journals, 'stop');
  try {
    const first = await until(place, 'saved', BACKUPS_MIN);
    checks.expect(`${first} backups before the disk is full`, first >= BACKUPS_MIN, `${first}`);
    const failures = await until(place, ', no space', FAILURES_MIN, () => { fill(ballast); });
    checks.expect(`${failures} failures that say there is no space`, failures >= FAILURES_MIN, `${failures}`);
    await readAll(checks, place);
    rmSync(ballast);
    const again = await until(place, 'saved', BACKUPS_MIN);
    checks.expect(`${again} backups when there is space again`, again >= BACKUPS_MIN, `${again}`);
    writeFileSync(stop, '');
    const ends = (await Promise.all(processes.map(({ ended }) => ended))).filter((text) => text !== '');
    checks.expect(`${PROCESSES} processes end well`, ends.length === 0, ends.join('; '));
  } finally {
    for (const { child } of processes) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    rmSync(stop, { force: true });
  }
}

/** A disk that is full beside several writers. */
export const fullDiskWriters: Scenario = {
  name: 'full-disk-writers',
  needs: ['root', 'mkfs.ext4', 'mount'],
  quick: true,
  async run(context) {
    const checks = new Checks(context);
    const image = path.join(context.workDirectory, 'small.img');
    const mount = path.join(context.workDirectory, 'small');
    writeFileSync(image, '');
    truncateSync(image, FILESYSTEM_BYTES);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
    mkdirSync(mount);
    execFileSync('mount', ['-o', 'loop', image, mount]);
    try {
      const place = await prepare(context, mount);
      await work(checks, place, { ballast: path.join(mount, 'ballast'), seed: context.seed });
      const { snapshots, steps } = await judge(checks, place.repository, place.journals);
      context.log(`${snapshots} snapshots at the end; ${steps}`);
    } finally {
      execFileSync('umount', [mount]);
    }
    return checks.tally;
  },
};
