/** The bundled command does what the compiled modules do, and without esbuild there is still a command. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const main = path.join(root, 'dist/src/services/cli/main.js');
// Two levels below the root, like dist/cli: the command finds package.json and node_modules from where it is.
const out = path.join(root, 'dist', `bundle-test-${process.pid}`);
const work = path.join(out, 'work');
const start = path.join(out, 'holdfast.cjs');
let reason;

function run(file, ...words) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...words], { cwd: work, encoding: 'utf8' });
  return { status, stdout, stderr };
}

before(async () => {
  reason = await bundle(out);
  fs.mkdirSync(path.join(work, 'source'), { recursive: true });
  // More than the threads' threshold, so that the bundled entry points of threads run.
  fs.writeFileSync(path.join(work, 'source/large'), randomBytes(24 << 20));
  for (let i = 0; i < 1_500; i += 1) fs.writeFileSync(path.join(work, `source/small${i}`), `file ${i}\n`);
});
after(() => fs.rmSync(out, { recursive: true, force: true }));

describe('the bundle', () => {
  test('answers like the compiled modules', () => {
    assert.equal(reason, undefined, 'esbuild is a development package: npm ci installs it');
    for (const words of [['--version'], ['help'], ['nope'], ['ls', 'source'], ['snapshots', 'source', '--json']]) assert.deepEqual(run(start, ...words), run(main, ...words), words.join(' '));
  });

  test('starts as a program of its own, as npm links it', () => {
    const { status, stdout } = spawnSync(start, ['--version'], { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [0, run(main, '--version').stdout]);
  });

  test('stores and restores with threads', () => {
    assert.equal(run(start, 'init', 'repo').status, 0);
    const stored = run(start, 'backup', 'source', '--repo', 'repo', '--json');
    assert.equal(stored.status, 0, stored.stderr);
    assert.equal(JSON.parse(run(start, 'restore', `repo::latest::${fs.realpathSync(work)}/source`, 'target', '--json').stdout).files, 1_501);
    assert.deepEqual(JSON.parse(run(start, 'diff', 'source', 'target', '--json').stdout), { added: [], removed: [], changed: [], errors: [] });
    assert.equal(run(start, 'check', 'repo', '--read-data').status, 0);
  });

  test('has a code cache that V8 accepts, and starts without it', () => {
    const cache = fs.readdirSync(out).find((name) => name.endsWith('.cache'));
    assert.equal(cache, `command-${process.version}-${process.arch}.cache`);
    const script = `const { compileModule } = await import(${JSON.stringify(path.join(root, 'dist/src/services/cli/code-cache.js'))});
      const { keepProcessSmall } = await import(${JSON.stringify(path.join(root, 'dist/src/services/process-memory.js'))});
      const fs = await import('node:fs'); keepProcessSmall();
      process.exit(compileModule(fs.readFileSync('../command.cjs', 'latin1'), process.cwd().replace(/work$/, 'command.cjs'), fs.readFileSync('../${cache}')).cachedDataRejected ? 1 : 0);`;
    assert.equal(spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: work }).status, 0);
    fs.writeFileSync(path.join(out, cache), 'not a cache');
    assert.equal(run(start, 'help').status, 0, 'a cache of something else is ignored');
    fs.rmSync(path.join(out, cache));
    assert.equal(run(start, 'help').status, 0);
  });

  test('carries the licences of the packages in it', () => {
    assert.match(fs.readFileSync(path.join(out, 'THIRD-PARTY.txt'), 'utf8'), /^commander\n[^]*Permission is hereby granted/);
  });
});

test('without esbuild the command runs the compiled modules, and says why', async () => {
  const place = path.join(root, 'dist', `bundle-test-${process.pid}-plain`);
  try {
    assert.equal(await bundle(place, () => Promise.resolve({ reason: 'no such package' })), 'no such package');
    const version = createRequire(import.meta.url)('../package.json').version;
    assert.equal(run(path.join(place, 'holdfast.cjs'), '--version').stdout, `${version}\n`);
  } finally {
    fs.rmSync(place, { recursive: true, force: true });
  }
});
