/**
 * Makes a fresh checkout ready: installs the locked packages if they are not there, then compiles. Silent when it
 * succeeds quickly; the full output of a failing step otherwise. Needs no network and no compiler once packages are there.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cleanStale } from './clean-stale.mjs';

/** Oldest Node.js that works, as in `engines` of package.json. */
export const nodeMinimum = Object.freeze([20, 10]);

function readPackages(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')).packages : undefined;
}

/**
 * Why packages must be installed; undefined when `node_modules` holds each locked package in its locked version.
 * Optional packages may be absent: platforms differ, and every one of them has a fallback.
 */
export function installReason(root) {
  const locked = readPackages(path.join(root, 'package-lock.json')) ?? {};
  const installed = readPackages(path.join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'no packages are installed';
  const wrong = Object.entries(locked).find(([name, entry]) => {
    const found = name === '' || entry.link === true ? entry : installed[name];
    const absentOnDisk = found !== undefined && !fs.existsSync(path.join(root, name));
    return found === undefined || absentOnDisk ? entry.optional !== true : found.version !== entry.version;
  });
  return wrong === undefined ? undefined : `'${wrong[0]}' is not installed as locked`;
}

/** Runs a step with its output held back. @throws {Error} with all of the output when it fails. */
export function runStep(name, command, options) {
  const result = spawnSync(command[0], command.slice(1), { ...options, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status === 0) return;
  const why = result.error?.message ?? (result.signal === null ? `exit code ${result.status}` : `signal ${result.signal}`);
  throw new Error(`Set up: '${name}' failed: ${why}\n${result.stdout ?? ''}${result.stderr ?? ''}`);
}

function npmCommand() {
  const script = process.env['npm_execpath'];
  // Started through npm: use the same npm, whatever PATH says.
  return script !== undefined && /npm-cli\.(?:c?js)$/.test(script) ? [process.execPath, script] : [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

/** Installs when needed and compiles what changed; `say` gets a line before each step that may take long. */
export function setup(root, say) {
  const reason = installReason(root);
  if (reason !== undefined) {
    say(`Installing packages (${reason}) …`);
    // Both kinds are needed even under NODE_ENV=production: the compiler is a development package with a platform binary.
    runStep('npm ci', [...npmCommand(), 'ci', '--include=dev', '--include=optional'], { cwd: root });
  }
  cleanStale(root);
  if (!fs.existsSync(path.join(root, 'dist'))) say('Compiling …');
  runStep('tsc -b', [process.execPath, path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b'], { cwd: root });
  runStep('bundle', [process.execPath, path.join(root, 'tools', 'bundle.mjs')], { cwd: root });
}

function nodeIsOld() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major < nodeMinimum[0] || major === nodeMinimum[0] && minor < nodeMinimum[1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    if (nodeIsOld()) throw new Error(`Set up: Node.js is '${process.versions.node}', needed '${nodeMinimum.join('.')}' or newer`);
    setup(path.resolve(path.dirname(process.argv[1]), '..'), (line) => console.error(line));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
