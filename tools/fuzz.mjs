/**
 * `npm run fuzz -- [--minutes N] [--seed S] [NAME…]`: the property tests over and over, each round with another seed, until the time is up.
 *
 * A test file takes part when it uses fast-check; NAME keeps those whose path contains it. Each round prints its seed; a failure prints
 * the test's output (with fast-check's own counterexample) and the one line that replays it, and ends the run with exit code 1.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values, positionals } = parseArgs({ allowPositionals: true, options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
const onlySeed = values.seed === undefined ? undefined : Number(values.seed);
if (!(minutes > 0) || (onlySeed !== undefined && !Number.isInteger(onlySeed))) {
  console.error('Fuzz: --minutes takes a positive number, --seed a whole number');
  process.exit(2);
}

/** Built test files that use fast-check, by path below `dist/`. */
function propertyTests() {
  const dist = path.join(root, 'dist', 'src');
  return readdirSync(dist, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js') && readFileSync(path.join(dist, name), 'utf8').includes('fast-check'))
    .filter((name) => positionals.length === 0 || positionals.some((wanted) => name.includes(wanted)))
    .sort().map((name) => path.join('dist', 'src', name));
}

const files = propertyTests();
if (files.length === 0) {
  console.error('Fuzz: no test file uses fast-check; build first, or check the names');
  process.exit(2);
}
const ends = Date.now() + minutes * 60_000;
let rounds = 0;
let tests = 0;
while (rounds === 0 || (Date.now() < ends && onlySeed === undefined)) {
  const seed = onlySeed ?? randomInt(2 ** 31);
  const hook = `data:text/javascript,import fc from ${JSON.stringify(`file://${path.join(root, 'node_modules/fast-check/lib/fast-check.js')}`)};fc.configureGlobal({seed:${seed}})`;
  const run = spawnSync(process.execPath, ['--import', hook, '--test', '--test-concurrency=2', ...files], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  const passed = Number(/^(?:#|ℹ) pass (\d+)$/m.exec(run.stdout)?.[1] ?? 0);
  if (run.status !== 0) {
    console.log(run.stdout);
    console.error(`Fuzz: a property failed with seed ${seed}; replay with: npm run fuzz -- --seed ${seed}${positionals.map((name) => ` ${name}`).join('')}`);
    process.exit(1);
  }
  rounds += 1;
  tests += passed;
  console.log(`round ${rounds}: seed ${seed}, ${passed} tests in ${files.length} files passed`);
}
console.log(`${rounds} rounds, ${tests} tests passed, 0 failed`);
