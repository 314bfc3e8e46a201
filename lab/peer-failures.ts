/**
 * Failures that restic, borg and kopia document, done to holdfast and, where the distribution has them, to the tools themselves: lost and cut indexes, lost,
 * cut and rotten data files, a process killed while it removes, a full disk. What counts: is the old snapshot restored exactly, is a loss named, or is
 * it silent? With HOLDFAST_PEERS_TABLE=FILE the outcomes are written as a table. kopia is not in Debian; its cases are the first five.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Checks } from './checks.ts';
import { findProgram, isRoot } from './environment.ts';
import { borg, holdfastPeer, repairAndStoreAgain, restic, type Peer, type PeerResult } from './peers.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const FILES = 8;
const FILE_BYTES = 400_000;
const FULL_BYTES = 48 << 20;

/** What became of the files of a snapshot. `silent`: something differs and nothing was said. */
interface Outcome {
  readonly verdict: 'exact' | 'named loss' | 'loss, not named' | 'silent loss';
  readonly text: string;
}

interface Row {
  readonly failure: string;
  readonly peer: string;
  readonly check: string;
  readonly found: string;
  readonly repaired: string;
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Compares a restored directory with its source; `said` is all that the tool printed, `failed` whether any of it was an error. */
function judge(source: string, target: string, said: string, failed: boolean): Outcome { // oxlint-disable-line max-params -- two places and two facts
  const names = readdirSync(source);
  const absent = names.filter((name) => !existsSync(path.join(target, name)));
  const wrong = names.filter((name) => !absent.includes(name) && digest(path.join(target, name)) !== digest(path.join(source, name)));
  if (absent.length + wrong.length === 0) return { verdict: 'exact', text: 'exact' };
  const counts = `${absent.length + wrong.length} of ${names.length} files${wrong.length > 0 ? `, ${wrong.length} with wrong bytes` : ''}`;
  const unnamed = [...absent, ...wrong].filter((name) => !said.includes(name));
  if (unnamed.length === 0) return { verdict: 'named loss', text: `named loss: ${counts}` };
  return failed ? { verdict: 'loss, not named', text: `error; not named: ${counts}` } : { verdict: 'silent loss', text: `**silent**: ${counts}` };
}

type Harm = (peer: Peer, repository: string) => void;

function first(files: readonly string[]): string {
  const [file] = files;
  if (file === undefined) throw new Error('Damage a file: there is none');
  return file;
}

/** The documented cases that are files going bad. */
const harms: Readonly<Record<string, Harm>> = {
  'index deleted': (peer, repository) => {
    for (const file of peer.indexFiles(repository)) rmSync(file);
    rmSync(`${repository}.base`, { recursive: true, force: true });
  },
  'index cut to half': (peer, repository) => { for (const file of peer.indexFiles(repository)) truncateSync(file, Math.floor(readFileSync(file).length / 2)); },
  'data file deleted': (peer, repository) => { rmSync(first(peer.dataFiles(repository))); },
  'data file cut to half': (peer, repository) => {
    const file = first(peer.dataFiles(repository));
    truncateSync(file, Math.floor(readFileSync(file).length / 2));
  },
  'bit flipped in data': (peer, repository) => {
    const file = first(peer.dataFiles(repository));
    const bytes = readFileSync(file);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] as number) ^ 1;
    execFileSync('chmod', ['u+w', file]);
    writeFileSync(file, bytes);
  },
};

/** Runs all failures against one tool. */
class Trial {
  readonly rows: Row[] = [];
  readonly #peer: Peer;
  readonly #context: ScenarioContext;
  readonly #directory: string;
  readonly #source: string;
  #copies = 0;

  constructor(peer: Peer, context: ScenarioContext) {
    this.#peer = peer;
    this.#context = context;
    this.#directory = path.join(context.workDirectory, peer.name.replace(/\W+/g, '-'));
    this.#source = path.join(this.#directory, 'source');
  }

