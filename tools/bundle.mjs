/**
 * Bundles the command line into `dist/cli/`: `holdfast.cjs` (what `bin` names), `command.cjs`, V8's code cache of it for this version
 * of Node, and the entry points of worker threads. Start-up is most of a short command's time. Where esbuild's program for this platform
 * is absent, `holdfast.cjs` runs the compiled modules instead: slower to start, otherwise the same. Part of every build.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const launcher = '../src/services/cli/launcher.ts';
const command = '../src/services/cli/command.ts';
const tools = path.dirname(fileURLToPath(import.meta.url));

/** Modules of Node that cost milliseconds to load and that most commands never call. */
const lazyModules = ['child_process', 'readline', 'worker_threads', 'zlib'];

/** Packages that are part of the bundle; all others are loaded from `node_modules`, native code above all. */
const bundled = /^commander$/;

const unbundled = `#!/usr/bin/env node
'use strict';
import('../src/services/cli/main.js');
`;

/** Replaces a slow module of Node by getters, so that it is loaded by the first use of one of its exports. */
const lazy = {
  name: 'lazy-modules',
  setup(build) {
    build.onResolve({ filter: new RegExp(`^node:(?:${lazyModules.join('|')})$`) }, ({ path: name, namespace }) => (namespace === 'lazy' ? { path: name, external: true } : { path: name, namespace: 'lazy' }));
    build.onLoad({ filter: /./, namespace: 'lazy' }, ({ path: name }) => {
      const names = Object.keys(module.createRequire(import.meta.url)(name));
      return { contents: `module.exports = {${names.map((key) => `get ${key}() { return require('${name}').${key}; },`).join('\n')}};`, loader: 'js' };
    });
  },
};

/** Entry points that bundled sources start as threads, by `new URL('./NAME.js', import.meta.url)`. @throws {Error} for what cannot move into a bundle. */
function threadEntries(inputs) {
  const entries = new Map();
  for (const source of inputs) {
    for (const [, specifier] of fs.readFileSync(source, 'utf8').matchAll(/new URL\('([^']*)', import\.meta\.url\)/g)) {
      const file = path.join(path.dirname(source), specifier.replace(/\.js$/, '.ts'));
      const name = path.basename(specifier, '.js');
      if (specifier !== `./${name}.js` || !fs.existsSync(file)) throw new Error(`Bundle '${source}': '${specifier}' is not beside the bundle`);
      if ((entries.get(name) ?? file) !== file) throw new Error(`Bundle '${source}': two threads are called '${name}'`);
      entries.set(name, file);
    }
  }
  return entries;
}

function licencesOf(inputs) {
  const names = new Set(Object.keys(inputs).map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter((name) => name !== undefined));
  return [...names].sort().map((name) => {
    const folder = path.join(tools, '../node_modules', name);
    const licence = fs.readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
    return `${name}\n\n${fs.readFileSync(path.join(folder, licence), 'utf8')}`;
  }).join('\n');
}

async function loadEsbuild() {
  try {
    const esbuild = await import('esbuild');
    await esbuild.transform('');
    return { esbuild };
  } catch (error) {
    return { reason: error.message.split('\n')[0] };
  }
}

async function writeBundle(esbuild, out) {
  const common = {
    bundle: true, platform: 'node', target: 'node20.10', outdir: out, logLevel: 'warning', absWorkingDir: path.join(tools, '..'), metafile: true, minifyWhitespace: true, minifySyntax: true,
    plugins: [{
      name: 'packages',
      setup: (build) => build.onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) => (kind === 'entry-point' || bundled.test(name) || name.startsWith('node:') ? undefined : { path: name, external: true })),
    }],
  };
  const { metafile } = await esbuild.build({
    ...common, entryPoints: { holdfast: path.join(tools, launcher), command: path.join(tools, command) }, format: 'cjs', outExtension: { '.js': '.cjs' },
    // A script that is compiled from a cache can't import at run time without a warning of Node's; `require` does as well.
    supported: { 'dynamic-import': false }, plugins: [lazy, ...common.plugins],
    define: { 'import.meta.url': 'bundleUrl' }, banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  const inputs = Object.keys(metafile.inputs).filter((name) => name.startsWith('src/')).map((name) => path.join(tools, '..', name));
  await esbuild.build({ ...common, entryPoints: Object.fromEntries(threadEntries(inputs)), format: 'esm' });
  fs.writeFileSync(path.join(out, 'THIRD-PARTY.txt'), licencesOf(metafile.inputs));
  const made = spawnSync(process.execPath, [path.join(tools, './code-cache.mjs'), out], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (made.status !== 0) throw new Error(`Make the code cache: ${made.stderr}`);
}

/**
 * Writes the bundle into `out`, which is emptied before. `load` finds esbuild; for tests.
 * @returns {Promise<string | undefined>} why there is no bundle but only a way to the compiled modules; undefined when there is one
 */
export async function bundle(out, load = loadEsbuild) {
  const { esbuild, reason } = await load();
  fs.rmSync(out, { recursive: true, force: true });
  fs.mkdirSync(out, { recursive: true });
  const start = path.join(out, 'holdfast.cjs');
  if (esbuild === undefined) fs.writeFileSync(start, unbundled);
  else await writeBundle(esbuild, out);
  fs.chmodSync(start, 0o755);
  return reason;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const reason = await bundle(path.join(tools, '../dist/cli'));
  if (reason !== undefined) console.error(`The command is not bundled and starts about 50 ms later: ${reason}`);
}
