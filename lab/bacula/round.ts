/**
 * One round with a running Bacula: a tree is backed up by it (Full, accurate Incremental, a job over several volumes), its
 * volumes are read by holdfast and by Bacula itself, and every way must give the tree that was there.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError, utf8 } from '../../src/core/index.ts';
import { checkLocation, openLocation } from '../../src/services/index.ts';
import { Checks } from '../checks.ts';
import { holdfast, jsonOf } from '../holdfast.ts';
import { compareTreeWithManifest } from '../manifest.ts';
import type { ScenarioContext, Tally } from '../scenario.ts';
import type { JobSetup } from './config.ts';
import type { BaculaInstallation } from './installation.ts';
import { compareCopies, liveManifest, type LiveLine } from './live-manifest.ts';
import { BaculaServer, type JobRow } from './server.ts';
import { lostByBacula } from './stand.ts';
import { changeTree, growFiles, growSpecials, SeededBytes } from './tree.ts';

const everything: JobSetup = {
  name: 'everything',
  options: { signature: 'SHA256', compression: 'GZIP6', sparse: 'yes', aclsupport: 'yes', xattrsupport: 'yes', accurate: 'pinsugmc5' },
  accurate: true,
};
/** 15.0.3 refuses less than 1,048,576. */
const spanning: JobSetup = { name: 'spanning', options: { signature: 'MD5' }, volumeBytesMax: 1_300_021 };

const faultsShown = 8;

/** A chain of jobs and the tree it must give. */
interface Expected {
  readonly what: string;
  readonly jobs: readonly JobRow[];
  readonly lines: readonly LiveLine[];
}

class Round {
  readonly #context: ScenarioContext;
  readonly #server: BaculaServer;
  readonly #checks: Checks;

  constructor(context: ScenarioContext, server: BaculaServer) {
    this.#context = context;
    this.#server = server;
    this.#checks = new Checks(context);
  }

  async run(): Promise<Tally> {
    const random = new SeededBytes(this.#context.seed);
    const chain = await this.#chain(random);
    const span = await this.#span(random);
    for (const expected of [...chain, span]) await this.#read(expected);
    for (const expected of [chain.at(-1) as Expected, span]) {
      await this.#throughRepository(expected);
      await this.#restoredByBacula(expected);
    }
    for (const expected of [chain.at(-1) as Expected, span]) await this.#counts(expected);
    return this.#checks.tally;
  }

  #equal(what: string, found: unknown, expected: unknown): void {
    const [got, want] = [JSON.stringify(found), JSON.stringify(expected)];
    this.#checks.expect(what, got === want, `found '${got}', expected '${want}'`);
  }

