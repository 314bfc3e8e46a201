/**
 * A small site in containers (`compose/docker-compose.yml`): Bacula 15.0.3's director, storage daemon and client beside a holdfast daemon. A job of files and one
 * in mode B are run, restored and compared; then the client's network to holdfast is cut while a job runs, for a moment and for good.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../src/core/index.ts';
import { Checks } from './checks.ts';
import { DockerEngine } from './compose/engine.ts';
import { makeImage } from './compose/image.ts';
import { Site } from './compose/site.ts';
import { holdfast } from './holdfast.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

async function filesJob(site: Site, checks: Checks): Promise<void> {
  const job = await site.ended(await site.start('run job=files yes'));
  checks.expect('a job of files ends well', job.status === 'T' && job.errors === 0 && job.files > 0, JSON.stringify(job));
  const restored = await site.ended(await site.start(`restore jobid=${job.id} client=lab-fd restoreclient=lab-fd storage=File where=/srv/restored/files all done yes`));
  checks.expect('its restore ends well', restored.status === 'T' && restored.errors === 0, JSON.stringify(restored));
  const { status, stdout, stderr } = await site.exec('client', ['diff', '-r', '--no-dereference', '/srv/data', '/srv/restored/files/srv/data'], { anyStatus: true });
  checks.expect('it is the same', status === 0, `${stdout.toString().slice(0, 300)}${stderr.toString().slice(0, 300)}`);
}

/** Bytes of new data that a job has to send when its network is cut. */
const LARGE_BYTES = 300 << 20;
/** A cut that a backup survives: it waits for two minutes. */
const MOMENT_MS = 15_000;

async function must(...words: readonly string[]): Promise<void> {
  const { status, stderr } = await holdfast(words);
  if (status !== 0) throw new ToolError(`Run holdfast ${words.join(' ')}: ${stderr.slice(-400)}`);
}

/** Repository, daemon and one enrolled client, as docs/daemon.md has it. */
async function configure(directory: string): Promise<void> {
  const [server, client] = [path.join(directory, 'holdfast'), path.join(directory, 'client')];
  mkdirSync(path.join(server, 'hosts'), { mode: 0o700 });
  await must('init', path.join(directory, 'repository', 'store'));
  await must('enroll', 'client', '--hosts', path.join(server, 'hosts'), '--out', path.join(client, 'client.key'));
  const files: readonly (readonly [string, string])[] = [
    [path.join(server, 'daemon.yaml'), 'listen: { wire: 0.0.0.0:9104, http: 0.0.0.0:9421 }\nhosts: hosts\ndomains: { default: { repository: /srv/holdfast/store } }\n'],
    [path.join(client, 'bpipe.yaml'), 'repository: holdfast://holdfast:9104\nstate: /var/lib/holdfast\nwireKey: client.key\n'],
  ];
  for (const [file, text] of files) {
    writeFileSync(file, text);
    chmodSync(file, 0o600);
  }
}

async function restoredEqual(site: Site, checks: Checks, what: string, job: number): Promise<void> {
  const where = `/srv/restored/${what.replace(/[^a-z]+/g, '-')}`;
  const restored = await site.ended(await site.start(`restore jobid=${job} client=lab-fd restoreclient=lab-fd storage=File where=${where} all done yes`));
  checks.expect(`${what}: its restore ends well`, restored.status === 'T' && restored.errors === 0, JSON.stringify(restored));
  const { status, stdout, stderr } = await site.exec('client', ['diff', '-r', '--no-dereference', '/srv/data', `${where}/srv/data`], { anyStatus: true });
  checks.expect(`${what}: it is the same`, status === 0, `${stdout.toString().slice(0, 300)}${stderr.toString().slice(0, 300)}`);
}

/** Starts the job of mode B with new data, and cuts the client's network to holdfast when some of it is on its way. */
async function cutJob(site: Site, directory: string, store: string): Promise<number> {
  writeFileSync(path.join(directory, 'data', 'large'), randomBytes(LARGE_BYTES));
  const before = await site.bytesOf(store);
  const job = await site.start('run job=bpipe yes');
  for (let tries = 0; tries < 600 && await site.bytesOf(store) - before < LARGE_BYTES / 20; tries += 1) await sleep(50);
  await site.cut('client', 'store');
  return job;
}

async function wireJobs(site: Site, checks: Checks, directory: string): Promise<void> {
  const store = '/srv/holdfast/store';
  const first = await site.ended(await site.start('run job=bpipe yes'));
  checks.expect('mode B: a job ends well', first.status === 'T' && first.errors === 0 && first.files > 0, `${JSON.stringify(first)} ${await site.log()}`);
  await restoredEqual(site, checks, 'mode B', first.id);

  const moment = await cutJob(site, directory, store);
  const stored = await site.bytesOf(store);
  checks.expect('the cut hits a job that is under way', stored < LARGE_BYTES, `${stored} bytes are stored`);
  await sleep(MOMENT_MS);
  await site.mend('client', 'store');
  const survived = await site.ended(moment);
  checks.expect('a job survives a partition of 15 seconds', survived.status === 'T' && survived.errors === 0, `${JSON.stringify(survived)} ${await site.log()}`);
  if (survived.status === 'T') await restoredEqual(site, checks, 'after a partition', moment);

  const lost = await site.ended(await cutJob(site, directory, store), 400);
  checks.expect('a job whose network does not come back is not reported good', lost.status !== 'T', JSON.stringify(lost));
  await site.mend('client', 'store');
  const again = await site.ended(await site.start('run job=bpipe yes'));
  checks.expect('the next one ends well', again.status === 'T' && again.errors === 0, JSON.stringify(again));
  await restoredEqual(site, checks, 'after the loss', again.id);
}

async function run(context: ScenarioContext): Promise<Tally> {
  const checks = new Checks(context);
  const { workDirectory } = context;
  const engine = await DockerEngine.find(path.join(workDirectory, 'docker'));
  try {
    const image = await makeImage(engine, path.join(workDirectory, 'image'));
    const directory = path.join(workDirectory, 'site');
    const site = new Site(engine, image, directory);
    cpSync('/usr/share/doc/bacula-common', path.join(directory, 'data'), { recursive: true });
    try {
      await configure(directory);
      await site.up();
      await filesJob(site, checks);
      await wireJobs(site, checks, directory);
    } finally {
      await site.down();
    }
  } finally {
    await engine.stop();
    rmSync(path.join(workDirectory, 'docker'), { recursive: true, force: true });
  }
  return checks.tally;
}

/** About four minutes, most of it for making the image. */
export const scenario: Scenario = { name: 'compose', needs: ['root', 'docker', 'dockerd', 'docker-compose', 'debootstrap'], quick: false, run };
