/** Every step of `docs/daemon.md`, in its order, run with `bash -euo pipefail` as it is written there; only the ports are others. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { seededBytes } from '../../src/core/testing/random.ts';
import type { Checks } from '../checks.ts';
import { findProgram, repositoryRoot } from '../environment.ts';
import { holdfastCommand } from '../holdfast.ts';
import { freePort } from '../loopback.ts';
import { parseRunbook } from '../runbook/document.ts';

/** What must hold after a step, as a command that succeeds. */
const proofs: Readonly<Record<string, string>> = {
  enroll: 'test "$(stat -c %a "$ETC/web1.key")" = 600',
  configure: 'test "$(stat -c %a "$ETC/daemon.yaml")" = 600',
  backup: 'test "$(holdfast snapshots "$SRV/default" --json | grep -o \'"id"\' | wc -l)" = 2',
  reload: 'grep -q \'"changed":\\["check"\\]\' "$SRV/daemon.log"',
  revoke: 'grep -q "connection refused" "$SRV/daemon.log"',
  collect: 'test "$(holdfast snapshots "$SRV/default" --json | grep -o \'"id"\' | wc -l)" = 1',
  // In a container nobody may collect what has ended: it stays as a zombie.
  stop: 'pid=$(cat "$SRV/daemon.pid"); while kill -0 "$pid" 2>/dev/null && ! grep -q "^State:.Z" "/proc/$pid/status"; do sleep 0.1; done',
};

/** Steps wait for what they started; one that waits for ever fails. */
const STEP_MS_MAX = 60_000;

function runStep(commands: string, environment: Readonly<Record<string, string>>): { readonly status: number | null; readonly output: string; readonly seconds: number } {
  const begun = process.hrtime.bigint();
  const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', commands], { env: { ...process.env, ...environment }, encoding: 'utf8', timeout: STEP_MS_MAX });
  return { status, output: `${stdout}${stderr}`, seconds: Number(process.hrtime.bigint() - begun) / 1e9 };
}

function writeSource(source: string, seed: number): void {
  mkdirSync(path.join(source, 'deep'));
  writeFileSync(path.join(source, 'deep', 'large'), seededBytes(3 << 20, seed));
  for (let i = 0; i < 50; i += 1) writeFileSync(path.join(source, `file-${i}`), `file ${i} ${seed}\n`.repeat(i));
}

/** Ends what the page started and did not stop, because a step before failed. */
function endLeftover(log: string): void {
  const pid = /"pid":(\d+)/.exec(readFileSync(log, 'utf8'))?.[1];
  if (pid === undefined || readFileSync(log, 'utf8').includes('daemon ended')) return;
  try {
    process.kill(Number(pid), 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Runs the page. A step that fails ends it. */
export async function tryPage(root: string, seed: number, checks: Checks): Promise<void> {
  const folders = Object.fromEntries(['ETC', 'SRV', 'SOURCE', 'TARGET', 'bin'].map((name) => [name, path.join(root, name.toLowerCase())]));
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
  const command = path.join(folders['bin'] ?? '', 'holdfast');
  writeFileSync(command, `#!/bin/sh\nexec ${holdfastCommand().map((word) => `'${word}'`).join(' ')} "$@"\n`);
  chmodSync(command, 0o755);
  writeSource(folders['SOURCE'] ?? '', seed);
  const environment = { ...folders, PATH: `${folders['bin']}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  const [wire, http] = [await freePort(), await freePort()];
  const steps = parseRunbook(readFileSync(path.join(repositoryRoot(), 'docs', 'daemon.md'), 'utf8'));
  checks.expect('docs/daemon.md: each proof belongs to a step', Object.keys(proofs).every((id) => steps.some((step) => step.id === id)), Object.keys(proofs).join(' '));
  try {
    for (const { id, commands } of steps) {
      const { status, output, seconds } = runStep(`umask 077\n${commands.replaceAll('9104', String(wire)).replaceAll('9421', String(http))}\n${proofs[id] ?? ''}`, environment);
      checks.expect(`docs/daemon.md: ${id} (${seconds.toFixed(1)} s)`, status === 0, `exit ${status}: ${output.slice(-1500)}`);
      if (status !== 0) return;
    }
  } finally {
    const log = path.join(folders['SRV'] ?? '', 'daemon.log');
    if (readdirSync(folders['SRV'] ?? '').includes('daemon.log')) endLeftover(log);
  }
}

function analyze(words: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(findProgram('systemd-analyze') ?? '', words, { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

/** Units of `deploy/`, and the program that each starts. */
const units: readonly (readonly [unit: string, program: string])[] = [['holdfast.service', '/usr/bin/holdfast'], ['holdfast-bacula-tail.service', '/usr/local/bin/holdfast-bacula-tail']];

/** Has the systemd units of `deploy/` checked by systemd's own program. */
export function checkUnits(root: string, checks: Checks): void {
  if (findProgram('systemd-analyze') === undefined) {
    checks.skip("units of deploy: 'systemd-analyze' is not on PATH");
    return;
  }
  const program = path.join(root, 'program');
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
  for (const [name, command] of units) {
    const unit = path.join(root, name);
    writeFileSync(unit, readFileSync(path.join(repositoryRoot(), 'deploy', name), 'utf8').replace(command, program));
    const found = analyze(['verify', unit]);
    checks.expect(`systemd-analyze verify has nothing to say of deploy/${name}`, found.status === 0 && found.output === '', found.output);
    const security = analyze(['security', '--offline=true', '--threshold=20', unit]);
    checks.expect(`systemd-analyze security of deploy/${name}: the exposure is at most 2.0 of 10`, security.status === 0, security.output.slice(-200));
  }
}