  #none(what: string, faults: readonly string[]): void {
    this.#checks.expect(what, faults.length === 0, [`${faults.length} faults`, ...faults.slice(0, faultsShown)].join('\n    '));
  }

  #folder(name: string): string {
    const folder = path.join(this.#context.workDirectory, name);
    mkdirSync(folder);
    return folder;
  }

  async #job(job: JobSetup, level: 'Full' | 'Incremental'): Promise<JobRow> {
    const row = await this.#server.runJob(job.name, level);
    this.#equal(`Bacula ends job ${row.id} (${job.name}, ${level}) well`, [row.status, row.errors], ['T', 0]);
    return row;
  }

  /** Full and Incremental. Bacula compares whole seconds, so changes wait for the next one. */
  async #chain(random: SeededBytes): Promise<readonly Expected[]> {
    const root = this.#folder('tree');
    growFiles(root, random, 30, 60_000);
    await growSpecials(root, random);
    this.#server.setSources(everything.name, [root]);
    const before = await liveManifest(root);
    const full = await this.#job(everything, 'Full');
    await sleep(1100);
    changeTree(root, random);
    const after = await liveManifest(root);
    await sleep(1100);
    const incremental = await this.#job(everything, 'Incremental');
    return [{ what: 'Full', jobs: [full], lines: before }, { what: 'Full and Incremental', jobs: [full, incremental], lines: after }];
  }

  async #span(random: SeededBytes): Promise<Expected> {
    const root = this.#folder('long');
    growFiles(root, random, 60, 120_000);
    this.#server.setSources(spanning.name, [root]);
    const lines = await liveManifest(root);
    const job = await this.#job(spanning, 'Full');
    const volumes = await this.#server.volumesOf(job.id);
    this.#none(`job ${job.id} needs several volumes`, volumes.length >= 3 ? [] : [`it has '${volumes.join(', ')}'`]);
    return { what: 'job over several volumes', jobs: [job], lines };
  }

  async #location(expected: Expected): Promise<string> {
    const names: string[] = [];
    for (const job of expected.jobs) names.push(...await this.#server.volumesOf(job.id));
    const volumes = [...new Set(names)].map((name) => path.join(this.#server.volumes, name)).join(',');
    const ids = expected.jobs.map((job) => job.id);
    return `${volumes}::${ids.length === 1 ? 'job' : 'jobs'}=${ids.join('+')}`;
  }

  /** Directly from the volumes, and a complete check of them. */
  async #read(expected: Expected): Promise<void> {
    const text = await this.#location(expected);
    const location = await openLocation(text);
    try {
      const { tree } = await location.node();
      const differences = await compareTreeWithManifest(tree, utf8(expected.lines[0]?.path ?? ''), expected.lines);
      const faults = differences.map((one) => `'${one.path}' ${one.what}: found '${one.found}', expected '${one.expected}'`);
      this.#none(`${expected.what}: the volumes give the ${expected.lines.length} entries of the live tree`, faults);
    } finally {
      await location.close();
    }
    await this.#check(text.slice(0, text.indexOf('::')), expected.what);
  }

  async #check(volumes: string, what: string): Promise<void> {
    const location = await openLocation(volumes, {}, 'inside-root');
    try {
      const report = await checkLocation(location, { readData: true });
      const faults = report.problems.map((problem) => `${problem.kind} ${problem.where}: ${problem.message}`);
      this.#none(`${what}: check finds nothing wrong with the volumes`, faults);
    } finally {
      await location.close();
    }
  }

  /** As a user does it: `backup` into a new repository, the same again, `restore`. */
  async #throughRepository(expected: Expected): Promise<void> {
    const repository = path.join(this.#context.workDirectory, `repository-${expected.jobs.at(-1)?.id}`);
    const target = path.join(this.#context.workDirectory, `copy-${expected.jobs.at(-1)?.id}`);
    const source = await this.#location(expected);
    await this.#holdfast('init', repository);
    await this.#holdfast('backup', source, '--repo', repository);
    const again = await this.#holdfast('backup', source, '--repo', repository);
    this.#equal(`${expected.what}: a second backup stores no new chunk`, again['chunksNew'], 0);
    await this.#holdfast('restore', `${repository}::latest`, target);
    await this.#compareCopy(`${expected.what}: restored by holdfast after a trip through a repository`, expected, target);
  }

  async #restoredByBacula(expected: Expected): Promise<void> {
    const target = path.join(this.#context.workDirectory, `bacula-${expected.jobs.at(-1)?.id}`);
    const row = await this.#server.restore(expected.jobs.map((job) => job.id), target);
    this.#equal(`Bacula restores ${expected.what}`, row.status, 'T');
    await this.#compareCopy(`${expected.what}: restored by Bacula itself`, expected, target, lostByBacula);
  }

  async #compareCopy(what: string, expected: Expected, target: string, ignored?: (line: LiveLine, field: string) => boolean): Promise<void> {
    const root = expected.lines[0]?.path ?? '';
    this.#none(what, compareCopies(expected.lines, await liveManifest(`${target}${root}`), { below: target, ignored }));
  }

  /** A verb that must succeed; its JSON. */
  async #holdfast(...words: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const result = await holdfast([...words, '--json', '--quiet']);
    if (result.status !== 0) throw new ToolError(`Run holdfast ${words.join(' ')}: it ended with '${result.status}': ${result.stderr.slice(-800)}`);
    return jsonOf(result);
  }

  /** What Bacula's own readers count on the volumes of some jobs, against its catalog and against holdfast. */
  async #counts({ what, jobs }: Expected): Promise<void> {
    const names: string[] = [];
    for (const job of jobs) names.push(...await this.#server.volumesOf(job.id));
    const volumes = [...new Set(names)];
    const location = await openLocation(volumes.map((name) => path.join(this.#server.volumes, name)).join(','), {}, 'inside-root');
    const found = location.place.kind === 'volumes' ? location.place.volumes.jobs.map(({ job }) => [job.jobId, job.files, job.status, job.complete]) : [];
    await location.close();
    this.#equal(`${what}: jobs, files and status as in the catalog`, found, jobs.map((job) => [job.id, job.files, job.status, true]));
    const total = jobs.reduce((sum, job) => sum + job.files, 0);
    const scanned = /^\s*(\d+) File$/m.exec(await this.#server.bscan(volumes))?.[1];
    this.#equal(`${what}: bscan enters as many files into a new catalog`, Number(scanned), total);
    // With several sessions on a volume, bls 9.6.7 counts some of their labels as files ('immortal').
    if (jobs.length > 1) return;
    const listed = /^(\d+) files found/m.exec(await this.#server.bls(volumes))?.[1];
    this.#equal(`${what}: bls lists as many files`, Number(listed), total);
  }
}

/** Starts Bacula, makes the round, ends Bacula. */
export async function runRound(installation: BaculaInstallation, context: ScenarioContext): Promise<Tally> {
  const server = await BaculaServer.start(installation, path.join(context.workDirectory, 'bacula'), { jobs: [everything, spanning] });
  try {
    context.log(`Bacula ${installation.version} is up on ports ${Object.values(server.setup.ports).join(', ')}`);
    return await new Round(context, server).run();
  } finally {
    await server.stop();
  }
}
