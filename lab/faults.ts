/**
 * What goes wrong in real life, done to the real command line: full disk, killed process, unreadable files, a second writer, an
 * unknown version, wrong keys, wrong volumes. After each: a clear error, the right exit code, and every older snapshot restores.
 */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Checks } from './checks.ts';
import { finished, holdfast, jsonOf, startHoldfast, type HoldfastResult } from './holdfast.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** The state that each fault must leave as it was: a repository with one good snapshot. */
class Bench {
  readonly checks: Checks;
  readonly repository: string;
  readonly source: string;
  readonly #directory: string;
  #restores = 0;

  constructor(context: ScenarioContext, repository = path.join(context.workDirectory, 'repository')) {
    this.checks = new Checks(context);
    this.#directory = context.workDirectory;
    this.repository = repository;
    this.source = path.join(context.workDirectory, 'source');
  }

  async prepare(): Promise<void> {
    mkdirSync(this.source, { recursive: true });
    writeFileSync(path.join(this.source, 'a'), randomBytes(3_000_000));
    writeFileSync(path.join(this.source, 'b'), 'text '.repeat(100_000));
    await holdfast(['init', this.repository]);
    const result = await holdfast(['backup', this.source, '--repo', this.repository, '--json']);
    this.checks.expect('the first backup is good', result.status === 0, result.stderr);
  }

  refused(what: string, result: HoldfastResult, wish: { readonly status: number; readonly says: RegExp }): void {
    this.checks.expect(`${what}: exit ${wish.status}`, result.status === wish.status, `exit ${result.status}: ${result.stderr.slice(-400)}`);
    this.checks.expect(`${what}: says why`, wish.says.test(result.stderr + result.stdout), JSON.stringify((result.stderr + result.stdout).slice(-400)));
    this.checks.expect(`${what}: no stack trace`, !/\n\s+at .*\.js:\d/.test(result.stderr), result.stderr.slice(-400));
  }