  prepare(): string {
    mkdirSync(this.#source, { recursive: true });
    for (let i = 0; i < FILES; i += 1) writeFileSync(path.join(this.#source, `file-${i}.bin`), i % 2 === 0 ? randomBytes(FILE_BYTES) : `line ${i} of text\n`.repeat(FILE_BYTES / 16));
    const repository = path.join(this.#directory, 'pristine');
    this.#must(this.#peer.init(repository), 'init');
    this.#must(this.#peer.backup(repository, this.#source, 'old'), 'backup');
    return repository;
  }

  #must(result: PeerResult, what: string): void {
    if (result.status !== 0) throw new Error(`Run '${what}' of ${this.#peer.name}: exit ${result.status}: ${result.output.slice(-500)}`);
  }

  #copy(pristine: string): string {
    this.#copies += 1;
    const copy = path.join(this.#directory, `copy-${this.#copies}`);
    cpSync(pristine, copy, { recursive: true });
    if (existsSync(`${pristine}.base`)) cpSync(`${pristine}.base`, `${copy}.base`, { recursive: true });
    return copy;
  }

  #restored(repository: string, said: PeerResult): Outcome {
    this.#copies += 1;
    const target = path.join(this.#directory, `restored-${this.#copies}`);
    const result = this.#peer.restore(repository, 'old', this.#source, target);
    const outcome = judge(this.#source, target, said.output + result.output, said.status !== 0 || result.status !== 0);
    rmSync(target, { recursive: true, force: true });
    return outcome;
  }

  /** @returns outcomes as found, and after repair and a new backup. */
  damage(pristine: string, failure: string, harm: Harm): readonly Outcome[] {
    const repository = this.#copy(pristine);
    harm(this.#peer, repository);
    const check = this.#peer.check(repository);
    const found = this.#restored(repository, check);
    const steps = repairAndStoreAgain(this.#peer, repository, this.#source);
    const after = this.#restored(repository, steps);
    this.#add(failure, { check: check.status === 0 ? 'nothing' : 'damage', found, after });
    rmSync(repository, { recursive: true, force: true });
    return [found, after];
  }

  /** Kills the removal of half the data at several moments; each time the old snapshot must restore, and removal must come to its end. */
  async killPrune(pristine: string): Promise<readonly Outcome[]> {
    const big = path.join(this.#directory, 'big');
    mkdirSync(big);
    for (let i = 0; i < 8; i += 1) writeFileSync(path.join(big, `b${i}`), randomBytes(3 << 20));
    const full = this.#copy(pristine);
    this.#must(this.#peer.backup(full, big, 'big'), 'backup');
    this.#must(this.#peer.forget(full, 'big'), 'forget');
    const outcomes: Outcome[] = [];
    const problems: string[] = [];
    for (const delay of [80, 250, 500, 900]) {
      const repository = this.#copy(full);
      const [program = '', ...words] = this.#peer.prune(repository);
      const child = spawn(program, words, { env: this.#peer.environment(repository), stdio: 'ignore' });
      const ended = new Promise((resolve) => { child.on('close', resolve); });
      await new Promise((resolve) => { setTimeout(resolve, delay); });
      child.kill('SIGKILL');
      await ended;
      this.#peer.unlock(repository);
      const check = this.#peer.check(repository);
      if (check.status !== 0) problems.push(`check says damage after ${delay} ms`);
      outcomes.push(this.#restored(repository, check));
      rmSync(repository, { recursive: true, force: true });
    }
    const worst = outcomes.find(({ verdict }) => verdict !== 'exact') ?? { verdict: 'exact', text: 'exact' };
    this.#add('killed while removing (4 moments)', { check: problems.length === 0 ? 'nothing' : problems.join(', '), found: worst, after: worst });
    return outcomes;
  }

  /** On a filesystem of its own: a backup that does not fit must fail and cost nothing. */
  fullDisk(): readonly Outcome[] {
    const image = path.join(this.#directory, 'small.img');
    const mount = path.join(this.#directory, 'small');
    writeFileSync(image, '');
    truncateSync(image, FULL_BYTES);
    execFileSync('mkfs.ext4', ['-q', image]);
    mkdirSync(mount);
    execFileSync('mount', ['-o', 'loop', image, mount]);
    try {
      const repository = path.join(mount, 'repository');
      this.#must(this.#peer.init(repository), 'init');
      this.#must(this.#peer.backup(repository, this.#source, 'old'), 'backup');
      const large = path.join(this.#directory, 'does-not-fit');
      mkdirSync(large);
      writeFileSync(path.join(large, 'f'), randomBytes(FULL_BYTES * 2));
      const failed = this.#peer.backup(repository, large, 'large');
      rmSync(large, { recursive: true });
      this.#peer.unlock(repository);
      const check = this.#peer.check(repository);
      const found = this.#restored(repository, check);
      this.#add('disk full during a backup', { check: `${failed.status === 0 ? 'the backup claims success; ' : ''}${check.status === 0 ? 'nothing' : 'damage or an error'}`, found, after: found });
      return [found];
    } finally {
      execFileSync('umount', [mount]);
    }
  }

  #add(failure: string, seen: { readonly check: string; readonly found: Outcome; readonly after: Outcome }): void {
    const row = { failure, peer: this.#peer.name, check: seen.check, found: seen.found.text, repaired: seen.after.text };
    this.rows.push(row);
    this.#context.log(`${row.peer}: ${row.failure}: check says ${row.check}; old snapshot ${row.found}; after repair and a new backup ${row.repaired}`);
  }
}

async function tryPeer(peer: Peer, context: ScenarioContext, checks: Checks): Promise<readonly Row[]> {
  const trial = new Trial(peer, context);
  const isOurs = peer.name.startsWith('holdfast');
  const pristine = trial.prepare();
  for (const [failure, harm] of Object.entries(harms)) {
    const [found, after] = trial.damage(pristine, failure, harm);
    if (!isOurs) continue;
    checks.expect(`${peer.name}: ${failure}: exact, or a loss that is named`, found?.verdict === 'exact' || found?.verdict === 'named loss', found?.text ?? '');
    checks.expect(`${peer.name}: ${failure}: exact after repair and a new backup`, after?.verdict === 'exact', after?.text ?? '');
  }
  const killed = await trial.killPrune(pristine);
  if (isOurs) checks.expect(`${peer.name}: killed while removing: exact`, killed.length > 0 && killed.every(({ verdict }) => verdict === 'exact'), killed.map(({ text }) => text).join());
  if (isRoot() && findProgram('mkfs.ext4') !== undefined) {
    const full = trial.fullDisk();
    if (isOurs) checks.expect(`${peer.name}: disk full: exact`, full.every(({ verdict }) => verdict === 'exact'), full.map(({ text }) => text).join());
  } else {
    checks.skip(`${peer.name}: disk full: needs root and mkfs.ext4`);
  }
  return trial.rows;
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map((row) => `| ${row.failure} | ${row.peer} | ${row.check} | ${row.found} | ${row.repaired} |`);
  const order = [...new Set(rows.map(({ failure }) => failure))];
  lines.sort((a, b) => order.findIndex((failure) => a.startsWith(`| ${failure} |`)) - order.findIndex((failure) => b.startsWith(`| ${failure} |`)));
  return ['| failure | tool | check says | old snapshot, as found | after the documented repair and a new backup |', '|---|---|---|---|---|', ...lines, ''].join('\n');
}

/** Documented failures of the peers. */
export const peerFailures: Scenario = {
  name: 'peer-failures',
  needs: [],
  quick: false,
  async run(context): Promise<Tally> {
    const checks = new Checks(context);
    const rows: Row[] = [];
    for (const peer of [holdfastPeer('holdfast', []), holdfastPeer('holdfast, parity 5 %', ['--parity', '5']), restic, borg]) {
      if (peer.name.startsWith('holdfast') || findProgram(peer.program) !== undefined) rows.push(...await tryPeer(peer, context, checks));
      else checks.skip(`${peer.name}: the program is not installed`);
    }
    const table = process.env['HOLDFAST_PEERS_TABLE'];
    if (table !== undefined) writeFileSync(table, tableOf(rows));
    return checks.tally;
  },
};
