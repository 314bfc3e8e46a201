/**
 * An autochanger of two File devices under an unmodified Bacula: two jobs at once write into one pool, the first ends early, and the second goes on behind it, on a volume that was labelled
 * before its own first one. Scripts of the client hold each job where it has its volume and no file yet, so the order does not depend on time.
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { JobSetup } from './bacula/config.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { liveManifest } from './bacula/live-manifest.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { lostByBacula, Stand } from './bacula/stand.ts';
import { growFiles, SeededBytes } from './bacula/tree.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';
import { until } from './until.ts';

const JOB_MS = 180_000;
const DEVICE = 'Changer';
/** The first job leaves a part of its volume free; the second needs more than that and a whole one. */
const volumeBytesMax = 2_000_003;
const files = { first: { count: 10, sizeMax: 20_000 }, second: { count: 80, sizeMax: 90_000 } } as const;
const [oldest, newer, newest] = ['first-0001', 'first-0002', 'first-0003'] as const;

type JobName = keyof typeof files;

/** A program that ends as soon as its gate is there, or badly after ten minutes. @returns the command */
function gateScript(stand: Stand, name: JobName): string {
  const file = stand.path('bin', `gate-${name}`);
  writeFileSync(file, `#!/bin/sh\nfor turn in $(seq 6000); do [ -e '${gateOf(stand, name)}' ] && exit 0; sleep 0.1; done\nexit 1\n`);
  chmodSync(file, 0o755);
  return file;
}

function gateOf(stand: Stand, name: JobName): string {
  return stand.path(`${name}.gate`);
}

async function backups(stand: Stand, server: BaculaServer): Promise<Readonly<Record<JobName, JobRow>>> {
  const start = async (name: JobName, volume: string): Promise<number> => {
    const id = await server.startJob(name, 'Full');
    await until(`job '${name}' has labelled '${volume}'`, () => existsSync(stand.path('volumes', volume)), JOB_MS);
    return id;
  };
  const end = async (name: JobName, id: number): Promise<JobRow> => {
    writeFileSync(gateOf(stand, name), '');
    const row = await server.settled(id, JOB_MS);
    stand.good(name, row, server.logOf(id));
    return row;
  };
  const [firstId, secondId] = [await start('first', oldest), await start('second', newer)];
  const rows = { first: await end('first', firstId), second: await end('second', secondId) };
  stand.equal('the first job used the oldest volume alone', await server.volumesOf(firstId), [oldest]);
  stand.equal('the second job began on a newer volume, went on behind the first job, then on the newest', (await server.volumesOf(secondId)).slice(0, 3), [newer, oldest, newest]);
  return rows;
}

async function restores(stand: Stand, server: BaculaServer, rows: Readonly<Record<JobName, JobRow>>): Promise<void> {
  for (const name of Object.keys(files) as JobName[]) {
    const { id } = rows[name];
    const lines = await liveManifest(stand.path(name));
    const [theirs, ours] = [stand.path(`${name}-by-bacula`), stand.path(`${name}-by-holdfast`)];
    stand.good(`${name}: Bacula's restore`, await server.restore([id], theirs, DEVICE));
    stand.none(`${name}: restored by Bacula, equal in md5 and metadata`, await stand.differences(lines, theirs, lostByBacula));
    await stand.holdfast('restore', `${stand.path('volumes')}::job=${id}`, ours);
    stand.none(`${name}: restored by holdfast, equal in md5 and metadata`, await stand.differences(lines, ours));
  }
  const { problems } = await stand.holdfast('check', stand.path('volumes'), '--read-data');
  stand.equal('check finds nothing wrong with the volumes', problems, []);
}

async function run(installation: BaculaInstallation, context: ScenarioContext): Promise<Tally> {
  const stand = new Stand(context);
  const random = new SeededBytes(context.seed);
  for (const name of ['volumes', ...Object.keys(files)]) mkdirSync(stand.path(name));
  for (const [name, { count, sizeMax }] of Object.entries(files)) growFiles(stand.path(name), random, count, sizeMax);
  const job = (name: JobName): JobSetup => ({ name, options: { signature: 'MD5' }, device: DEVICE, volumeBytesMax, scripts: [{ when: 'AfterVSS', onClient: true, command: gateScript(stand, name) }] });
  const server = await BaculaServer.start(installation, stand.path('bacula'), {
    jobs: [job('first'), { ...job('second'), poolOf: 'first' }], devices: [{ name: DEVICE, kind: 'changer', archive: stand.path('volumes') }],
  });
  try {
    context.log(`Bacula ${installation.version} is up`);
    for (const name of Object.keys(files)) server.setSources(name, [stand.path(name)]);
    await restores(stand, server, await backups(stand, server));
  } finally {
    for (const name of Object.keys(files) as JobName[]) writeFileSync(gateOf(stand, name), '');
    await server.stop();
  }
  return stand.checks.tally;
}

const tools = ['root', 'sqlite3', 'getfattr'];

/** About ten seconds. */
export const baculaChanger: Scenario = { name: 'bacula-changer', needs: [...baculaPrograms, ...tools], quick: true, run: (context) => run(installedBacula(), context) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaChanger15: Scenario = {
  name: 'bacula-changer-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => run(await unpackTrixieBacula(context.workDirectory), context),
};