  /** Nothing was lost: `check` finds nothing, and the snapshot restores byte for byte. */
  async intact(what: string): Promise<void> {
    const check = await holdfast(['check', this.repository, '--read-data', '--json']);
    this.checks.expect(`${what}: the repository is good`, check.status === 0, check.stdout + check.stderr);
    const { snapshots } = jsonOf(await holdfast(['snapshots', this.repository, '--json'])) as { snapshots: readonly { readonly id: string }[] };
    const target = path.join(this.#directory, `restored-${this.#restores += 1}`);
    await holdfast(['restore', `${this.repository}::${snapshots[0]?.id ?? ''}::${this.source}`, target]);
    const same = ['a', 'b'].every((name) => existsSync(path.join(target, name)) && sha256(path.join(target, name)) === sha256(path.join(this.source, name)));
    this.checks.expect(`${what}: the first snapshot restores exactly`, same, 'content differs or is missing');
  }
}

async function secondWriter(bench: Bench): Promise<void> {
  const first = startHoldfast(['backup', '-', '--repo', bench.repository]);
  const end = finished(first);
  first.stdin?.write('held open');
  const [locks, sessions] = ['locks', 'sessions'].map((name) => path.join(bench.repository, name)) as [string, string];
  const isThere = (): boolean => readdirSync(locks).length > 0;
  const deadline = Date.now() + 20_000;
  while (!isThere() && Date.now() < deadline) await new Promise((resolve) => { setTimeout(resolve, 50); });
  bench.checks.expect('the first writer is there', isThere(), 'no lock after 20 s');
  const second = await holdfast(['backup', bench.source, '--repo', bench.repository]);
  bench.checks.expect('a second writer beside it ends well', second.status === 0, second.stderr);
  const listing = await holdfast(['ls', '-R', `${bench.repository}::latest`]);
  bench.checks.expect('a reader beside the writer', listing.status === 0, listing.stderr);
  first.stdin?.end();
  const result = await end;
  bench.checks.expect('the first writer ends well', result.status === 0, result.stderr);
  bench.checks.expect('no session is left', readdirSync(sessions).length === 0, readdirSync(sessions).join());
  await bench.intact('after two writers');
}

async function killed(bench: Bench, directory: string): Promise<void> {
  const big = path.join(directory, 'big');
  writeFileSync(big, randomBytes(200_000_000));
  for (const delay of [120, 250, 400, 700]) {
    const child = startHoldfast(['backup', big, '--repo', bench.repository]);
    const end = finished(child);
    await new Promise((resolve) => { setTimeout(resolve, delay); });
    child.kill('SIGKILL');
    await end;
    await bench.intact(`killed after ${delay} ms`);
  }
  const again = await holdfast(['backup', big, '--repo', bench.repository]);
  bench.checks.expect('the next backup after kills is good', again.status === 0, again.stderr);
}

async function unreadable(bench: Bench, directory: string): Promise<void> {
  const source = path.join(directory, 'partly');
  mkdirSync(source);
  writeFileSync(path.join(source, 'open'), 'can be read');
  writeFileSync(path.join(source, 'closed'), 'can not');
  chmodSync(path.join(source, 'closed'), 0o000);
  const repository = path.join(directory, 'of-nobody');
  mkdirSync(repository);
  chmodSync(repository, 0o777);
  await holdfast(['init', repository], { uid: 65_534 });
  const result = await holdfast(['backup', source, '--repo', repository, '--json'], { uid: 65_534 });
  bench.refused('an unreadable file', result, { status: 3, says: /closed/ });
  const { errors } = jsonOf(result) as { errors: readonly { path: string }[] };
  bench.checks.expect('the unreadable file is listed, once', errors.length === 1, JSON.stringify(errors));
}

async function versions(bench: Bench, directory: string): Promise<void> {
  const copy = path.join(directory, 'newer');
  cpSync(bench.repository, copy, { recursive: true });
  const config = readFileSync(path.join(copy, 'config'), 'utf8');
  writeFileSync(path.join(copy, 'config'), config.replace('holdfast repository 1', 'holdfast repository 2'));
  bench.refused('an unknown version', await holdfast(['snapshots', copy]), { status: 1, says: /its format is '2'/ });
  bench.refused('writing to an unknown version', await holdfast(['backup', bench.source, '--repo', copy]), { status: 1, says: /its format is '2'/ });
  writeFileSync(path.join(copy, 'config'), config.replace('"features":[]', '"features":["x"]'));
  bench.refused('a changed config', await holdfast(['snapshots', copy]), { status: 1, says: /digest/ });
}

/** On a small filesystem of its own: every backup that does not fit fails, and loses nothing. */
async function diskFull(context: ScenarioContext): Promise<Checks> {
  const image = path.join(context.workDirectory, 'small.img');
  const mount = path.join(context.workDirectory, 'small');
  writeFileSync(image, '');
  truncateSync(image, 24 << 20);
  execFileSync('mkfs.ext4', ['-q', image]);
  mkdirSync(mount);
  execFileSync('mount', ['-o', 'loop', image, mount]);
  const bench = new Bench(context, path.join(mount, 'repository'));
  try {
    await bench.prepare();
    const big = path.join(context.workDirectory, 'does-not-fit');
    writeFileSync(big, randomBytes(60_000_000));
    for (let round = 0; round < 2; round += 1) {
      bench.refused(`full disk, round ${round + 1}`, await holdfast(['backup', big, '--repo', bench.repository]), { status: 1, says: /ENOSPC|disk is full|No space left/ });
      await bench.intact(`after a full disk, round ${round + 1}`);
    }
  } finally {
    execFileSync('umount', [mount]);
  }
  return bench.checks;
}

async function volumes(bench: Bench, corpus: string, directory: string): Promise<void> {
  bench.refused('not a volume', await holdfast(['ls', '/etc/hostname::job=1::/']), { status: 2, says: /hostname/ });
  bench.refused('neither repository nor volume', await holdfast(['check', '/etc/hostname']), { status: 2, says: /hostname/ });
  const plain = path.join(corpus, 'plain-full-incr', 'volumes', 'plain-0001');
  const cut = path.join(directory, 'cut-volume');
  copyFileSync(plain, cut);
  truncateSync(cut, 1_000_001);
  bench.refused('a truncated volume', await holdfast(['check', cut, '--json']), { status: 1, says: /truncated-block/ });
  const cutBackup = await holdfast(['backup', `${cut}::job=1`, '--repo', bench.repository, '--json']);
  bench.refused('backing up a truncated volume', cutBackup, { status: 3, says: /errors/ });
  const crypt = path.join(corpus, 'encrypted', 'volumes', 'crypt-0022');
  const wrongKey = path.join(directory, 'wrong.pem');
  execFileSync('openssl', ['genrsa', '-out', wrongKey, '2048'], { stdio: 'ignore' });
  for (const [what, keys] of [['no key', []], ['a wrong key', ['--key', wrongKey]]] as const) {
    const result = await holdfast(['restore', crypt, path.join(directory, `crypt-${what.length}`), ...keys]);
    bench.checks.expect(`encrypted job with ${what}: not a success`, result.status === 1 || result.status === 3, `exit ${result.status}`);
    bench.checks.expect(`encrypted job with ${what}: says so`, /key/i.test(result.stderr), result.stderr.slice(0, 400));
  }
  const span = path.join(corpus, 'span-volumes', 'volumes');
  const names = readdirSync(span).sort().map((name) => path.join(span, name));
  bench.refused('volumes in the wrong order', await holdfast(['check', [...names].reverse().join(','), '--json']), { status: 1, says: /volume-order/ });
  bench.refused('a volume missing in the middle', await holdfast(['check', names.filter((_, i) => i !== 2).join(','), '--json']), { status: 1, says: /missing-/ });
  bench.refused('the first volume missing', await holdfast(['check', names.slice(1).join(','), '--json']), { status: 1, says: /missing-|no-jobs|unknown/ });
  bench.refused('the last volume missing', await holdfast(['check', names.slice(0, -1).join(','), '--json']), { status: 1, says: /missing-/ });
}

/** Faults of the command line, its repository and its volumes. */
export const faults: Scenario = {
  name: 'faults',
  needs: ['root', 'corpus', 'mkfs.ext4', 'mount', 'umount', 'openssl'],
  quick: true,
  async run(context) {
    const bench = new Bench(context);
    const directory = path.join(context.workDirectory, 'faults');
    mkdirSync(directory);
    chmodSync(context.workDirectory, 0o755);
    await bench.prepare();
    await versions(bench, directory);
    await secondWriter(bench);
    await killed(bench, directory);
    await unreadable(bench, directory);
    await volumes(bench, context.corpus ?? '', directory);
    await bench.intact('at the end');
    const full = (await diskFull(context)).tally;
    const rest = bench.checks.tally;
    return { passed: full.passed + rest.passed, failed: full.failed + rest.failed, skipped: 0 };
  },
};
